"""Input of every step: manifest, folds, pool, photographs, masks, transforms and batches."""
