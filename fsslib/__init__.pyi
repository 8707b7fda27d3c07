from fsslib.prediction.segmenter import Prediction as Prediction
from fsslib.prediction.segmenter import Segmenter as Segmenter

__version__: str
