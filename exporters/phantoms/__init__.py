"""Simulated acquisitions of a gamma camera: objects, physics and the catalogue of studies."""
