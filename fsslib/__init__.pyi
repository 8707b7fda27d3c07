from fsslib.segmenter import Prediction as Prediction
from fsslib.segmenter import Segmenter as Segmenter

__version__: str
