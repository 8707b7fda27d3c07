"""Presets, sweeps, the paper's numbers, and what a file of ours is."""
