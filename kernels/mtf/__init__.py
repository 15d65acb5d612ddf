"""Modulation transfer function from an edge, a disk, a line or a point."""
