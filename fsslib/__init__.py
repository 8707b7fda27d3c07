"""Mining latent classes for few-shot segmentation (Yang et al., ICCV 2021).

The names that a notebook needs, in the order of the paper's steps:

- segmenting new classes in photographs: `Segmenter`, `Prediction`;
- encoders: `build_encoder`, `load_weights`, `make_encode`, `Encoder`;
- pooling and prototypes (eq. 2): `masked_average`, `masked_sums`, `image_embedding`,
  `collect_prototypes`, `fold_prototypes`;
- sub-clusters and pseudo-masks (3.3.1, eq. 3): `cluster_prototypes`, `pseudo_mask`;
- rectification (3.4, eq. 7 to 9): `fuse_background`, `rectify_foreground`, `Rectification`;
- episodes and evaluation (4.1, eq. 5): `load_dataset`, `Manifest`, `draw_episodes`, `Episode`,
  `score_margins`, `predict_episode`, `evaluate`, `Counts`; `Refining`, `GuidedFilter` for sharp
  masks;
- errors for the user: `FsslibError`.

Each name is imported on first access. Importing torch alone takes seconds, and commands that do
not need it start at once.
"""

import importlib

__version__ = "0.2.0"

_LAZY = {
    "Segmenter": "fsslib.prediction.segmenter",
    "Prediction": "fsslib.prediction.found",
    "Encoder": "fsslib.encoders.base",
    "build_encoder": "fsslib.encoders.build",
    "load_weights": "fsslib.encoders.weights",
    "make_encode": "fsslib.encoders.running",
    "masked_average": "fsslib.mining.pooling",
    "masked_sums": "fsslib.mining.pooling",
    "image_embedding": "fsslib.mining.pooling",
    "collect_prototypes": "fsslib.mining.prototypes",
    "fold_prototypes": "fsslib.mining.prototypes",
    "cluster_prototypes": "fsslib.mining.clusters",
    "pseudo_mask": "fsslib.mining.pseudo_masks",
    "fuse_background": "fsslib.rectification.background",
    "Rectification": "fsslib.rectification.rectify",
    "rectify_foreground": "fsslib.rectification.rectify",
    "load_dataset": "fsslib.datasets.scan",
    "Manifest": "fsslib.data.manifest",
    "Episode": "fsslib.evaluation.episodes",
    "draw_episodes": "fsslib.evaluation.episodes",
    "evaluate": "fsslib.evaluation.protocol",
    "predict_episode": "fsslib.evaluation.protocol",
    "score_margins": "fsslib.evaluation.matching",
    "Refining": "fsslib.evaluation.refining",
    "GuidedFilter": "fsslib.evaluation.refining",
    "Counts": "fsslib.evaluation.metrics",
    "FsslibError": "fsslib.errors",
}
"""Name -> module. `__init__.pyi` gives type checkers the same list."""


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'fsslib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
