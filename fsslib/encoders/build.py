"""Construction of an encoder, a ResNet or a timm model, from its name."""

from fsslib.encoders.backbones import TIMM_PREFIX
from fsslib.encoders.base import Encoder
from fsslib.encoders.resnet import ResNet, resnet_shape
from fsslib.encoders.timm_models import TimmEncoder, timm_shape


def build_encoder(backbone: str) -> Encoder:
    """Build the encoder for a name in `BACKBONES`, or for `timm:NAME`.

    Raises:
        FsslibError: the backbone does not exist.
    """
    return TimmEncoder(backbone) if backbone.startswith(TIMM_PREFIX) else ResNet(backbone)


def feature_shape(backbone: str) -> tuple[int, int]:
    """Number of channels and stride of a backbone's features.

    Raises:
        FsslibError: as `build_encoder`.
    """
    return timm_shape(backbone) if backbone.startswith(TIMM_PREFIX) else resnet_shape(backbone)
