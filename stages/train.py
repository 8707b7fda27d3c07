"""`train`: trains the encoder jointly on episodes and pseudo-masks."""

from .support import paths
from .support.common import FoldOption, make_app, shared_command
from .support.fold_training import Outputs, train_fold
from .support.inputs import chosen_folds, read_params
from .support.params import (
    TrainParams,
)
from .support.params_file import (
    stage_params,
)


@shared_command
def main(fold: FoldOption = None) -> None:
    """Train the encoder on episodes of base classes and on the pool's pseudo-masks (eq. 1, 4-6).

    Reads m, sigma, pseudo_weight, mine, miner, training, unlabeled, backbone, weights, seed and
    long_side from params.yaml, data/prepare/, data/cluster/<fold>/, data/annotate/<fold>/, and the
    training and pool photographs. `mine: false` trains the plain baseline. Instead of using
    pseudo-masks, `miner: simclr` contrasts two views of each pool image, and `miner: cct` lets
    decoders of the base classes agree under perturbations.
    Writes data/train/<fold>/: model.safetensors (last and averaged encoder, head, global background
    prototype) and live/ (curves). Also writes results/folds/<fold>/training.png, which shows the
    same images, drawn again every `training.picture_every` steps. After an interruption, the same
    command continues from the last checkpoint. Several processes (torchrun) share each step's
    images.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        params = stage_params(TrainParams, everything)
        picture = paths.fold_results(number) / "training.png"
        outputs = Outputs(paths.model(number), paths.trained(number), picture)
        train_fold(number, params, everything.runtime, outputs)


app = make_app(main)

if __name__ == "__main__":
    app()
