"""Mining latent classes for few-shot segmentation (Yang et al., ICCV 2021).

`Segmenter` finds a new class in photographs. It is imported when it is asked for: torch alone takes
seconds, and commands that need none of it start at once.
"""

import importlib

__version__ = "0.1.0"

_LAZY = {"Segmenter": "fsslib.prediction.segmenter", "Prediction": "fsslib.prediction.segmenter"}
"""Name -> module; `__init__.pyi` tells type checkers the same."""


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'fsslib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
