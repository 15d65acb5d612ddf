"""Recipes of models that give findings."""
