"""Evaluation (section 4.1): episodes, matching, metrics and the amortised protocol."""
