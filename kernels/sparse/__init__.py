"""Sparse coding with dictionaries: the super-resolution of Yang et al."""
