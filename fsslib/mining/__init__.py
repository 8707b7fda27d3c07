"""Section 3.3.1: features, prototypes, sub-clusters and pseudo-masks."""
