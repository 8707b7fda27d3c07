"""Finding new classes in photographs, in a few lines of Python: load, learn, predict."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.encoders.base import Encoder
from fsslib.encoders.running import Precision, choose_device, make_encode
from fsslib.errors import FsslibError
from fsslib.evaluation.refining import Refine, refining_named
from fsslib.evaluation.supports import Support
from fsslib.prediction.calibration_files import Calibration, find_presence, presence_settings
from fsslib.prediction.found import Prediction, label
from fsslib.prediction.inputs import (
    Mask,
    Photograph,
    as_photograph,
    as_support,
    check_name,
    fitted,
    known_names,
    listed,
    open_regions,
)
from fsslib.prediction.learned import (
    Prototypes,
    encoder_digest,
    load_learned,
    match_prototypes,
    pool_class,
    save_learned,
)
from fsslib.prediction.models import open_model
from fsslib.prediction.presence import presence_scores
from fsslib.prediction.typical import Typical
from fsslib.rectification.rectify import Rectification
from fsslib.training.trained_on import TrainedOn

MAX_SIDE = 768
"""Longer photographs are encoded at this long side, px: encoders here were trained at 300 to 500,
and 12 megapixels at stride 8 take 20 times the time and memory for no better an answer."""

MOST_CLASSES = 254
"""What an index mask can tell apart beside background and 255."""


class Segmenter:
    """Learns classes from masked photographs, without training, and finds them in others.

    Examples:
        >>> import numpy as np
        >>> from fsslib import Segmenter
        >>> s = Segmenter.load("random", backbone="resnet18")
        >>> photograph = np.random.default_rng(0).integers(0, 90, (64, 96, 3), dtype=np.uint8)
        >>> photograph[16:48, 24:64] += 150  # a bright square
        >>> mask = np.zeros((64, 96), bool)
        >>> mask[16:48, 24:64] = True
        >>> s.learn("square", [photograph], [mask])
        >>> found = s.predict(photograph[:, ::-1], threshold=0)
        >>> found.mask.shape, found.names, found.present
        ((64, 96), ('square',), (True,))
        >>> bool(found.of("square")[20:44, 36:68].mean() > 0.9)
        True

    Attributes:
        trained_on: what trained the model, None for an encoder that this project did not train.
        rectification: of prototypes, on the segmenter's device.
        calibration: what turns scores into probabilities, and where it comes from.
        backbone: of the encoder.
        digest: hash of the encoder's weights.
        refining: of masks, or None.
        encode: encodes one photograph, scaled to `max_side` before.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        rectification: Rectification | None = None,
        *,
        calibration_path: Path | None = None,
        device: str = "auto",
        precision: Precision = "float32",
        max_side: int | None = MAX_SIDE,
        refine: Refine = "guided",
    ) -> None:
        """Use an encoder.

        Args:
            encoder: with its weights; by default the pretrained one that pip installed.
            rectification: of prototypes; by default none.
            calibration_path: JSON file of `fss calibrate`; where it is missing or of another
                encoder or rectification nothing is called absent. The installed encoder has one.
            device: `auto`, `cpu` or `cuda`.
            precision: of the encoder.
            max_side: longer photographs are encoded at this long side in px, None for no limit.
                Masks keep the photograph's own size.
            refine: `guided` lets edges of masks follow the photograph, which changes no score.
        """
        self._device = choose_device(device)
        self.trained_on: TrainedOn | None = None
        if encoder is None:
            model = open_model()
            encoder, calibration_path = model.encoder, calibration_path or model.presence
        self.rectification = (rectification or Rectification()).to(self._device)
        self.backbone = encoder.backbone
        self.digest = encoder_digest(encoder)
        self.refining = refining_named(refine)
        self.encode = make_encode(encoder, self._device, precision)
        self.max_side = max_side
        calibration = find_presence(
            calibration_path, self.digest, presence_settings(self.rectification)
        )
        typical = calibration.typical and calibration.typical.to(self._device)
        self.calibration: Calibration = replace(calibration, typical=typical)
        self._learned: dict[str, tuple[Support, ...]] = {}
        self._prototypes: Prototypes | None = None

    @classmethod
    def load(
        cls,
        path: str | Path = "installed",
        *,
        backbone: str | None = None,
        calibration: str | Path | None = None,
        background: bool = True,
        index: str | Path | None = None,
        w: float = 0.9,
        beta: float = 0.2,
        top_n: int = 4,
        device: str = "auto",
        precision: Precision = "float32",
        max_side: int | None = MAX_SIDE,
        refine: Refine = "guided",
    ) -> "Segmenter":
        """Load a trained model or plain weights.

        Args:
            path: `installed`, the ImageNet weights that pip installed; `model.safetensors` of
                training or its folder, published or not; a `.pth` or `.safetensors` state dict;
                `timm:NAME`, `hf://USER/NAME[@REVISION]` or `imagenet` (downloaded); or `random`.
            backbone: of plain or installed weights, see `fsslib.prediction.models.open_model`.
            calibration: JSON file of `fss calibrate` instead of the model's own.
            background: rectify the background by eq. 7 where the model has the prototype.
            index: folder of a region index (`data/index/0`), to rectify the foreground by eq. 8
                and 9; of the same model.
            w: of eq. 7.
            beta: of eq. 8.
            top_n: images of eq. 8.
            device: see the class.
            precision: see the class.
            max_side: see the class.
            refine: see the class.

        Raises:
            FsslibError: nothing there, damaged, or an index of another model.
        """
        model = open_model(path, backbone)
        regions = None if index is None else open_regions(Path(index), model.encoder.channels)
        rectification = Rectification(
            model.background if background else None, w, regions, top_n, beta
        )
        if calibration is not None and not Path(calibration).is_file():
            raise FsslibError(f"calibration {calibration} does not exist: run 'fss calibrate'")
        made = cls(
            model.encoder,
            rectification,
            calibration_path=model.presence if calibration is None else Path(calibration),
            device=device,
            precision=precision,
            max_side=max_side,
            refine=refine,
        )
        made.trained_on = model.trained_on
        return made

    def fresh(self) -> "Segmenter":
        """Another segmenter that shares this one's encoder and has learned nothing."""
        other = copy(self)
        other._learned, other._prototypes = {}, None
        return other

    @property
    def names(self) -> tuple[str, ...]:
        """The learned classes; class i has value i + 1 in masks."""
        return tuple(self._learned)

    def learn(
        self,
        name: str,
        images: Sequence[Photograph] | Photograph,
        masks: Sequence[Mask] | Mask,
        mask_value: int | None = None,
    ) -> None:
        """Learn a class from photographs with masks, or add supports to one that is known.

        Args:
            name: of the class.
            images: one or more photographs.
            masks: one for each, of its size. Every value but 0 is the class. Of an annotation file
                with several labels the one called `name` is taken.
            mask_value: 1 to 255: only this value is the class, 255 is neither class nor
                background, everything else is background.

        Raises:
            FsslibError: no name, no image, unequal numbers or sizes, a mask without the class.
        """
        check_name(name)
        known = self._learned.get(name, ())
        if not known and len(self._learned) == MOST_CLASSES:
            raise FsslibError(f"{name}: {MOST_CLASSES} classes are learned, the most: forget one")
        photographs, marked = listed(images, 3), listed(masks, 2)
        if not photographs or len(photographs) != len(marked):
            raise FsslibError(
                f"{name}: {len(photographs)} photographs and {len(marked)} masks, expected as many "
                "of both, at least one: give a mask for each photograph"
            )
        pairs = [
            as_support(image, mask, mask_value, f"mask {number + 1} of {name}", name)
            for number, (image, mask) in enumerate(zip(photographs, marked, strict=True))
        ]
        with torch.no_grad():
            added = tuple(
                pool_class(self.feature(image), mask, name, len(known) + number)
                for number, (image, mask) in enumerate(pairs)
            )
        self._learned[name] = known + added
        self._prototypes = None

    def forget(self, name: str) -> None:
        """Forget a class; the values of those after it in masks move down by one."""
        if name not in self._learned:
            raise FsslibError(f"{name!r} is not learned, {known_names(self.names)}: name one")
        del self._learned[name]
        self._prototypes = None

    @torch.no_grad()
    def predict(self, image: Photograph, threshold: float | None = None) -> Prediction:
        """Find the learned classes in a photograph; threads may share a segmenter.

        Args:
            image: see `Photograph`.
            threshold: least probability of a class that is called present, 0 to 1; by default
                the calibration's. 0 is the method of the paper: the best class or background at
                every pixel, whatever it is. Without a calibration that is the default.

        Raises:
            FsslibError: nothing learned, the photograph cannot be read, or no such threshold.
        """
        if threshold is not None and not 0 <= threshold <= 1:  # NaN is not either
            raise FsslibError(f"threshold: {threshold} is not in 0 to 1")
        prototypes = self.prototypes()
        values = as_photograph(image)
        feature = self.feature(values)
        scores = self._scores(feature, prototypes)
        least = self.calibration.threshold if threshold is None else threshold
        likely = [i for i, score in enumerate(scores) if score >= least]
        mask = label(feature, prototypes, likely, values, self.refining)
        pixels = np.bincount(mask.ravel(), minlength=len(scores) + 1)[1:]
        return Prediction(mask, self.names, scores, tuple((pixels > 0).tolist()))

    @torch.no_grad()
    def prototypes(self) -> Prototypes:
        """What queries are matched with, rectified (eq. 2, 7 to 9)."""
        if not self._learned:
            raise FsslibError("nothing is learned: call learn(name, images, masks) first")
        if self._prototypes is None:
            self._prototypes = match_prototypes(self._learned, self.rectification)
        return self._prototypes

    def save_classes(self, path: str | Path) -> None:
        """Write the learned classes to one safetensors file, a few kB a support."""
        save_learned(Path(path), self._learned, self.digest)

    def load_classes(self, path: str | Path) -> None:
        """Add the classes of a file that a segmenter of the same encoder saved.

        Raises:
            FsslibError: missing, damaged, of another encoder, or a class that is known already.
        """
        found = load_learned(Path(path), self.digest, self._device)
        double = sorted(set(found) & set(self._learned))
        if double:
            raise FsslibError(f"{path} holds {double[0]!r}, which is learned already: forget it")
        self._learned |= found
        self._prototypes = None

    def feature(self, image: UInt8) -> Tensor:
        """Encode a photograph, (H, W, 3) uint8, scaled down where it is long: (C, h, w) float32."""
        return self.encode(fitted(image, self.max_side)).float()

    def _scores(self, feature: Tensor, prototypes: Prototypes) -> tuple[float, ...]:
        typical = self.calibration.typical or Typical(prototypes.background)
        scores = presence_scores(feature, prototypes.foreground, typical)
        return tuple(self.calibration.presence.probability(s) for s in scores.tolist())
