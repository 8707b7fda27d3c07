"""Builds encoders for stages; separate from `inputs` so that stages without torch start fast."""

from fsslib.encoders.base import Encoder
from fsslib.encoders.build import build_encoder
from fsslib.encoders.identity import weights_identity
from fsslib.encoders.running import (
    PhotographEncoder,
    Precision,
    choose_device,
    make_encode,
    one_thread_each,
)
from fsslib.encoders.weights import load_weights
from fsslib.mining.feature_files import Origin
from fsslib.ranks import read_ranks

from .inputs import weights_source
from .params import (
    EncoderParams,
    Runtime,
)


def initial_encoder(params: EncoderParams) -> Encoder:
    """Build the encoder that extraction, annotation and training start from."""
    encoder = build_encoder(params.backbone)
    load_weights(encoder, weights_source(params), params.seed)
    return encoder


def features_origin(params: EncoderParams) -> Origin:
    """What features that fit the params are made with; a file of weights is hashed."""
    weights = weights_identity(params.backbone, weights_source(params), params.seed)
    return Origin(params.backbone, weights, params.long_side)


def initial_encode(
    params: EncoderParams, precision: Precision, runtime: Runtime
) -> PhotographEncoder:
    """Make a function that encodes photographs with the initial weights."""
    one_thread_each()
    device = choose_device(runtime.device, read_ranks().local)
    return make_encode(initial_encoder(params), device, precision, params.long_side)
