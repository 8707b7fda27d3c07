"""`models`: lists the encoders to choose from, and what each was trained on."""

from typing import Annotated

import typer

from fsslib.encoders.backbones import DEFAULT_BACKBONE
from fsslib.encoders.installed import INSTALLED, installed_file
from fsslib.errors import FsslibError
from fsslib.experiments.weights_info import model_facts
from fsslib.files.model_names import MODEL
from fsslib.prediction.calibration_files import presence_path, shipped_presence
from fsslib.training.trained_on import TrainedOn

from ..support import paths
from ..support.common import command, make_app


@command
def main(
    names: Annotated[
        bool, typer.Option("--names", help="Print only the values for --model, one per line.")
    ] = False,
) -> None:
    """List the values that --model of predict, demo, calibrate and export takes.

    These are the encoders that pip installed, the trained folds in data/train/, and models that can
    be downloaded. Reads only the headers of trained models. Downloads and writes nothing.
    """
    rows = [*_installed(), *_trained()]
    if names:
        typer.echo("\n".join(dict.fromkeys(name.split(" ")[0] for name, _ in rows)))
        return
    rows += [
        ("timm:NAME", "any model of timm with its published weights, downloaded once"),
        ("hf://USER/NAME", "a model that 'fss publish' put on the hub, downloaded once"),
        ("imagenet", "a ResNet of torchvision (--backbone), ImageNet, downloaded once"),
        ("FILE", "a .pth or .safetensors state dict; --backbone where its names do not tell"),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        typer.echo(f"{name:{width}}  {text}")


def _installed() -> list[tuple[str, str]]:
    rows = []
    for backbone in sorted(INSTALLED, key=lambda name: name != DEFAULT_BACKBONE):
        option = "" if backbone == DEFAULT_BACKBONE else f" --backbone {backbone}"
        default = ", the default" if not option else ""
        try:
            installed_file(backbone)
            state = "calibrated" if shipped_presence(backbone) else "not calibrated"
        except FsslibError as error:
            state = str(error)
        rows.append((f"installed{option}", f"{backbone}, ImageNet, {state}{default}"))
    return rows


def _trained() -> list[tuple[str, str]]:
    """Trained folds in data/train, as the headers of their models describe them."""
    folders = sorted(p for p in paths.trained(0).parent.glob("[0-9]*") if (p / MODEL).is_file())
    rows = []
    for folder in sorted(folders, key=lambda p: (len(p.name), p.name)):
        path = folder / MODEL
        try:
            facts = model_facts(path, "run the stage 'train' again")
        except FsslibError as error:
            rows.append((str(folder), str(error)))
            continue
        about = facts.get("about")
        seen = TrainedOn.read(about if isinstance(about, dict) else {})
        told = "trained on unknown images" if seen is None else f"trained on {seen}"
        state = "calibrated" if presence_path(path).is_file() else "not calibrated"
        rows.append((str(folder), f"{facts.get('backbone')}, {told}, {state}"))
    return rows


app = make_app(main)

if __name__ == "__main__":
    app()
