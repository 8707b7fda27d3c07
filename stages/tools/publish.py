"""`publish`: makes a folder of a trained model for others to load, or puts it on a hub."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib import __version__
from fsslib.errors import FsslibError
from fsslib.experiments.licences import check_licence
from fsslib.experiments.publishing import Published, Wanted, publish_model
from fsslib.experiments.pushing import check_push, push_folder
from fsslib.experiments.weights_info import model_facts
from fsslib.files.model_names import MODEL, SCHEME, parse_address

from ..support import paths
from ..support.common import command, make_app, say
from ..support.measured import provenance_of

REMEDY = "run the stage 'train' again"


Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="Folder to make: new, empty, or one that this command made."
    ),
]
Trained = Annotated[
    Path | None,
    typer.Option(
        help="Trained model or its folder, such as data/train/2. Default: the only fold in "
        "data/train."
    ),
]
LicenceOption = Annotated[
    str | None,
    typer.Option(
        "--license",
        "--licence",
        help="SPDX identifier of the licence that you give the weights, such as CC-BY-4.0. "
        "Needed for --push; without it the card says that there is none.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(help="Title of the card. Default: NAME of --push, or the folder's name."),
]
PushOption = Annotated[
    str | None,
    typer.Option(
        metavar="USER/NAME",
        help="Also upload the folder to this model repository of the Hugging Face Hub, made if "
        "it does not exist. The login is that of 'hf auth login' or HF_TOKEN.",
    ),
]
Private = Annotated[
    bool,
    typer.Option(
        "--private/--public",
        help="Who sees a repository that --push makes: you, or everybody. The Hub's settings "
        "change it later; one that exists stays as it is.",
    ),
]


@command
def main(
    folder: Folder,
    model: Trained = None,
    licence: LicenceOption = None,
    name: NameOption = None,
    push: PushOption = None,
    private: Private = True,
) -> None:
    """Make a folder of a trained model that others can load, with a model card; or upload it.

    fss publish shared --model data/train/2 --license CC-BY-4.0

    fss publish shared --model data/train/2 --license CC-BY-4.0 --push USER/NAME

    Reads the model, its calibration (fss calibrate) and, for the results on the card, dvc.lock,
    results/folds/ and data/reference/. Results of another file than this model are left out. Writes
    DIR/: model.safetensors, model.presence.* where it is calibrated, config.json with hashes, and
    README.md, the card: read it, and edit it if you like. A second run keeps an edited card. One
    folder holds one model, that is one fold. Load it with Segmenter.load("DIR"), fss predict
    --model DIR, or on any machine with hf://USER/NAME in place of DIR.
    """
    if licence is not None:
        check_licence(licence)
    repository = None if push is None else _repository(push)
    if repository is not None:
        check_push(repository, licence)
    chosen = _chosen(model)
    file = chosen / MODEL if chosen.is_dir() else chosen
    about = _about(file)
    title = name or (repository or str(folder.resolve())).split("/")[-1]
    wanted = Wanted(title, licence, repository, __version__)
    made = publish_model(file, folder, wanted, provenance_of(file, about))
    _tell(folder, made, licence)
    if repository is not None:
        commit = push_folder(folder, repository, private)
        say(f"uploaded: {SCHEME}{repository}@{commit} will always give these files")


def _repository(text: str) -> str:
    """`USER/NAME`, also if it was given as `hf://USER/NAME`."""
    address = parse_address(text if text.startswith(SCHEME) else f"{SCHEME}{text}")
    if (address.folder, address.revision, address.sha256) != ("", "", ""):
        raise FsslibError(f"--push {text}: give USER/NAME alone")
    return address.repository


def _chosen(model: Path | None) -> Path:
    """The model, or the only trained fold of the project."""
    if model is not None:
        if not (model / MODEL if model.is_dir() else model).is_file():
            raise FsslibError(f"{model} holds no {MODEL}: name a trained model or its folder")
        return model
    parent = paths.trained(0).parent
    found = sorted(path.parent for path in parent.glob(f"[0-9]*/{MODEL}"))
    if not found:
        raise FsslibError(f"{parent} holds no trained model: run 'dvc repro', or give --model")
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise FsslibError(f"one folder holds one model: give --model with one of {names}")
    return found[0]


def _about(file: Path) -> dict[str, object]:
    """What the header says made the model; other files are refused by `publish_model`."""
    if file.suffix != ".safetensors":
        raise FsslibError(f"{file} is no model of training: only such can be published")
    about = model_facts(file, REMEDY).get("about")
    return about if isinstance(about, dict) else {}


def _tell(folder: Path, made: Published, licence: str | None) -> None:
    """What was written, and what the publisher should look at."""
    say(f"wrote {folder}: {', '.join(made.files)}")
    if made.kept_card:
        say("kept README.md, which was edited: delete it and run this again to have a new one")
    if made.other_calibration:
        say("left out model.presence.json: it is of another encoder, run 'fss calibrate' again")
    for name in made.local_names:
        say(f"the header of {MODEL} names {name}, which others will be able to read")
    if licence is None:
        say("no --license: the card says that nobody may use the weights")


app = make_app(main)

if __name__ == "__main__":
    app()
