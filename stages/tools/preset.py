"""`preset`: writes a named setting into params.yaml and keeps its comments."""

import io
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from fsslib.datasets.description import read_description
from fsslib.errors import FsslibError
from fsslib.experiments.presets import preset_values
from fsslib.files.storage import write_bytes

from ..support.common import command, make_app, project_root, say
from ..support.params_file import (
    PARAMS_FILE,
    load_params,
    parse_params,
)


@command
def main(
    name: Annotated[
        str,
        typer.Argument(
            help="pascal-resnet50, pascal-resnet101, coco-resnet50, coco-resnet101 (the paper's), "
            "voc-sample, own-photographs (a folder of 'fss data folder') or procedural (the "
            "committed defaults)."
        ),
    ],
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the dataset instead of the preset's.")
    ] = None,
    unlabeled: Annotated[
        str | None, typer.Option(help="Folder of photographs to mine beside the training images.")
    ] = None,
) -> None:
    """Write a named setting into params.yaml; comments and the section `runtime` stay.

    Reads and writes params.yaml. Every other key gets the preset's value, so only the last preset
    counts. The file is validated before it is replaced, and the changed keys are printed. For
    own-photographs, `folds` becomes the list of all folds in data_root's dataset.json.
    """
    load_params()
    text = PARAMS_FILE.read_text(encoding="utf-8-sig")
    values = preset_values(name)
    if data_root is not None:
        values["data_root"] = data_root
    if unlabeled is not None:
        values["unlabeled"] = [*values["unlabeled"], unlabeled]
    if values["dataset"] == "folder":
        values["folds"] = _own_folds(str(values["data_root"]))
    changed, new = with_values(text, values)
    parse_params(new, PARAMS_FILE)
    if changed:
        write_bytes(PARAMS_FILE, new.encode())
    for line in changed:
        typer.echo(line)
    say(f"{PARAMS_FILE} is {name}: {len(changed)} keys changed")


def _own_folds(data_root: str) -> list[int]:
    """Numbers of the folds of the user's own dataset.

    Raises:
        FsslibError: the dataset does not exist, or has a single class.
    """
    description = read_description(project_root() / data_root, required=True)
    assert description is not None
    if len(description.classes) < 2:
        raise FsslibError(
            f"{data_root} has one class: training needs two or more; 'fss predict' needs no "
            "training"
        )
    return list(range(len(description.folds)))


COMMENT_COLUMN = 21
"""Column where comments start. A longer value moves its comment; the next value moves it back."""


def with_values(text: str, values: Mapping[str, Any]) -> tuple[list[str], str]:
    """Set dotted keys in YAML text, and keep block style and comments.

    Returns:
        A line `key: old -> new` for each changed key, and the new text.
    """
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _null)
    content = yaml.load(text)
    changed = []
    for key, value in values.items():
        *sections, last = key.split(".")
        section = content
        for part in sections:
            section = section[part]
        if section[last] != value:
            changed.append(f"{key}: {_plain(section[last])} -> {_plain(value)}")
            _set(section, last, value)
    stream = io.StringIO()
    yaml.dump(content, stream)
    return changed, stream.getvalue()


def _set(section: CommentedMap, key: str, value: object) -> None:
    """Replace a value; a list's items are replaced one by one, since comments belong to it."""
    old = section[key]
    if not (isinstance(old, list) and isinstance(value, list)):
        section[key] = value
        comment = section.ca.items.get(key, [None] * 3)[2]
        if comment is not None:
            comment.start_mark.column = COMMENT_COLUMN
        return
    for number, item in enumerate(value[: len(old)]):
        old[number] = item
    del old[len(value) :]
    old.extend(value[len(old) :])


def _null(representer: Any, value: None) -> Any:  # noqa: ANN401 - ruamel's
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _plain(value: object) -> str:
    """A value as short text, without ruamel's wrapper types."""
    return value if isinstance(value, str) else json.dumps(value)


app = make_app(main)

if __name__ == "__main__":
    app()
