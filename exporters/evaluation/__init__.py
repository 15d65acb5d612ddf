"""Measuring a model on cases that training never saw."""
