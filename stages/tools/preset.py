"""`preset`: a named setting written into params.yaml, comments kept."""

import io
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from fsslib.experiments.presets import preset_values
from fsslib.files.storage import write_bytes
from stages.support.common import command, make_app, say
from stages.support.params_file import (
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
            "voc-sample or procedural (the committed defaults)."
        ),
    ],
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the dataset instead of the preset's.")
    ] = None,
) -> None:
    """Write a named setting into params.yaml; comments and the section `runtime` stay.

    Every other key gets the preset's value, so that the last preset alone counts. The file is
    checked before it is replaced, and what changed is printed.
    """
    load_params()
    text = PARAMS_FILE.read_text(encoding="utf-8-sig")
    values = preset_values(name)
    if data_root is not None:
        values["data_root"] = data_root
    changed, new = with_values(text, values)
    parse_params(new, PARAMS_FILE)
    if changed:
        write_bytes(PARAMS_FILE, new.encode())
    for line in changed:
        typer.echo(line)
    say(f"{PARAMS_FILE} is {name}: {len(changed)} keys changed")


COMMENT_COLUMN = 21
"""Where comments begin; a longer value pushes its own away, and the next value pulls it back."""


def with_values(text: str, values: Mapping[str, Any]) -> tuple[list[str], str]:
    """Set dotted keys in YAML text, block style and comments kept.

    Returns:
        A line `key: old -> new` for each key that changed, and the new text.
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
    """Replace a value; a list's items one by one, since comments hang on it."""
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
    """A value as one short text, whatever ruamel wraps it in."""
    return value if isinstance(value, str) else json.dumps(value)


app = make_app(main)

if __name__ == "__main__":
    app()
