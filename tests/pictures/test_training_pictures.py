"""The picture of training: always the same images, and a trainer that never notices."""

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image

from fsslib.data.images import read_image
from fsslib.data.transforms import centre_square
from fsslib.pictures.panels import GAP, TILE, colour_mask, compared_mask, overlay
from fsslib.pictures.panels import PREDICTION as ORANGE
from fsslib.pictures.training import fixed_examples, no_picture, training_picture
from tests.support.toy import CLASSES, differing, make_batches, make_trainer, state_of


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.fixture(scope="module")
def batches(discs):
    return make_batches(discs)


@pytest.fixture(scope="module")
def examples(batches):
    return fixed_examples(batches)


def equal(one, other):
    def parts(examples):
        episodes = [(e.name, e.images, e.masks) for e in examples.episodes]
        return episodes + [("", i.image, i.mask) for i in examples.pool]

    return all(
        a[0] == b[0] and torch.equal(a[1], b[1]) and torch.equal(a[2], b[2])
        for a, b in zip(parts(one), parts(other), strict=True)
    )


def test_examples_show_every_base_class_before_one_comes_twice(examples):
    names = [e.name for e in examples.episodes]
    assert set(names[:3]) == {"ant", "bee", "cow"}
    assert len(names) == 4
    assert len(examples.pool) == 4
    for episode in examples.episodes:
        assert episode.images.shape == (2, 3, 32, 32)
        assert (episode.masks == 1).flatten(1).any(dim=1).all()


def test_examples_are_the_same_whatever_the_number_of_steps(discs, examples):
    assert equal(examples, fixed_examples(make_batches(discs, steps=99)))


def test_examples_repeat_no_training_pair(batches, examples):
    drawn = {batches[step]["query_images"][slot].numpy().tobytes()
             for step in range(6) for slot in range(2)}  # fmt: skip
    shown = {e.images[-1].numpy().tobytes() for e in examples.episodes}
    assert not drawn & shown


def test_pool_images_are_shown_as_they_are_not_augmented(batches, examples):
    squares = []
    for item in batches.pool:
        image = torch.from_numpy(read_image(item.path).copy()).permute(2, 0, 1)
        squares.append(centre_square(image, image[0], 32)[0])
    for shown in examples.pool:
        assert any(torch.equal(shown.image, square) for square in squares)
    assert len({shown.image.numpy().tobytes() for shown in examples.pool}) == 4


def drawn(trainer, examples, monkeypatch):
    blocks = []
    monkeypatch.setattr("fsslib.pictures.training.sheet", lambda found: blocks.extend(found) or b"")
    training_picture(trainer, examples)
    return [(title, [t for row in rows for t in row if t[0]]) for title, rows in blocks]


def iou_of(mask, truth):
    hits = either = 0
    for place in np.ndindex(truth.shape):
        if truth[place] != 255:
            a, b = mask[place] == 1, truth[place] == 1
            hits, either = hits + (a and b), either + (a or b)
    return 100 * hits / either


def test_predictions_are_those_of_a_training_step(batches, examples, monkeypatch):
    trainer = make_trainer(background_share=0.5)
    trainer.step(batches[0])
    seen = []
    record = trainer.encoder.forward
    monkeypatch.setattr(trainer.encoder, "forward", lambda x: seen.append(record(x)) or seen[-1])
    (title, tiles), (mined_title, mined) = drawn(trainer, examples, monkeypatch)
    assert title.startswith("Episodes of base classes, step 1 of 6: mean IoU ")
    ious = []
    for number, episode in enumerate(examples.episodes):
        (support, query), (given, truth) = seen[number].double(), episode.masks
        weigh = torch.nn.functional.interpolate
        full = weigh(support[None], (32, 32), mode="bilinear", align_corners=True)[0]
        foreground, own = (full[:, given == value].mean(dim=1) for value in (1, 0))
        background = 0.5 * trainer.memory.value() + 0.5 * own
        scores = torch.stack(
            [torch.cosine_similarity(query, p[:, None, None], 0) for p in (background, foreground)]
        )
        scores = weigh(scores[None], (32, 32), mode="bilinear", align_corners=True)[0]
        predicted = (scores[1] > scores[0]).numpy().astype(np.uint8)
        ious.append(iou_of(predicted, truth.numpy()))
        captions = [caption for caption, _ in tiles[3 * number : 3 * number + 3]]
        assert captions == [
            f"support: {episode.name}", "truth", f"prediction, IoU {ious[-1]:.0f}"
        ]  # fmt: skip
        photograph = episode.images[1].permute(1, 2, 0).numpy()
        expected = np.asarray(overlay(photograph, predicted, ORANGE))
        assert np.array_equal(np.asarray(tiles[3 * number + 2][1]), expected)
    assert title.endswith(f" {np.mean(ious):.0f}")

    shares = []
    trainer.head.eval()
    for number, shown in enumerate(examples.pool):
        with torch.no_grad():
            logits = trainer.head(seen[4 + number])
        full = weigh(logits, (32, 32), mode="bilinear", align_corners=True)[0]
        labels, pseudo = full.argmax(dim=0).numpy().astype(np.uint8), shown.mask.numpy()
        shares.append(100 * (labels == pseudo).mean())
        (_, photo), (_, mask), (caption, answer) = mined[3 * number : 3 * number + 3]
        assert np.array_equal(np.asarray(photo), shown.image.permute(1, 2, 0).numpy())
        assert np.array_equal(np.asarray(mask), np.asarray(colour_mask(pseudo)))
        assert np.array_equal(np.asarray(answer), np.asarray(compared_mask(labels, pseudo)))
        assert caption == f"auxiliary head, {shares[-1]:.0f} % agree"
    assert mined_title.endswith(f": {np.mean(shares):.0f} % agree")


def test_the_baseline_shows_episodes_alone(discs, monkeypatch):
    batches = make_batches(discs, mined=False)
    blocks = drawn(make_trainer(None), fixed_examples(batches), monkeypatch)
    assert len(blocks) == 1
    assert len(blocks[0][1]) == 12


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_training_with_pictures_ends_in_the_same_bits(discs, classes):
    batches = make_batches(discs, mined=classes is not None)
    states, rows = [], []
    for watched in (False, True):
        trainer = make_trainer(classes, background_share=0.5)
        examples = fixed_examples(batches)
        rows.append([])
        for step in range(3):
            if watched:
                training_picture(trainer, examples)
            rows[-1].append(trainer.step(batches[step]))
        if watched:
            training_picture(trainer, examples)
        states.append(state_of(trainer))
    assert rows[0] == rows[1]
    assert differing(*states) == []


def test_a_picture_takes_no_random_number_and_leaves_every_mode(examples):
    trainer = make_trainer()
    modules = [*trainer.encoder.modules(), *trainer.head.modules()]
    modes = [m.training for m in modules]
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    training_picture(trainer, examples)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert [m.training for m in modules] == modes
    assert trainer.head.training


def test_modes_come_back_when_drawing_fails(examples, monkeypatch):
    trainer = make_trainer()
    monkeypatch.setattr("fsslib.pictures.training.query_scores", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training_picture(trainer, examples)
    assert trainer.encoder.training
    assert trainer.head.training


def test_the_same_state_gives_the_same_png(batches, examples):
    trainer = make_trainer()
    first = training_picture(trainer, examples)
    assert first == training_picture(trainer, examples)
    height, width, _ = opened(first).shape
    assert width == 6 * (TILE + GAP) + TILE // 12 + GAP
    assert height == 4 * (TILE + 20 + GAP) + 2 * (30 + GAP)
    trainer.step(batches[0])
    assert first != training_picture(trainer, examples)


def test_no_picture_says_why():
    sheet = opened(no_picture("none wanted"))
    assert (sheet[:20] < 128).any()
    assert (sheet[20:] == 255).all()
