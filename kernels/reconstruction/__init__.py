"""Shapes from few directions: geometry, projectors, solvers."""
