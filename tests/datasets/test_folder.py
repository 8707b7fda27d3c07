"""Own images: index and colour masks, names, folds, splits, and what is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsslib.data.images import read_image, read_mask
from fsslib.datasets.labels import mask_source
from fsslib.datasets.scan import load_dataset
from fsslib.datasets.sources.classes_file import read_classes_file
from fsslib.datasets.sources.folder import FolderOptions, prepare_folder
from fsslib.datasets.sources.splitting import split_ids
from fsslib.datasets.sources.tables import class_rows
from fsslib.errors import FsslibError
from tests.support.fakes import jpeg_bytes, mask_values, photograph, png_bytes, write

NAMES = "classes:\n  1: cat\n  2: dog\n  7: red panda\n  254: 'no'\n"
COLORS = """
classes:
  1: {name: cat, color: "#ff0000"}
  2: {name: dog, color: [0, 255, 0]}
  3: {name: owl, color: "0000ff"}
ignore: "#ffffff"
"""


class Own:
    """Ten photographs with index masks of two classes each."""

    def __init__(self, root: Path) -> None:
        self.root, self.images, self.masks = root, root / "photos", root / "labels"
        self.values: dict[str, np.ndarray] = {}
        ids = [1, 2, 7, 254]
        for i in range(10):
            name = f"pic {i}"
            self.values[name] = mask_values(i, [ids[i % 4], ids[(i + 1) % 4]])
            write(self.images / f"{name}.jpg", jpeg_bytes(i))
            write(self.masks / f"{name}.png", png_bytes(self.values[name], palette=i % 2 == 0))

    def classes(self, text: str) -> Path:
        return write(self.root / "classes.yaml", text.encode())

    def color(self, colors: dict[int, tuple[int, int, int]]) -> None:
        for name, values in self.values.items():
            rgb = np.zeros((*values.shape, 3), np.uint8)
            for value, color in colors.items():
                rgb[values == value] = color
            Image.fromarray(rgb).save(self.masks / f"{name}.png")

    def prepare(self, text: str | None = NAMES, out: str = "out", **options: Any):
        classes = self.classes(text) if text is not None else None
        return prepare_folder(
            self.images, self.masks, classes, self.root / out, FolderOptions(**options)
        )

    def refused(self, text: str | None = NAMES, **options: Any) -> str:
        with pytest.raises(FsslibError) as caught:
            self.prepare(text, **options)
        assert "\n" not in str(caught.value)
        assert not (self.root / "out").exists()
        return str(caught.value)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path)


def test_index_masks_keep_their_values_and_names(own: Own) -> None:
    report, manifest = own.prepare()
    assert dict(manifest.classes) == {1: "cat", 2: "dog", 7: "red panda", 254: "no"}
    assert manifest.folds == ((1,), (2,), (7,), (254,))
    assert (report.train, report.val, report.masks) == (8, 2, "index")
    for record in (*manifest.train, *manifest.val):
        assert (read_mask(own.root / "out" / record.mask) == own.values[record.id]).all()
        assert (own.root / "out" / record.image).samefile(own.images / f"{record.id}.jpg")
    assert load_dataset("folder", own.root / "out") == manifest


def test_colour_masks_are_mapped_by_the_listed_colours(own: Own) -> None:
    own.values = {n: np.where(v == 7, 3, np.where(v == 254, 0, v)) for n, v in own.values.items()}
    own.color({1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 0, 255), 255: (255, 255, 255)})
    report, manifest = own.prepare(COLORS)
    assert report.masks == "colour"
    for record in (*manifest.train, *manifest.val):
        assert (read_mask(own.root / "out" / record.mask) == own.values[record.id]).all()


def test_palette_masks_go_by_colour_where_colours_are_listed(own: Own) -> None:
    """An image tool may sort a palette anew; then only the colours say what is meant."""
    for name, values in own.values.items():
        image = Image.fromarray(np.where(values == 1, 0, 1).astype(np.uint8))
        image.putpalette([255, 0, 0, 0, 0, 0])
        image.save(own.masks / f"{name}.png")
    _, manifest = own.prepare(COLORS)
    for record in (*manifest.train, *manifest.val):
        expected = np.where(own.values[record.id] == 1, 1, 0)
        assert (read_mask(own.root / "out" / record.mask) == expected).all()


def test_without_classes_index_values_are_named(own: Own) -> None:
    _, manifest = own.prepare(None)
    assert dict(manifest.classes) == {c: f"class_{c}" for c in (1, 2, 7, 254)}


def test_without_classes_colours_are_named(own: Own) -> None:
    own.color({1: (0, 0, 9), 2: (0, 255, 0), 7: (9, 0, 0), 254: (9, 9, 9), 255: (224, 224, 192)})
    _, manifest = own.prepare(None)
    assert list(manifest.classes.values()) == ["#000009", "#00ff00", "#090000", "#090909"]
    numbers = {0: 0, 1: 1, 2: 2, 7: 3, 254: 4, 255: 255}
    for record in manifest.train:
        expected = np.vectorize(numbers.get)(own.values[record.id])
        assert (read_mask(own.root / "out" / record.mask) == expected).all()


def test_smoothed_colours_are_refused_without_a_list(own: Own) -> None:
    photograph(1).save(own.masks / "pic 0.png")
    assert "colours fill no area, as smoothed edges do" in own.refused(None)


@pytest.mark.parametrize(("text", "folds", "rule"), [
    (NAMES + "novel: [cat, 7]\n", ((1, 7),), "listed"),
    (NAMES + "novel:\n  - [cat, dog]\n  - ['no']\n", ((1, 2), (254,)), "listed"),
    (NAMES + "folds: 3\n", ((1, 2), (7,), (254,)), "contiguous"),
    ("classes: [a, b, c, d, e, f, g]\n", ((1, 2), (3, 4), (5, 6), (7,)), "contiguous"),
])  # fmt: skip
def test_folds_are_listed_or_made(
    own: Own, text: str, folds: tuple[tuple[int, ...], ...], rule: str
) -> None:
    own.values = {n: np.minimum(v, 7) for n, v in own.values.items()}
    for name, values in own.values.items():
        write(own.masks / f"{name}.png", png_bytes(values))
    _, manifest = own.prepare(text)
    assert (manifest.folds, manifest.folds_rule) == (folds, rule)


def test_folds_option(own: Own) -> None:
    assert own.prepare(folds=2)[1].folds == ((1, 2), (7, 254))
    assert "4 classes cannot make 5 folds" in Own(own.root / "b").refused(folds=5)
    assert "exclude each other" in Own(own.root / "c").refused(NAMES + "novel: [cat]\n", folds=2)


@pytest.mark.parametrize(("text", "expected"), [
    ("", "names no classes"),
    ("- a\n", "names no classes"),
    ("classes: {}\n", "names no classes"),
    ("classes: 3\n", "expected 'id: name' lines or a list"),
    ("classes: {0: cat}\n", "classes: 0: an id is a whole number of 1 to 254"),
    ("classes: {255: cat}\n", "classes: 255: an id"),
    ("classes: {a: cat}\n", "classes: a: an id"),
    ("classes: {1: cat, 2: cat}\n", "two are named 'cat'"),
    ("classes: {1: cat, 1: dog}\n", "is not readable YAML"),
    ("classes: {1: }\n", "None is not a name"),
    ("classes: {1: [cat]}\n", "is not a name"),
    ("classes: {1: {color: '#000001'}}\n", "expected a name, or 'name' and 'color'"),
    ("classes: [a, b]\nother: 1\n", "unknown key 'other'"),
    ("classes: [a, b]\nnovel: [c]\n", "novel: fold 0: 'c' is no class"),
    ("classes: [a, b]\nnovel: [a, a]\n", "'a' is there twice"),
    ("classes: [a, b]\nnovel: [a, b]\n", "fold 0 holds 2 of 2 classes"),
    ("classes: [a, b]\nnovel: []\n", "expected a list of classes a fold"),
    ("classes: [a, b]\nfolds: 3\n", "folds: 3 is not a number of 2 to 2"),
    ("classes: [a, b]\nfolds: 2\nnovel: [a]\n", "folds and novel exclude each other"),
    ("classes: {1: {name: a, color: red}, 2: b}\n", "colour 'red' is neither"),
    ("classes: {1: {name: a, color: [1, 2, 300]}, 2: b}\n", "is neither"),
    ("classes: {1: {name: a, color: '#000001'}, 2: b}\n", "class 2 has no color"),
    ("classes: {1: {name: a, color: '#000001'}, 2: {name: b, color: '#000001'}}\n", "one colour"),
    ("classes: {1: {name: a, color: '#000001'}}\nignore: '#000001'\n", "or ignore has the colour"),
    ("classes: [a, {b\n", "is not readable YAML"),
])  # fmt: skip
def test_broken_classes_files_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(FsslibError) as caught:
        read_classes_file(write(tmp_path / "classes.yaml", text.encode()))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_may_be_json(tmp_path: Path) -> None:
    path = write(tmp_path / "classes.json", b'{"classes": {"1": "a"}, "folds": null}')
    with pytest.raises(FsslibError, match="an id is a whole number"):
        read_classes_file(path)
    path = write(tmp_path / "classes.json", '{"classes": ["a", "é"]}'.encode())
    assert dict(read_classes_file(path).classes) == {1: "a", 2: "é"}


def test_undefined_ids_and_colours_are_named_with_their_place(own: Own) -> None:
    values = own.values["pic 3"].copy()
    values[5, 6] = 9
    write(own.masks / "pic 3.png", png_bytes(values))
    assert "pic 3.png holds class id 9 at row 5, column 6" in own.refused()
    own.color({1: (255, 0, 0), 2: (0, 255, 0), 255: (255, 255, 255), 7: (1, 2, 3)})
    assert "holds colour #010203 at row" in own.refused(COLORS)


def test_colour_masks_need_listed_colours(own: Own) -> None:
    own.color({1: (255, 0, 0)})
    assert "holds colours: give every class its color" in own.refused()


def test_masks_of_zero_and_255_show_one_class(own: Own) -> None:
    for name, values in own.values.items():
        write(own.masks / f"{name}.png", png_bytes(np.where(values > 0, 255, 0).astype(np.uint8)))
    report, manifest = own.prepare(None)
    assert report.masks == "binary"
    assert manifest.classes == {1: own.root.name}
    assert manifest.folds == ((1,),)
    assert f"one class, called {own.root.name!r} after its folder" in report.notes[0]
    for record in manifest.train:
        found = read_mask(own.root / "out" / record.mask)
        assert (found == (own.values[record.id] > 0)).all()


@pytest.mark.parametrize("kind", ["1", "I;16"])
def test_one_bit_and_sixteen_bit_masks_are_read(own: Own, kind: str) -> None:
    for name, values in own.values.items():
        binary = (values == 1).astype(np.uint8)
        image = Image.fromarray(binary * 255).convert("1")
        if kind == "I;16":
            image = Image.fromarray(np.where(binary, 254, 2).astype(np.uint16))
            own.values[name] = np.where(binary, 254, 2)
        else:
            own.values[name] = binary
        image.save(own.masks / f"{name}.png")
    _, manifest = own.prepare()
    for record in manifest.train:
        assert (read_mask(own.root / "out" / record.mask) == own.values[record.id]).all()


def test_large_values_transparency_and_jpeg_masks_are_refused(own: Own) -> None:
    path = own.masks / "pic 5.png"
    Image.fromarray(np.full((40, 60), 300, np.uint16)).save(path)
    assert "pic 5.png holds value 300" in own.refused()
    own.color({1: (255, 0, 0)})
    Image.new("RGBA", (60, 40), (255, 0, 0, 128)).save(path)
    assert "is partly transparent" in own.refused(COLORS)
    for name, values in own.values.items():
        write(own.masks / f"{name}.png", png_bytes(values))
    path.unlink()
    Image.new("L", (60, 40)).save(own.masks / "pic 5.jpg")
    assert "pic 5.jpg is a JPEG, which alters class ids" in own.refused()


def test_unpaired_photographs_are_left_out_and_unpaired_masks_refused(own: Own) -> None:
    (own.masks / "pic 4.png").unlink()
    report, manifest = own.prepare()
    assert report.unlabelled == 1
    assert "pic 4" not in {r.id for r in (*manifest.train, *manifest.val)}
    (own.images / "pic 6.jpg").unlink()
    with pytest.raises(FsslibError, match=r"pic 6\.png has no photograph in .* \(1 in all\)"):
        own.prepare(out="other")


def test_mask_suffix(own: Own) -> None:
    for path in list(own.masks.iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    assert own.prepare(mask_suffix="_mask")[0].train == 8
    assert own.prepare(out="guessed")[0].train == 8
    with pytest.raises(FsslibError, match="holds no mask that ends in '_other'"):
        own.prepare(out="other", mask_suffix="_other")


@pytest.mark.parametrize("orientation", [3, 6])
def test_masks_on_displayed_or_stored_pixels(own: Own, orientation: int) -> None:
    """The photograph's red left half must stay under the mask's class, however both are kept."""
    shown = np.zeros((32, 48, 3), np.uint8)
    shown[:, :24, 0] = 255
    label = (shown[..., 0] == 255).astype(np.uint8)
    undo = {3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(undo(shown))
    Image.fromarray(stored).save(own.images / "pic 0.jpg", quality=100, subsampling=0, exif=exif)
    for choice, kept in (("displayed", label), ("stored", np.ascontiguousarray(undo(label)))):
        write(own.masks / "pic 0.png", png_bytes(kept))
        report, _ = own.prepare(out=choice, exif=choice)
        assert report.turned == 1
        out = own.root / choice
        photo = read_image(out / "JPEGImages/pic 0.jpg")
        mask = read_mask(out / "SegmentationClass/pic 0.png")
        assert ((photo[..., 0] > 128) == (mask == 1)).all()


def test_a_mask_on_stored_pixels_is_refused_by_default(own: Own) -> None:
    write(own.images / "pic 0.jpg", jpeg_bytes(0, 40, 60, orientation=6))
    assert "use --exif stored if masks ignore it" in own.refused()
    assert "neither displayed nor stored" in own.refused(exif="other")


def test_mask_of_another_size_is_refused(own: Own) -> None:
    write(own.masks / "pic 2.png", png_bytes(mask_values(0, [1], 41, 60)))
    assert "pic 2.png is 60x41 px, its photograph" in own.refused()


def test_draw_depends_on_each_id_alone() -> None:
    ids = [f"{i}" for i in range(200)]
    some = split_ids(ids, FolderOptions())
    again = split_ids(ids[::-1], FolderOptions())
    assert some == again
    assert (len(some["train"]), len(some["val"])) == (160, 40)
    assert split_ids(ids, FolderOptions(seed=1)) != some
    more = split_ids([*ids, "new"], FolderOptions())
    assert len(set(more["val"]) ^ set(some["val"])) <= 2


def test_each_class_can_be_scored_after_the_draw() -> None:
    """Forty images of four classes, and one rare class beside another."""
    ids = [f"{i:02}" for i in range(40)]
    for seed in range(30):
        held = {i: {int(i) % 4} | ({9} if int(i) < 5 else set()) for i in ids}
        splits = split_ids(ids, FolderOptions(seed=seed), None, held)
        assert sorted(splits["train"] + splits["val"]) == ids
        assert 8 <= len(splits["val"]) <= 10
        for class_id in (0, 1, 2, 3, 9):
            assert sum(class_id in held[i] for i in splits["val"]) >= 2
    few = {i: {9} for i in ids[:3]}
    assert len(split_ids(ids, FolderOptions(), None, few)["val"]) == 8


def test_lists_decide_the_split(own: Own) -> None:
    train = write(own.root / "train.txt", b"pic 1\npic 2\npic 3\n")
    val = write(own.root / "val.txt", b"pic 8\n")
    _, manifest = own.prepare(train_list=train, val_list=val)
    assert [r.id for r in manifest.train] == ["pic 1", "pic 2", "pic 3"]
    assert [r.id for r in manifest.val] == ["pic 8"]
    assert len(list((own.root / "out/JPEGImages").iterdir())) == 4
    other = Own(own.root / "b")
    assert "--train and --val go together" in other.refused(train_list=train)
    write(val, b"pic 3\n")
    assert "'pic 3' is in --train and --val" in other.refused(train_list=train, val_list=val)
    write(val, b"pic 77\n")
    assert "'pic 77' has no photograph with a mask" in other.refused(train_list=train, val_list=val)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_impossible_shares_are_refused(own: Own, share: float) -> None:
    assert "is not between 0 and 1" in own.refused(val_share=share)


def test_empty_and_missing_folders_are_named(own: Own, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FsslibError, match="holds no mask"):
        prepare_folder(own.images, tmp_path / "empty", None, tmp_path / "out")
    with pytest.raises(FsslibError, match=r"--images .* is not a folder"):
        prepare_folder(tmp_path / "gone", own.masks, None, tmp_path / "out")


def test_one_class_is_novel_and_makes_no_folds(own: Own) -> None:
    for name, values in own.values.items():
        write(own.masks / f"{name}.png", png_bytes(np.where(values > 0, 1, 0).astype(np.uint8)))
    assert own.prepare(None)[1].folds == ((1,),)
    assert "1 classes cannot make 2 folds" in Own(own.root / "b").refused("classes: [a]", folds=2)


def test_small_classes_are_marked(own: Own) -> None:
    _, manifest = own.prepare()
    assert all(row.too_small for row in class_rows(manifest))


def test_edited_and_removed_files_are_noticed_when_a_run_goes_on(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if what == "verified":
            raise KeyboardInterrupt

    classes = own.classes(NAMES)
    with pytest.raises(KeyboardInterrupt):
        prepare_folder(own.images, own.masks, classes, own.root / "out", on_progress=stop)
    edited = own.masks / "pic 1.png"
    write(edited, png_bytes(mask_values(0, [254])))
    later = edited.stat().st_mtime_ns + 10**10
    os.utime(edited, ns=(later, later))
    for path in (own.masks / "pic 2.png", own.images / "pic 2.jpg"):
        path.unlink()
    read: list[str] = []
    real = mask_source.read_any_mask
    monkeypatch.setattr(
        mask_source, "read_any_mask", lambda p, c: (read.append(p.name), real(p, c))[1]
    )
    _, manifest = prepare_folder(own.images, own.masks, classes, own.root / "out")
    records = {r.id: r for r in (*manifest.train, *manifest.val)}
    assert read == ["pic 1.png"]
    assert set(records["pic 1"].pixels) == {0, 254, 255}
    assert "pic 2" not in records
    assert not (own.root / "out/JPEGImages/pic 2.jpg").exists()
