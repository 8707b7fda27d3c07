"""Datasets: layout, manifest, folds, images, transforms and the embedded benchmark."""
