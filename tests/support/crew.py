"""One of several processes that train together; `test_across_ranks` starts them.

`python -m tests.support.crew FOLDER` with the variables of torchrun. FOLDER holds the checkpoint
to go on from; each process writes what it ends in there.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from fsslib.errors import FsslibError
from fsslib.ranks import read_ranks
from fsslib.training.across_ranks import GlobalBatchNorm
from fsslib.training.checkpoint import restore_checkpoint
from tests.support.helpers import make_dataset
from tests.support.toy import CLASSES, make_batches, make_trainer, state_of

STEPS, CUT = 3, 1
CASES = {
    "two shots, fused background": {"shot": 2, "background_share": 0.8},
    "in chunks": {"shot": 2, "micro_images": 3, "background_share": 0.8},
    "baseline": {"shot": 1, "classes": None},
    "resumed": {"shot": 1},
    "simclr": {"shot": 1, "miner": "simclr"},
    "cct": {"shot": 1, "miner": "cct", "micro_images": 3},
}


def train(manifest, case, ranks, checkpoint=None):
    """Rows and final state of one case."""
    options = {"lr": 0.001, "head_lr": 0.002, "classes": CLASSES, **CASES[case]}
    shot, miner = options.pop("shot"), options.get("miner", "clusters")
    batches = make_batches(manifest, STEPS, options["classes"] is not None, shot, ranks, miner)
    trainer = make_trainer(ranks=ranks, **options)
    rows = restore_checkpoint(trainer, checkpoint) if checkpoint else []
    rows += [trainer.step(batches[step]) for step in range(trainer.step_number, STEPS)]
    return rows, state_of(trainer)


def normalised(inputs, weights, norm):
    """Everything that a batch norm gives: output, gradients, running statistics."""
    inputs = inputs.clone().requires_grad_()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, norm.num_features))
        norm.bias.copy_(torch.linspace(-1, 1, norm.num_features))
    norm(inputs + 1)  # a first batch, so that the running statistics were moved twice
    out = norm(inputs)
    (out * weights).sum().backward()
    found = {"out": out.detach(), "input": inputs.grad, "weight": norm.weight.grad}
    return found | {"bias": norm.bias.grad} | dict(norm.named_buffers())


def norm_inputs():
    """A batch with a mean far from zero, and what its outputs are multiplied by."""
    draw = torch.Generator().manual_seed(7)
    inputs = 50 + torch.randn(6, 3, 4, 5, generator=draw, dtype=torch.float64)
    return inputs, torch.randn(6, 3, 4, 5, generator=draw, dtype=torch.float64)


def refusal(manifest, ranks):
    """What a rank says when the loss of the second alone is not finite."""
    trainer = make_trainer(ranks=ranks)
    if not ranks.leads:
        trainer.settings = replace(trainer.settings, pseudo_weight=float("nan"))
    try:
        trainer.step(make_batches(manifest, ranks=ranks)[0])
    except FsslibError as error:
        return str(error)


def loneliness(ranks):
    """What the first rank says when the others have gone."""
    if not ranks.leads:
        os._exit(0)
    try:
        ranks.wait()
    except FsslibError as error:
        return str(error)


def main(folder):
    ranks = read_ranks()
    manifest = make_dataset(folder / f"discs{ranks.number}")
    checkpoint = folder / "checkpoint.safetensors"
    found = {
        name: train(manifest, name, ranks, checkpoint if name == "resumed" else None)
        for name in CASES
    }
    mine = [part.chunk(ranks.size)[ranks.number] for part in norm_inputs()]
    found["norm"] = normalised(*mine, GlobalBatchNorm(3, ranks).double())
    found["any"] = [ranks.any(False), ranks.any(ranks.number == 1), ranks.any(True)]
    found["refusal"] = refusal(manifest, ranks)
    torch.save(found, folder / f"found{ranks.number}.pt")
    alone = loneliness(ranks)
    torch.save({**found, "alone": alone}, folder / f"found{ranks.number}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
