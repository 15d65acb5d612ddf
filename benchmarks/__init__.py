"""Benchmark suites, one case for each scanner matrix size."""
