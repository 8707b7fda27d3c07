"""`train`: joint training on episodes and pseudo-masks."""

from stages.support import paths
from stages.support.common import FoldOption, make_app, shared_command
from stages.support.fold_training import Outputs, train_fold
from stages.support.inputs import chosen_folds, read_params
from stages.support.params import (
    TrainParams,
)
from stages.support.params_file import (
    stage_params,
)


@shared_command
def main(fold: FoldOption = None) -> None:
    """Train the encoder on episodes of base classes and on the pool's pseudo-masks (eq. 1, 4-6).

    Reads m, sigma, pseudo_weight, mine, miner, training, long_side and the encoder's keys from
    params.yaml, data/prepare/, data/cluster/<fold>/ and data/annotate/<fold>/ (`mine: false` trains
    the plain baseline, `miner: simclr` contrasts two views of each pool image instead). Writes
    data/train/<fold>/: model.safetensors (last and averaged encoder, head, global background
    prototype) and live/ (curves), and results/folds/<fold>/training.png, the same images drawn anew
    every `training.picture_every` steps. Interrupted, it goes on at its last checkpoint. Several
    processes (torchrun) share each step's images.
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
