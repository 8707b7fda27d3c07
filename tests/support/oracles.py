"""The published way to score an episode, written to be checked by eye, not to be fast.

Every support and the query are encoded again for each episode; features are upsampled to image
size; prototypes are explicit masked sums; rectification is loops in float64; scores are upsampled
and the largest wins (the arithmetic of PANet and of the baseline that the paper releases).
"""

import numpy as np
import torch
import torch.nn.functional as F


def upsampled(maps, size):
    """(n, h, w) -> (n, H, W), bilinear, align_corners."""
    return F.interpolate(maps[None], size, mode="bilinear", align_corners=True)[0]


def naive_prototype(feature, where):
    """Eq. 2 on upsampled features: (C, h, w) and (H, W) bool -> (C,)."""
    full = upsampled(feature, where.shape)
    return (full * where).sum((1, 2)) / where.sum().clamp(min=1)


def cosine(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def naive_rectified(prototype, embedding, index, top_n, beta):
    """Eq. 8 and 9 for one support, in loops; `index` as a RegionIndex."""
    images, regions, owner = index.images.numpy(), index.regions.numpy(), index.owner.numpy()
    with_regions = [i for i in range(len(images)) if (owner == i).any()]
    with_regions.sort(key=lambda i: -cosine(images[i], embedding))
    nearest = []
    for i in with_regions[:top_n]:
        mine = [regions[r] for r in range(len(regions)) if owner[r] == i]
        nearest.append(max(mine, key=lambda region: cosine(region, prototype)))
    weights = [max(0.0, cosine(region, prototype)) for region in nearest]
    if sum(weights) == 0:
        return np.asarray(prototype, np.float64)
    mix = sum(
        m / sum(weights) * r.astype(np.float64) for m, r in zip(weights, nearest, strict=True)
    )
    return (1 - beta) * np.asarray(prototype, np.float64) + beta * mix


def naive_prototypes(encode, read_image, read_mask, episode, **options):
    """Foreground of each way and background of one episode: (ways, C) and (C,)."""
    index, global_background = options.get("index"), options.get("global_background")
    foregrounds, backgrounds = [], []
    for class_id, ids in zip(episode.class_ids, episode.supports, strict=True):
        shots = []
        for image_id in ids:
            feature = encode(read_image(image_id))
            mask = torch.tensor(read_mask(image_id))
            prototype = naive_prototype(feature, mask == class_id)
            rest = mask != 255
            for way in episode.class_ids:
                rest &= mask != way
            if rest.any():
                backgrounds.append(naive_prototype(feature, rest))
            if index is not None:
                embedding = feature.flatten(1).mean(1)
                moved = naive_rectified(
                    prototype, embedding, index, options["top_n"], options["beta"]
                )
                prototype = torch.from_numpy(moved).float()
            shots.append(prototype)
        foregrounds.append(torch.stack(shots).mean(0))
    background = (
        torch.stack(backgrounds).mean(0) if backgrounds else torch.zeros_like(foregrounds[0])
    )
    if global_background is not None:
        background = options["w"] * global_background + (1 - options["w"]) * background
    return torch.stack(foregrounds), background


def naive_episode(encode, read_image, read_mask, episode, *, sigma=20.0, **options):
    """Labels of the query: (H, W) uint8, 0 or a class id."""
    with torch.no_grad():
        foregrounds, background = naive_prototypes(
            encode, read_image, read_mask, episode, **options
        )
        image = read_image(episode.query)
        feature = encode(image)
        scores = [
            F.cosine_similarity(feature, prototype[:, None, None], dim=0) * sigma
            for prototype in (background, *foregrounds)
        ]
        winner = upsampled(torch.stack(scores), image.shape[:2]).argmax(0)
    return np.array((0, *episode.class_ids), np.uint8)[winner.numpy()]


def naive_class_iou(episodes, labels, read_mask):
    """{class: IoU} over the episodes of one seed, pixel sums by class, 255 left out."""
    both, either = {}, {}
    for episode, predicted in zip(episodes, labels, strict=True):
        mask = read_mask(episode.query)
        for class_id in episode.class_ids:
            a, b = (mask == class_id), (predicted == class_id) & (mask != 255)
            both[class_id] = both.get(class_id, 0) + int((a & b).sum())
            either[class_id] = either.get(class_id, 0) + int((a | b).sum())
    return {c: both[c] / either[c] for c in both}


def naive_fb_iou(episodes, labels, read_mask):
    """Mean of background and foreground IoU over the episodes of one seed, classes pooled."""
    both, either = np.zeros(2), np.zeros(2)
    for episode, predicted in zip(episodes, labels, strict=True):
        mask = read_mask(episode.query)
        valid = mask != 255
        truth = np.isin(mask, episode.class_ids)
        for side in (0, 1):
            a, b = (truth == side) & valid, ((predicted > 0) == side) & valid
            both[side] += (a & b).sum()
            either[side] += (a | b).sum()
    return float((both / either).mean())
