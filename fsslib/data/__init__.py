"""What every step reads: manifest, folds, pool, photographs, masks, transforms and batches."""
