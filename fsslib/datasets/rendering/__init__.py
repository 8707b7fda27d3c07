"""Renderer of the embedded benchmark: curves, patterns, figures, backdrops, scenes."""
