"""Pseudo-masks: eq. 3 in loops, and zips that every viewer and every process can read."""

import io
import multiprocessing
import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from fsslib.data.palette import voc_palette
from fsslib.errors import FsslibError
from fsslib.mining.pseudo_masks import PseudoMasks, encode_png, pseudo_mask, write_masks
from tests.support.helpers import bilinear, one_line

REMEDY = "run the stage 'annotate' again"


def naive_pseudo_mask(feature, prototypes, size):
    """Eq. 3 in float64: cosine by location, upsampled, then the largest by pixel."""
    count, (_, h, w) = len(prototypes), feature.shape
    cosine = np.zeros((count, h, w))
    for k in range(count):
        for y in range(h):
            for x in range(w):
                f = feature[:, y, x]
                dot = sum(float(a) * float(b) for a, b in zip(f, prototypes[k], strict=True))
                cosine[k, y, x] = dot / np.sqrt((f**2).sum() * (prototypes[k] ** 2).sum())
    scores = np.stack([bilinear(c, size) for c in cosine])
    ranked = np.sort(scores, axis=0)
    return scores.argmax(axis=0), ranked[-1] - ranked[-2]


@pytest.mark.parametrize(
    ("grid", "size"), [((4, 5), (29, 37)), ((1, 1), (6, 9)), ((3, 1), (20, 4)), ((6, 6), (6, 6))]
)
def test_pseudo_mask_equals_eq_3_in_loops(grid, size):
    rng = np.random.default_rng(3)
    feature = rng.normal(0, 1, (7, *grid)) * rng.uniform(0.1, 30, (1, *grid))
    prototypes = rng.normal(0, 1, (5, 7)) * rng.uniform(0.1, 30, (5, 1))
    expected, lead = naive_pseudo_mask(feature, prototypes, size)
    ours = pseudo_mask(
        torch.from_numpy(feature).float(), torch.from_numpy(prototypes).float(), size
    )
    assert ours.shape == size
    assert ours.dtype == np.uint8
    certain = lead > 1e-5  # where the two best are apart by more than rounding
    assert certain.mean() > 0.95
    assert (ours == expected)[certain].all()


def test_background_alone_labels_everything_0():
    assert not pseudo_mask(torch.randn(4, 3, 3), torch.randn(1, 4), (9, 9)).any()


def test_255_labels_fit():
    prototypes = torch.eye(255)
    feature = torch.eye(255)[:, 254].view(-1, 1, 1)
    assert (pseudo_mask(feature, prototypes, (2, 2)) == 254).all()


MASKS = {
    f"im{n}": np.random.default_rng(n).integers(0, 6, (20 + n, 30)).astype(np.uint8)
    for n in range(5)
} | {"@0/sub/ü.jpg": np.full((3, 2), 4, np.uint8)}
SMALL = np.array([[0, 1, 2, 3], [5, 5, 0, 1]], np.uint8)


def write(folder, masks=MASKS):
    pictures = [(i, encode_png(m)) for i, m in masks.items()]
    write_masks(folder / "00000.zip", pictures[:2])
    write_masks(folder / "00001.zip", iter(pictures[2:]))
    return PseudoMasks(folder)


def test_every_mask_reads_back_by_its_id(tmp_path):
    reader = write(tmp_path)
    assert reader.ids() == list(MASKS)
    for image_id in reversed(MASKS):
        assert np.array_equal(reader.read(image_id), MASKS[image_id])


def test_png_shows_the_voc_palette(tmp_path):
    image = Image.open(io.BytesIO(encode_png(np.array([[0, 1], [2, 15]], np.uint8))))
    assert (image.format, image.mode) == ("PNG", "P")
    shown = np.asarray(image.convert("RGB"))
    assert shown.tolist() == [[[0, 0, 0], [128, 0, 0]], [[0, 128, 0], [192, 128, 128]]]
    assert voc_palette()[255 * 3 :] == (224, 224, 192)


def test_png_keeps_every_label():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(labels)))), labels)


def test_the_same_masks_give_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    write(tmp_path / "b")
    for name in ("00000.zip", "00001.zip"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_zip_is_plain_and_uncompressed(tmp_path):
    write(tmp_path)
    with zipfile.ZipFile(tmp_path / "00001.zip") as archive:
        assert archive.testzip() is None
        assert [i.filename for i in archive.infolist()] == [f"{i}.png" for i in list(MASKS)[2:]]
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        # The time of writing would make every run's bytes different.
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def _sum_masks(reader, ids, queue):
    try:
        queue.put([int(reader.read(i).sum()) for i in ids])
    except FsslibError as error:
        queue.put(str(error))


def test_forked_processes_and_this_one_read_at_the_same_time(tmp_path):
    reader = write(tmp_path)
    order = [i for i in MASKS for _ in range(100)]
    expected = [int(MASKS[i].sum()) for i in order]
    reader.read("im0")  # opened here, before the fork
    reader.read("im4")
    context = multiprocessing.get_context("fork")  # as DataLoader's workers on Linux
    queue = context.Queue()
    workers = [context.Process(target=_sum_masks, args=(reader, order, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    here = [int(reader.read(i).sum()) for i in order]
    there = [queue.get(timeout=20) for _ in workers]
    for worker in workers:
        worker.join()
    assert here == expected
    assert there == [expected, expected]


def test_a_reader_that_was_used_can_be_pickled(tmp_path):
    reader = write(tmp_path)
    reader.read("im0")
    copy = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(copy.read("im4"), MASKS["im4"])


def test_unknown_image_and_empty_folder_are_refused(tmp_path):
    assert one_line(PseudoMasks, tmp_path) == f"{tmp_path} holds no pseudo-masks: {REMEDY}"
    reader = write(tmp_path)
    assert one_line(reader.read, "im9") == f"image im9 has no pseudo-mask: {REMEDY}"


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_truncated_zip_is_one_line_with_the_remedy(tmp_path, keep):
    write(tmp_path)
    path = tmp_path / "00001.zip"
    path.write_bytes(path.read_bytes()[:keep])
    message = one_line(PseudoMasks, tmp_path)
    assert message.startswith(f"{path} is damaged")
    assert message.endswith(REMEDY)


def test_any_changed_byte_is_told_or_harmless(tmp_path):
    write(tmp_path, {"a": MASKS["im0"], "b": MASKS["im1"], "c": SMALL})
    path = tmp_path / "00001.zip"
    content = path.read_bytes()
    told = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        message, found = read_small(tmp_path)
        if message is None:
            assert np.array_equal(found, SMALL), position
        else:
            assert message.endswith(REMEDY)
            assert "\n" not in message
            told += 1
    start, end = content.index(b"\x89PNG"), content.index(b"IEND")
    assert told > end - start


def read_small(folder):
    """The error's message or the mask; any other exception fails the test."""
    try:
        return None, PseudoMasks(folder).read("c")
    except FsslibError as error:
        return str(error), None
