"""Section 3.4: the global background, regions, and rectified prototypes."""
