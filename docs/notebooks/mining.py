# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Mining latent classes, step by step
#
# This notebook walks through *Mining Latent Classes for Few-shot Segmentation* (Yang et al., ICCV
# 2021) with the functions of `fsslib`. Each step names its equation. It needs nothing but the
# installed package: the images are rendered, the encoder's ImageNet weights came with pip, and all
# files lie in a temporary folder. It takes about fifteen seconds on one core.
#
# One thing is left out: training (eq. 1, 4 to 6). The encoder here is the pretrained one, so every
# number below is about the method before training. `dvc repro` runs the whole.

# %%
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from IPython.display import Image
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

import fsslib
from fsslib.data.images import read_image, read_mask
from fsslib.datasets.rendering.scenes import make_scenes
from fsslib.mining.pooling import upsample
from fsslib.mining.prototypes import PrototypeTable
from fsslib.pictures.clusters import cluster_sheet
from fsslib.pictures.panels import PREDICTION, TRUTH, colour_mask, grid, overlay
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.index_building import describe_regions

torch.set_num_threads(1)


def show(png: bytes) -> Image:
    """Show a picture as JPEG, which keeps the notebook small."""
    buffer = io.BytesIO()
    Picture.open(io.BytesIO(png)).convert("RGB").save(buffer, "JPEG", quality=75)
    return Image(data=buffer.getvalue(), format="jpeg")


# %% [markdown]
# ## 1. Images and folds
#
# The embedded benchmark (`dataset: procedural`) renders scenes of twenty classes. Each of four
# folds holds five classes back: they are *novel*, the other fifteen are *base* classes. In training
# images a novel object is not labelled. It stands in the background as a *latent class*, and it
# is what the paper mines.
#
# Below are four training images, each followed by the mask that training may read and the mask
# with all classes. What appears in the last one alone is latent in fold 0. The thin white ring
# around objects is ignored (255).

# %%
folder = tempfile.TemporaryDirectory()
manifest = make_scenes(Path(folder.name), train=80, val=40)
fold = 0
base, novel = manifest.base(fold), manifest.novel(fold)
print("novel:", ", ".join(manifest.classes[c] for c in novel))

images = {
    record.id: read_image(manifest.image_path(record)) for record in manifest.train + manifest.val
}
masks = {
    record.id: read_mask(manifest.mask_path(record)) for record in manifest.train + manifest.val
}


def hide_novel(mask: np.ndarray) -> np.ndarray:
    """The mask that training reads: novel classes are background."""
    return np.where(np.isin(mask, novel), 0, mask).astype(np.uint8)


hiding = [r.id for r in manifest.train if r.has_any(novel, 1500) and r.has_any(base, 1500)]
rows = [
    [
        ("image", Picture.fromarray(images[i])),
        ("labelled", colour_mask(hide_novel(masks[i]))),
        ("all classes", colour_mask(masks[i])),
    ]
    for i in hiding[:4]
]
show(grid([rows[0] + rows[1], rows[2] + rows[3]], 130))

# %% [markdown]
# ## 2. Encode
#
# The encoder makes one feature vector per 16 x 16 px. Each image is encoded once, and all later
# steps read the kept feature.

# %%
encoder = fsslib.build_encoder("timm:tf_efficientnet_lite2")
fsslib.load_weights(encoder, "installed")
encode = fsslib.make_encode(encoder, torch.device("cpu"), "float32")

features = {i: encode(image) for i, image in images.items()}
first = hiding[0]
print(f"image {images[first].shape}, feature {tuple(features[first].shape)}")

# %% [markdown]
# ## 3. Prototypes (eq. 2)
#
# Masked average pooling gives one prototype per image and class. `masked_sums` returns the
# numerator and the denominator of eq. 2 apart. So the prototypes of any fold follow by addition:
# novel classes are added to the background, and their labels do not enter the foreground.

# %%
rows = []
for record in manifest.train:
    classes = [c for c in np.unique(masks[record.id]) if c != 255]
    each = torch.from_numpy(np.stack([masks[record.id] == c for c in classes]))
    sums, counts = fsslib.masked_sums(features[record.id], each)
    rows += [
        (record.id, c, s, n) for c, s, n in zip(classes, sums.numpy(), counts.numpy(), strict=True)
    ]
table = PrototypeTable(*(np.array(column) for column in zip(*rows, strict=True)))
prototypes = fsslib.fold_prototypes(table, base, novel)
print(f"P_fg: {prototypes.foreground.shape}, P_bg: {prototypes.background.shape}")

# %% [markdown]
# ## 4. Sub-clusters (section 3.3.1)
#
# K-Means groups the foreground prototypes of all base classes into K sub-clusters. A sub-cluster is
# not a class: it collects regions that look alike to the encoder. The mean of the background
# prototypes is the row before them. Together they are the K + 1 representative prototypes.
#
# Each row below is a sub-cluster, from the largest to the smallest. On the left are its main
# classes, beside them the regions nearest to its centre. Most sub-clusters join a few classes that
# look alike: cars with trains, sheep with leopards, owls with sunflowers. The silhouette is near 0,
# so the groups touch: K-Means cuts one cloud of prototypes, it does not find separate heaps.

# %%
clusters = fsslib.cluster_prototypes(prototypes, k=5, seed=0)
print(f"P_rep: {clusters.prototypes.shape}, silhouette {clusters.silhouette:.2f}")
show(cluster_sheet(manifest, clusters, prototypes))

# %% [markdown]
# ## 5. Pseudo-masks (eq. 3)
#
# Each pixel of a pool image takes the label of the most similar representative prototype: 0 for
# background, 1 to K for a sub-cluster. No label of the image is read.
#
# The last picture of each four is the pseudo-mask. Its colours number the sub-clusters and have
# nothing to do with those of the classes. Where an object is hidden from training (black in the
# second picture, coloured in the third), the pseudo-mask shows a region of a sub-cluster, or of
# several: a latent class is mined. Edges are rough, since one feature covers 16 x 16 px, and
# clutter in the background is mined as well.

# %%
representatives = torch.from_numpy(clusters.prototypes)
pseudo = {r.id: fsslib.pseudo_mask(features[r.id], representatives, r.size) for r in manifest.train}
rows = [
    [
        ("image", Picture.fromarray(images[i])),
        ("labelled", colour_mask(hide_novel(masks[i]))),
        ("all classes", colour_mask(masks[i])),
        ("pseudo-mask", colour_mask(pseudo[i])),
    ]
    for i in hiding[:4]
]
show(grid([rows[0] + rows[1], rows[2] + rows[3]], 130))

# %% [markdown]
# How much of the novel classes is mined? The share of their pixels that lie in a sub-cluster says
# it. The same share of the true background should be low.

# %%
truth = np.concatenate([masks[r.id].ravel() for r in manifest.train])
mined = np.concatenate([pseudo[r.id].ravel() for r in manifest.train]) > 0
for c in novel:
    print(f"{manifest.classes[c]:<12}{mined[truth == c].mean():6.0%} in a sub-cluster")
print(f"{'background':<12}{mined[truth == 0].mean():6.0%}")

# %% [markdown]
# ## 6. The index of mined regions (section 3.4)
#
# For rectification every pool image keeps its image embedding (the mean of its feature) and one
# embedding per mined region.

# %%
described = [
    describe_regions(r.id, features[r.id], pseudo[r.id], "label", min_area=0.01)
    for r in manifest.train
]
index = RegionIndex(
    image_ids=tuple(d.id for d in described),
    images=torch.stack([d.image for d in described]),
    regions=torch.cat([d.regions for d in described]),
    owner=torch.repeat_interleave(torch.tensor([len(d.labels) for d in described])),
)
print(f"{len(index.images)} images, {len(index.regions)} regions")

# %% [markdown]
# ## 7. One episode by hand (eq. 5, 7 to 9)
#
# An episode has a query, a class and here one support (1-shot). First the plain prototypes: the
# average of the support's feature under its mask (eq. 2), and under the rest for the background.
# Each pixel of the query goes to the more similar one (eq. 5).

# %%
episodes = fsslib.draw_episodes(manifest.val, novel, seeds=[0], count=60, shots=1, min_pixels=1500)
episode = episodes[0]
(class_id,), ((support,),), query = episode.class_ids, episode.supports, episode.query

inside, outside = masks[support] == class_id, ~np.isin(masks[support], (class_id, 255))
foreground, background = fsslib.masked_average(
    features[support], torch.from_numpy(np.stack([inside, outside]))
)


def segment(foreground: torch.Tensor, background: torch.Tensor) -> np.ndarray:
    """Label the query by eq. 5, (H, W) bool."""
    margins = fsslib.score_margins(features[query], foreground[None, None], background[None])
    return upsample(margins[0, 0], masks[query].shape).numpy() > 0


plain = segment(foreground, background)

# %% [markdown]
# Then the rectified ones. For the foreground, `top_n` pool images are chosen by the cosine of the
# image embeddings, and the region most similar to the prototype is taken from each. Their weighted
# mean, with the weights of eq. 9, makes up the share beta of the new prototype (eq. 8). For the
# background, the global prototype is fused with the support's (eq. 7). Training keeps the global
# prototype as a moving average (eq. 6). Without training, the mean background prototype of section
# 4 stands in for it.
#
# The upper row shows the episode, the lower row the four relevant images with the regions that were
# taken: armchair, stem of a mushroom, gift and balloon. A pseudo-mask knows no classes, so a region
# need not be of the support's class. The teapot of the second image was not taken. The episode is
# the first of the list, not a chosen one. Both masks find most of the teapot and parts of other
# objects too; the rectified one finds less of the others.

# %%
embedding = fsslib.image_embedding(features[support])
(near,) = index.nearest_images(embedding[None], 4)
(mixed,) = fsslib.rectify_foreground(foreground[None], embedding[None], index, top_n=4, beta=0.2)
fused = fsslib.fuse_background(representatives[0], background, w=0.9)
rectified = segment(mixed, fused)


def iou(predicted: np.ndarray) -> float:
    """IoU with the query's mask, ignored pixels (255) left out."""
    true, valid = masks[query] == class_id, masks[query] != 255
    return (predicted & true & valid).sum() / ((predicted | true) & valid).sum()


def tinted(i: str, mask: np.ndarray, colour: tuple[int, int, int] = TRUTH) -> Picture.Image:
    return overlay(images[i], mask.astype(np.uint8), colour)


def region(row: int) -> np.ndarray:
    """Where the region of a relevant image is that eq. 8 takes, (H, W) bool."""
    cosines = torch.cosine_similarity(described[row].regions, foreground[None])
    return pseudo[index.image_ids[row]] == described[row].labels[int(cosines.argmax())]


episode_row = [
    (f"support: {manifest.classes[class_id]}", tinted(support, inside)),
    ("query, truth", tinted(query, masks[query] == class_id)),
    (f"plain, IoU {iou(plain):.2f}", tinted(query, plain, PREDICTION)),
    (f"rectified, IoU {iou(rectified):.2f}", tinted(query, rectified, PREDICTION)),
]
relevant_row = [
    (f"relevant image {number}", tinted(index.image_ids[row], region(row)))
    for number, row in enumerate(near.tolist(), 1)
]
show(grid([episode_row, relevant_row], 150))

# %% [markdown]
# `predict_episode` does all of this in one call, and gives the same mask.

# %%
setting = fsslib.Rectification(representatives[0], w=0.9, index=index, top_n=4, beta=0.2)
label = fsslib.predict_episode(encode, images.get, masks.get, episode, setting)
assert np.array_equal(label == class_id, rectified)

# %% [markdown]
# ## 8. Many episodes
#
# One episode proves little. `evaluate` scores a list of them and encodes each image once. The bars
# show the mIoU over 60 episodes without and with eq. 7 (w) and eq. 8 (beta); w = 0 and beta = 0
# leave the prototypes as they are.

# %%
results = []
for w in (0.0, 0.9):
    for beta in (0.0, 0.2, 0.4):
        setting = fsslib.Rectification(representatives[0], w, index, top_n=4, beta=beta)
        result = fsslib.evaluate(encode, images.get, masks.get, episodes, novel, setting)
        (miou,) = result.counts[1].miou()
        results.append((f"w = {w}, beta = {beta}", 100 * miou))


def bars(values: list[tuple[str, float]], width: int = 480, height: int = 24) -> Image:
    """Draw horizontal bars with their values, from 0 to 100."""
    chart = Picture.new("RGB", (width, height * len(values)), "white")
    pen, left = ImageDraw.Draw(chart), 140
    font = ImageFont.load_default(size=13)
    for number, (label, value) in enumerate(values):
        top, right = number * height, left + (width - left - 40) * value / 100
        pen.rectangle((left, top + 4, right, top + height - 4), PREDICTION)
        pen.text((4, top + 4), label, "black", font)
        pen.text((right + 6, top + 4), f"{value:.1f}", "black", font)
    buffer = io.BytesIO()
    chart.save(buffer, "PNG")
    return Image(data=buffer.getvalue())


bars(results)

# %% [markdown]
# Eq. 7 gains six points here, and eq. 8 costs about two at beta = 0.2. The lower row of section 7
# shows how: armchair, mushroom, gift and balloon are mixed into the prototype of a teapot. On these
# scenes a class is in few images of the pool, and images that look alike as a whole share a
# backdrop rather than the class. `docs/results.md` measures the same after training, and on
# photographs, where the regions gain at 1-shot.
#
# To go on: change `k`, `beta` or the fold above, or use your own images with
# `fsslib.load_dataset`. The next cell removes the temporary folder.

# %%
folder.cleanup()
