from fsslib.data.manifest import Manifest as Manifest
from fsslib.datasets.scan import load_dataset as load_dataset
from fsslib.encoders.base import Encoder as Encoder
from fsslib.encoders.build import build_encoder as build_encoder
from fsslib.encoders.running import make_encode as make_encode
from fsslib.encoders.weights import load_weights as load_weights
from fsslib.errors import FsslibError as FsslibError
from fsslib.evaluation.episodes import Episode as Episode
from fsslib.evaluation.episodes import draw_episodes as draw_episodes
from fsslib.evaluation.matching import score_margins as score_margins
from fsslib.evaluation.metrics import Counts as Counts
from fsslib.evaluation.protocol import evaluate as evaluate
from fsslib.evaluation.protocol import predict_episode as predict_episode
from fsslib.mining.clusters import cluster_prototypes as cluster_prototypes
from fsslib.mining.pooling import image_embedding as image_embedding
from fsslib.mining.pooling import masked_average as masked_average
from fsslib.mining.pooling import masked_sums as masked_sums
from fsslib.mining.prototypes import collect_prototypes as collect_prototypes
from fsslib.mining.prototypes import fold_prototypes as fold_prototypes
from fsslib.mining.pseudo_masks import pseudo_mask as pseudo_mask
from fsslib.prediction.found import Prediction as Prediction
from fsslib.prediction.segmenter import Segmenter as Segmenter
from fsslib.rectification.background import fuse_background as fuse_background
from fsslib.rectification.rectify import Rectification as Rectification
from fsslib.rectification.rectify import rectify_foreground as rectify_foreground

__version__: str
