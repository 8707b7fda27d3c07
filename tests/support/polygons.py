"""Polygons as pycocotools draws them: the oracle of what an annotation tool shows."""

import warnings

import numpy as np
from pycocotools import mask as coco


def decoded(runs):
    """(H, W) bool of one run-length encoding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its use of NumPy 2
        return coco.decode(runs).astype(bool)


def drawn(points, height, width):
    """Pixels of one polygon, (N, 2) or flat."""
    (runs,) = coco.frPyObjects([np.ravel(points).tolist()], height, width)
    return decoded(runs)
