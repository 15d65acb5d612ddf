"""Noise power spectrum, noise equivalent quanta, and contrast against variability."""
