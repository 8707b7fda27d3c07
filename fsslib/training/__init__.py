"""Joint training on episodes and pseudo-masks (section 3.3.2)."""
