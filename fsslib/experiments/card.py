"""The card of a published model: Markdown with the Hub's head, made of facts that are known."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML

from fsslib.experiments.licences import licence_fields
from fsslib.experiments.provenance import Measured, Provenance
from fsslib.experiments.weights_info import flat, short
from fsslib.files.model_names import SCHEME, is_hub_address, parse_address
from fsslib.training.trained_on import KEY as TRAINED_ON
from fsslib.training.trained_on import TrainedOn

IMAGENET = (
    " The photographs of ImageNet\nmay be used for non-commercial research and education. Read its "
    "terms before you use the weights otherwise."
)

HERE = Path(__file__).parent

DATASETS = {
    "procedural": "the rendered scenes that come with fsslib (`procedural`)",
    "pascal": "PASCAL VOC 2012, with SBD's masks where the publisher had them (`pascal`)",
    "coco": "MS COCO 2014 (`coco`)",
    "folder": "photographs of the publisher's own (`folder`); the file does not say which",
}
POOLS = {
    "train": "the training images themselves",
    "remaining": "images of the dataset without a label of a base class",
}
WEIGHTS = {
    "installed": "ImageNet weights that pip installs with fsslib (Apache-2.0)",
    "imagenet": "ImageNet weights as torchvision or timm publish them",
    "random": "random weights",
}


@dataclass(frozen=True)
class CardFacts:
    """All that a card says.

    Attributes:
        name: title.
        licence: of the weights, None if none was chosen.
        repository: `USER/NAME`, None if not known yet.
        about: what the model's header says made it.
        seen: what trained it, None if the header does not say.
        sub_clusters: K of the pseudo-masks; None if it was not trained on any.
        parameters: of the encoder that is loaded.
        shape: channels and stride of its features.
        background: whether it holds a global background prototype.
        calibration: content of `model.presence.json`, None if there is none.
        files: name -> `sha256` and `bytes`.
        provenance: results, and what else the project knows.
    """

    name: str
    licence: str | None
    repository: str | None
    about: Mapping[str, Any]
    seen: TrainedOn | None
    sub_clusters: int | None
    parameters: int
    shape: tuple[int, int]
    background: bool
    calibration: Mapping[str, Any] | None
    files: Mapping[str, Mapping[str, Any]]
    provenance: Provenance

    @property
    def backbone(self) -> str:
        """Backbone of the encoder."""
        return str(self.about.get("backbone"))


def card_markdown(facts: CardFacts) -> str:
    """Return the card; the same facts give the same text.

    Raises:
        FsslibError: the licence has not the form of an identifier.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=False,  # nosec B701 - Markdown; `plain` and `cell` escape names
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "cell": _cell, "names": _names}
    measured = facts.provenance.measured
    return environment.get_template("card.md.j2").render(
        head=_head(facts),
        facts=facts,
        about=facts.about,
        seen=facts.seen,
        measured=measured,
        address=f"{SCHEME}{facts.repository or 'USER/NAME'}",
        starting=_starting(facts.about.get("weights")),
        imagenet=IMAGENET if facts.about.get("weights") in ("installed", "imagenet") else "",
        dataset=DATASETS.get(facts.seen.dataset if facts.seen else "", "unknown images"),
        pool=_pool(facts.about),
        params=list(_params(facts.about)),
        rows=[] if measured is None else list(_rows(measured)),
        compared=measured is not None and measured.references is not None,
        classes=[] if measured is None else _classes(measured),
        load_w=_other_w(measured),
    )


def plain(text: object) -> str:
    """A text in one line that Markdown shows as it is."""
    one_line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|!~$&])", r"\\\1", one_line)


def _cell(text: object) -> str:
    """A text as code in a table."""
    one_line = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{one_line}`" if one_line else ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(plain(name) for name in names)


def _head(facts: CardFacts) -> str:
    """The YAML that the hub reads, with its first and last line."""
    dataset = facts.seen.dataset if facts.seen else None
    tags = ["fsslib", "few-shot-segmentation", "image-segmentation"]
    tags += ["rendered-scenes"] if facts.seen and facts.seen.rendered else []
    head: dict[str, Any] = {
        **licence_fields(facts.licence),
        "library_name": "fsslib",
        "pipeline_tag": "image-segmentation",
        "tags": tags,
    }
    weights = facts.about.get("weights")
    if isinstance(weights, str) and is_hub_address(weights):
        head["base_model"] = parse_address(weights).repository
    measured = facts.provenance.measured
    if measured is not None:
        head["model-index"] = [
            {"name": facts.name, "results": [_result(measured, dataset, s) for s in measured.shots]}
        ]
    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel: wrong type
    yaml.allow_unicode = True
    yaml.width = 4096
    yaml.dump(head, stream)
    return f"---\n{stream.getvalue()}---\n"


def _result(measured: Measured, dataset: str | None, shot: str) -> dict[str, Any]:
    """One number of shots, as the hub's `model-index` has it."""
    values, number = measured.metrics[shot], shot.removeprefix("shot")
    how = ", with the region index" if measured.params.get("rectify_fg") else ""
    scores = [
        ("mean_iou", f"mIoU, percent{how}", values["miou"]),
        ("fb_iou", f"FB-IoU, percent{how}", values["fb_iou"]),
    ]
    return {
        "task": {"type": "image-segmentation", "name": f"{number}-shot segmentation"},
        "dataset": {
            "type": str(dataset),
            "name": f"{dataset}, fold {measured.metrics['fold']}, novel classes",
        },
        "metrics": [
            {"type": kind, "name": name, "value": value}
            for kind, name, value in scores
            if value is not None
        ],
    }


def _rows(measured: Measured) -> Iterator[dict[str, Any]]:
    """One row of the table of results for each number of shots."""
    for shot in measured.shots:
        values = measured.metrics[shot]
        row = {
            "shot": shot.removeprefix("shot"),
            "seeds": len(values["seeds"]),
            "each": sum(values["episodes"].values()) // max(1, len(values["seeds"])),
            **{k: _number(values[k]) for k in ("miou", "miou_std", "miou_ci95", "fb_iou")},
        }
        for name in ("pretrained", "baseline"):
            scores = (measured.references or {}).get(name)
            row[name] = _number((scores or {}).get(shot, {}).get("miou"))
        yield row


def _classes(measured: Measured) -> list[tuple[str, list[str]]]:
    """Each novel class with its IoU at every number of shots."""
    found = (measured.metrics[shot]["classes"] for shot in measured.shots)
    columns = list(found)
    return [(n, [_number(column.get(n)) for column in columns]) for n in measured.novel]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _params(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in flat({k: v for k, v in about.items() if k not in (TRAINED_ON, "fold")}):
        yield key, short(value)


def _pool(about: Mapping[str, Any]) -> str:
    """The unlabelled images that were mined."""
    if not about.get("mine"):
        return "none: trained without mining"
    sources = about.get("unlabeled")
    found = []
    for source in sources if isinstance(sources, list) else []:
        name = source.get("source") if isinstance(source, dict) else source
        cap = source.get("cap") if isinstance(source, dict) else None
        most = f", at most {cap}" if cap else ""
        found.append(POOLS.get(str(name), f"photographs in `{name}`") + most)
    return "; ".join(found) or "unknown"


def _starting(weights: object) -> str:
    if weights is None:
        return "unknown weights"
    return WEIGHTS.get(str(weights), f"`{weights}`")


def _other_w(measured: Measured | None) -> str:
    """What `Segmenter.load` needs to fuse the background as it was measured."""
    if measured is None:
        return ""
    if not measured.params.get("rectify_bg"):
        return ", background=False"
    w = measured.params.get("w")
    return "" if w in (None, 0.9) else f", w={w}"
