"""An encoder by its name: a ResNet or a model of timm."""

from fsslib.encoders.backbones import TIMM_PREFIX
from fsslib.encoders.base import Encoder
from fsslib.encoders.resnet import ResNet, resnet_shape
from fsslib.encoders.timm_models import TimmEncoder, timm_shape


def build_encoder(backbone: str) -> Encoder:
    """The encoder of a name in `BACKBONES`, or of `timm:NAME`.

    Raises:
        FsslibError: no such backbone.
    """
    return TimmEncoder(backbone) if backbone.startswith(TIMM_PREFIX) else ResNet(backbone)


def feature_shape(backbone: str) -> tuple[int, int]:
    """Channels and stride of a backbone's features.

    Raises:
        FsslibError: as `build_encoder`.
    """
    return timm_shape(backbone) if backbone.startswith(TIMM_PREFIX) else resnet_shape(backbone)
