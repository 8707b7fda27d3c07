"""Presets, sweeps, the paper's numbers, and descriptions of our files."""
