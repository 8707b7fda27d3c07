"""Training transforms: image and mask move together, every choice from the generator given."""

import numpy as np
import pytest
import torch

from fsslib.data import transforms
from fsslib.data.colours import draw_colours
from fsslib.data.transforms import (
    GRAY,
    centre_square,
    crop_on_class,
    pad_to,
    rescale,
    strong_crop,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def marked(height, width):
    """An image whose first two channels tell each pixel's row and column; a mask to match."""
    rows = torch.arange(height).view(-1, 1).expand(height, width)
    columns = torch.arange(width).view(1, -1).expand(height, width)
    image = torch.stack([rows, columns, torch.full((height, width), 7)]).to(torch.uint8)
    return image, ((rows * 31 + columns * 7) % 5 == 0).to(torch.uint8)


def assert_aligned(image, mask, source_mask):
    """Every pixel that is not padding carries the mask value of the place it came from."""
    inside = image[2] == 7
    assert inside.any()
    expected = source_mask[image[0][inside].long(), image[1][inside].long()]
    assert torch.equal(mask[inside], expected)
    assert (mask[~inside] == 255).all()


def test_padding_fills_right_and_below_with_gray_and_ignore():
    image, mask = marked(5, 8)
    padded, padded_mask = pad_to(image, mask, 9)
    assert padded.shape == (3, 9, 9)
    assert torch.equal(padded[:, :5, :8], image)
    assert torch.equal(padded_mask[:5, :8], mask)
    outside = torch.ones(9, 9, dtype=torch.bool)
    outside[:5, :8] = False
    assert (padded[:, outside] == GRAY).all()
    assert (padded_mask[outside] == 255).all()


def test_larger_images_are_not_padded():
    image, mask = marked(9, 12)
    assert pad_to(image, mask, 9)[0].shape == (3, 9, 12)


@pytest.mark.parametrize(("size", "corner"), [((24, 40), (0, 8)), ((41, 24), (8, 0))])
def test_centre_square_of_a_photograph(size, corner):
    image, mask = marked(*size)
    square, square_mask = centre_square(image, mask, 24)
    assert square.shape == (3, 24, 24)
    assert_aligned(square, square_mask, mask)
    assert square[:2, 0, 0].tolist() == list(corner)
    smaller, smaller_mask = centre_square(image, mask, 12)
    assert smaller.shape == (3, 12, 12)
    assert smaller_mask.shape == (12, 12)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [(40, 60), (20, 70), (70, 20), (10, 12), (24, 24)])
def test_crop_keeps_image_and_mask_aligned(size, seed):
    image, mask = marked(*size)
    cropped, cropped_mask = crop_on_class(image, mask, 24, 10, rng(seed))
    assert cropped.shape == (3, 24, 24)
    assert cropped_mask.shape == (24, 24)
    assert cropped.dtype == cropped_mask.dtype == torch.uint8
    assert_aligned(cropped, cropped_mask, mask)


@pytest.mark.parametrize("corner", [(0, 0), (0, 198), (298, 0), (298, 198), (150, 100)])
def test_crop_shows_a_small_class_wherever_it_lies(corner):
    image, mask = marked(300, 200)
    mask[:] = 0
    row, column = corner
    mask[row : row + 2, column : column + 2] = 1
    for seed in range(20):
        _, shown = crop_on_class(image, mask, 32, 4, rng(seed))
        assert (shown == 1).any()


def test_crop_prefers_one_with_enough_pixels_of_the_class():
    image, mask = marked(100, 100)
    mask[:] = 0
    mask[40:60, 40:60] = 1
    enough = sum(
        int((crop_on_class(image, mask, 45, 350, rng(s))[1] == 1).sum()) >= 350 for s in range(40)
    )
    first = sum(
        int((crop_on_class(image, mask, 45, 1, rng(s))[1] == 1).sum()) >= 350 for s in range(40)
    )
    assert enough >= 34
    assert first <= 26


def test_crop_of_an_image_without_the_class_is_any_crop():
    image, mask = marked(50, 60)
    mask[:] = 0
    assert not crop_on_class(image, mask, 24, 5, rng())[1].any()


def test_every_crop_position_and_both_flips_are_drawn():
    image, mask = marked(26, 25)
    mask[:] = 1
    seen = set()
    for seed in range(200):
        cropped = crop_on_class(image, mask, 24, 1, rng(seed))[0]
        flipped = bool(cropped[1, 0, 0] > cropped[1, 0, 1])
        seen.add((int(cropped[0, 0, 0]), int(cropped[1].min()), flipped))
    assert seen == {(t, c, f) for t in range(3) for c in range(2) for f in (False, True)}


@pytest.mark.parametrize(("factor", "size"), [(0.5, (20, 31)), (1.5, (60, 92)), (2, (80, 122))])
def test_rescale_keeps_labels_as_they_are(factor, size):
    image, mask = marked(40, 61)
    mask[mask == 1] = 17
    mask[:3] = 255
    resized, resized_mask = rescale(image, mask, factor)
    assert resized.shape[1:] == resized_mask.shape
    assert all(abs(a - b) <= 1 for a, b in zip(resized_mask.shape, size, strict=True))
    assert set(resized_mask.unique().tolist()) <= {0, 17, 255}


def test_rescale_by_two_repeats_every_label():
    image, mask = marked(6, 7)
    assert torch.equal(rescale(image, mask, 2)[1], torch.from_numpy(np.kron(mask, [[1, 1]] * 2)))


def test_rescale_by_one_changes_nothing_and_never_vanishes():
    image, mask = marked(6, 7)
    assert torch.equal(rescale(image, mask, 1.0)[0], image)
    image, mask = marked(6, 200)
    assert rescale(image, mask, 0.05)[1].shape == (1, 10)


@pytest.mark.parametrize("seed", range(8))
def test_strong_crops_move_the_pseudo_mask_along(seed):
    # Halves: after a crop and resize each pixel still tells which half it came from.
    image, mask = torch.zeros(3, 60, 90, dtype=torch.uint8), torch.zeros(60, 90, dtype=torch.uint8)
    image[:, :, 45:], mask[:, 45:] = 200, 3
    image[:, :20], mask[:20] = 100, 5
    moved, moved_mask = strong_crop(image, mask, 32, rng(seed))
    assert moved.shape == (3, 32, 32)
    assert moved_mask.shape == (32, 32)
    values = {0: 0, 3: 200, 5: 100}
    expected = torch.zeros(32, 32)
    for label, value in values.items():
        expected[moved_mask == label] = value
    assert set(moved_mask.unique().tolist()) <= set(values)
    assert ((moved[0] - expected).abs() < 30).float().mean() > 0.9  # but for blended borders


def test_strong_crops_flip_half_of_the_time():
    image, mask = marked(60, 90)
    flips = 0
    for seed in range(60):
        moved = strong_crop(image, mask, 16, rng(seed))[0].float()
        flips += bool(moved[1, :, 0].mean() > moved[1, :, -1].mean())
    assert 15 < flips < 45


def test_crops_keep_between_a_quarter_and_all_of_the_image():
    shares, places = [], set()
    for seed in range(300):
        top, left, height, width = transforms._crop_box(120, 160, rng(seed))
        assert 0 <= top <= 120 - height
        assert 0 <= left <= 160 - width
        shares.append(height * width / (120 * 160))
        places.add((top, left))
    assert 0.24 < min(shares) < 0.3
    assert 0.9 < max(shares) <= 1
    assert len(places) > 200


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 3), (5, 300)])
def test_tiny_and_thin_images_are_augmented_too(size):
    image, mask = marked(*size) if max(size) < 256 else marked(5, 200)
    for seed in range(10):
        moved, moved_mask = strong_crop(image, mask, 32, rng(seed))
        moved = draw_colours(rng(seed)).apply(moved)
        assert moved.shape == (3, 32, 32)
        assert set(moved_mask.unique().tolist()) <= set(mask.unique().tolist())


@pytest.mark.parametrize("augment", [crop_on_class, None])
def test_the_generator_alone_decides(augment):
    image = torch.randint(0, 256, (3, 50, 60), dtype=torch.uint8)
    mask = (image[0] > 128).to(torch.uint8)

    def run(seed):
        if augment is None:
            generator = rng(seed)
            image_and_mask = strong_crop(image, mask, 24, generator)
            return draw_colours(generator).apply(image_and_mask[0]), image_and_mask[1]
        return crop_on_class(image, mask, 24, 20, rng(seed))

    torch.manual_seed(1)
    first = run(5)
    torch.manual_seed(2)
    np.random.default_rng()
    second = run(5)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert any(not torch.equal(run(s)[0], first[0]) for s in range(6, 9))
