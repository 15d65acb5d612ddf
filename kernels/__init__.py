"""Compiled numerics; this package imports nothing else of Photopeak."""
