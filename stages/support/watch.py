"""Draws a fold's picture of training: at the start, at regular steps and at the end."""

from pathlib import Path

from fsslib.data.batches import StepBatches
from fsslib.files.storage import write_bytes
from fsslib.pictures.training import fixed_examples, no_picture, training_picture
from fsslib.ranks import read_ranks
from fsslib.training.trainer import Trainer


class Watch:
    """Keeps the latest picture in one file; only the first of several processes draws.

    Args:
        trainer: trainer to watch.
        batches: batches of the run; the examples to show are drawn separately from them.
        every: steps between pictures; 0 for none.
        path: path of the PNG.
    """

    def __init__(self, trainer: Trainer, batches: StepBatches, every: int, path: Path) -> None:
        self._trainer, self._every, self._path = trainer, every, path
        self._draws = every > 0 and read_ranks().leads
        if self._draws:
            self._examples = fixed_examples(batches)
            self._draw()
        elif read_ranks().leads:
            # DVC needs every declared output to exist.
            write_bytes(path, no_picture("training.picture_every is 0: no picture was drawn"))

    def look(self) -> None:
        """Draw the picture if one is due after the step that just ended."""
        done = self._trainer.step_number
        if self._draws and (done % self._every == 0 or done == self._trainer.settings.iterations):
            self._draw()

    def _draw(self) -> None:
        write_bytes(self._path, training_picture(self._trainer, self._examples))
