"""`predict`: finds new classes in photographs, given one or more masked ones of each."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from fsslib.data.images import UInt8
from fsslib.data.unread import describe_unread, unread_files
from fsslib.encoders.feeding import feed
from fsslib.encoders.running import one_thread_each
from fsslib.errors import FsslibError
from fsslib.files.storage import write_bytes, write_json
from fsslib.pictures.predictions import overlay_jpeg
from fsslib.prediction.annotation_files import CocoImage
from fsslib.prediction.found import Prediction
from fsslib.prediction.prediction_files import (
    SUMMARY,
    Format,
    check_outputs,
    find_photographs,
    output_names,
    overlay_name,
    prediction_record,
)
from fsslib.prediction.prediction_pass import prediction_work
from fsslib.prediction.segmenter import MAX_SIDE, Segmenter
from fsslib.prediction.support_masks import marked_values

from ..support.common import Bar, command, say
from ..support.model_options import (
    INSTALLED,
    BackboneOption,
    Background,
    CalibrationOption,
    Device,
    IndexFolder,
    ModelOption,
    RefineOption,
    Workers,
    open_segmenter,
    option_feeding,
    pinned_model,
)
from ..support.options import (
    SupportOption,
    WithSupports,
    a_number,
    class_name,
    parse_support,
)
from ..support.prediction_results import Results

QueryOption = Annotated[
    list[Path], typer.Option(help="Photographs, or folders of them; several values, any size.")
]
OutOption = Annotated[Path, typer.Option(help="Folder for masks, overlays and predictions.json.")]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", help="Index masks, or polygons that annotation tools read, to correct by hand."
    ),
]
Supports = Annotated[
    list[SupportOption] | None,
    typer.Option(
        parser=parse_support,
        metavar="[NAME] PHOTO LABEL",
        help="A photograph of the class and its mask or annotation file (LabelMe, COCO, Label "
        "Studio, YOLO), two or three values; repeat it for more photographs or classes. Without "
        "NAME the class is called 'object', or as the file's only label.",
    ),
]
MaskValue = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=255,
        help="The class in index masks: 255 is then ignored, the rest background. Without it "
        "every pixel of a mask that is not 0 is the class.",
    ),
]
ClassesOption = Annotated[
    Path | None, typer.Option(help="Classes that --save-classes wrote, besides --support.")
]
SaveClasses = Annotated[
    Path | None, typer.Option(help="Write what was learned to this .safetensors file.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        callback=a_number,
        help="Least probability of a class that is called present; 0 never says absent. "
        "Without it the calibration's; 0 where the model is not calibrated.",
    ),
]
MaxSide = Annotated[
    int, typer.Option(min=32, help="Larger photographs are encoded at this long side, px.")
]

Made = tuple[dict[str, Any], CocoImage | None]
"""Record of a photograph, and what the file of all photographs says of it."""


@command
def main(
    query: QueryOption,
    out: OutOption,
    form: FormatOption = Format.MASKS,
    support: Supports = None,
    mask_value: MaskValue = None,
    classes: ClassesOption = None,
    save_classes: SaveClasses = None,
    model: ModelOption = INSTALLED,
    backbone: BackboneOption = None,
    calibration: CalibrationOption = None,
    index: IndexFolder = None,
    background: Background = True,
    threshold: Threshold = None,
    max_side: MaxSide = MAX_SIDE,
    refine: RefineOption = "guided",
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Segment new classes in photographs, no training: show one masked photograph, or more.

    fss predict --support cat.jpg cat_mask.png --query photos --out found

    fss predict --support cat a.jpg a.png --support dog b.jpg b.png --query c.jpg d.jpg --out found

    Writes for each photograph NAME.mask.png (palette, 0 background, 1 the first class) and
    NAME.overlay.jpg, and for all of them predictions.json with scores, present or absent, and
    areas. Another --format writes polygons in place of the PNG. A photograph that cannot be read is
    named, the others go on, and the exit code is 1.
    """
    supports = support or []
    names = _names(supports, classes, query, out, form)
    _say_unread(query)
    one_thread_each()
    model = pinned_model(model)
    segmenter = open_segmenter(
        model,
        backbone=backbone,
        calibration=calibration,
        index=index,
        background=background,
        device=device,
        max_side=max_side,
        refine=refine,
    )
    if classes is not None:
        segmenter.load_classes(classes)
    _learn(segmenter, supports, mask_value)
    if save_classes is not None:
        segmenter.save_classes(save_classes)
    (out / SUMMARY).unlink(missing_ok=True)  # it is written last: where it is, all is there
    segmenter.prototypes()  # once, before the threads
    results = Results(form, out, names, query)
    found = _predict_all(segmenter, names, out, threshold, workers, results)
    results.finish(segmenter.names)
    write_json(out / SUMMARY, _summary(model, segmenter, supports, threshold, found))
    _report(segmenter, found, out)


def _names(
    supports: Sequence[SupportOption],
    classes: Path | None,
    query: Sequence[Path],
    out: Path,
    form: Format,
) -> Mapping[Path, str]:
    """Photographs and the names of their outputs; nothing is written over an input."""
    if not supports and classes is None:
        raise FsslibError("nothing to look for: give --support PHOTO MASK, or --classes FILE")
    photographs = find_photographs(query)
    names = output_names(photographs)
    _check_folder(out, query)
    inputs = [*photographs, *(p for s in supports for p in (s.photograph, s.mask))]
    check_outputs(out, names.values(), inputs, form)
    return names


def _say_unread(query: Sequence[Path]) -> None:
    """Say which files in the folders of the queries are not read."""
    for folder in dict.fromkeys(q for q in query if q.is_dir()):
        others = unread_files(folder)
        if others:
            say(f"{folder}: {describe_unread(others)}")


def _summary(
    model: str,
    segmenter: Segmenter,
    supports: Sequence[SupportOption],
    threshold: float | None,
    found: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The content of predictions.json."""
    return {
        "model": model,
        "backbone": segmenter.backbone,
        "encoder": segmenter.digest[:16],
        "classes": {str(i): name for i, name in enumerate(segmenter.names, start=1)},
        "supports": [_row(s) for s in supports],
        "threshold": segmenter.calibration.threshold if threshold is None else threshold,
        "presence": segmenter.calibration.source,
        "refine": "guided" if segmenter.refining else "none",
        "photographs": [r for r in found if "error" not in r],
        "failed": [r for r in found if "error" in r],
    }


def _row(support: SupportOption) -> dict[str, str]:
    return {
        "name": support.name,
        "photograph": str(support.photograph),
        "mask": str(support.mask),
    }


def _check_folder(out: Path, query: Sequence[Path]) -> None:
    """Outputs among the queries would be queries of the next run."""
    if out.exists() and not out.is_dir():
        raise FsslibError(f"--out {out} is a file: name a folder")
    if any(q.is_dir() and q.resolve() == out.resolve() for q in query):
        raise FsslibError(f"--out {out} is the folder of the queries: name another")


def _learn(segmenter: Segmenter, supports: Sequence[SupportOption], mask_value: int | None) -> None:
    for support in supports:
        segmenter.learn(class_name(support), support.photograph, support.mask, mask_value)
        if mask_value is None:
            values = marked_values(support.mask)
            if len(values) > 1:
                shown = ", ".join(map(str, values[:8]))
                say(
                    f"mask {support.mask} holds {shown}: all are {support.name}, --mask-value "
                    "takes one"
                )


def _predict_all(
    segmenter: Segmenter,
    names: Mapping[Path, str],
    out: Path,
    threshold: float | None,
    workers: int | None,
    results: Results,
) -> list[dict[str, Any]]:
    """A record of every photograph, in order; workers read, write and, on a CPU, predict them."""

    def made(path: Path, image: UInt8, prediction: Prediction) -> Made:
        kept = results.write(path, prediction)
        write_bytes(out / overlay_name(names[path]), overlay_jpeg(image, prediction))
        return prediction_record(path, names[path], prediction, results.form), kept

    def failed(path: Path, error: str) -> Made:
        return {"photograph": str(path), "error": error}, None

    work = prediction_work(segmenter, threshold, made, failed)
    feeding = option_feeding(segmenter, workers)
    found = []
    with (
        Bar("Predicting", len(names)) as bar,
        closing(feed(work, list(names), feeding)) as records,
    ):
        for path, (record, kept) in zip(names, records, strict=True):
            if "error" in record:
                say(f"error: {record['error']}")
            results.keep(path, kept)
            found.append(record)
            bar.advance()
    return found


def _report(segmenter: Segmenter, found: Sequence[Mapping[str, Any]], out: Path) -> None:
    """What was found, by name; exit code 1 when a photograph failed."""
    good = [record for record in found if "error" not in record]
    for number, name in enumerate(segmenter.names):
        there = sum(record["classes"][number]["present"] for record in good)
        say(f"{name}: present in {there} of {len(good)} photographs")
    if segmenter.calibration.typical is None:
        say(f"scores: {segmenter.calibration.source}; 'fss calibrate' fits them to this model")
    say(f"wrote {out / SUMMARY}")
    if len(good) < len(found):
        say(f"{len(found) - len(good)} of {len(found)} photographs could not be read")
        raise typer.Exit(1)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(cls=WithSupports)(main)

if __name__ == "__main__":
    app()
