"""Weights that come with archon, one folder for each model."""
