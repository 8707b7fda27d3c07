"""What `predict` writes of each photograph: an index mask, or annotations that tools read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fsslib.files.storage import write_bytes, write_json
from fsslib.pictures.predictions import index_png
from fsslib.prediction.annotation_files import (
    CocoImage,
    coco_document,
    coco_image,
    coco_names,
    labelme_document,
    yolo_dataset,
    yolo_text,
)
from fsslib.prediction.found import Prediction
from fsslib.prediction.prediction_files import COCO_FILE, YOLO_FILE, Format, result_name


class Results:
    """Writes what was found in one format, for threads that take a photograph each.

    Args of the constructor:
        form: the format.
        out: folder of the outputs.
        names: photographs and the names of their outputs.
        query: photographs and folders as the user gave them.
    """

    def __init__(
        self, form: Format, out: Path, names: Mapping[Path, str], query: Sequence[Path]
    ) -> None:
        self.form, self._out, self._names = form, out, names
        self._coco_names = coco_names(list(names), query) if form is Format.COCO else {}
        self._coco: dict[Path, CocoImage] = {}

    def write(self, photograph: Path, found: Prediction) -> CocoImage | None:
        """Write one photograph's result, or return what `keep` is to keep for a file of all."""
        path = self._out / result_name(self._names[photograph], self.form)
        if self.form is Format.MASKS:
            write_bytes(path, index_png(found))
        elif self.form is Format.COCO:
            return coco_image(found, self._coco_names[photograph])
        elif self.form is Format.LABELME:
            write_json(path, labelme_document(found, photograph, path.parent))
        else:
            write_bytes(path, yolo_text(found).encode())
        return None

    def keep(self, photograph: Path, image: CocoImage | None) -> None:
        """Keep what `write` returned, perhaps in another process."""
        if image is not None:
            self._coco[photograph] = image

    def finish(self, classes: Sequence[str]) -> None:
        """Write the file about all photographs, if the format has one."""
        if self.form is Format.COCO:
            images = [self._coco[path] for path in self._names if path in self._coco]
            write_json(self._out / COCO_FILE, coco_document(classes, images))
        elif self.form is Format.YOLO:
            write_bytes(self._out / YOLO_FILE, yolo_dataset(classes).encode())
