"""Representative sub-clusters: known groups, a fixed order, the same bytes on any machine."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fsslib.files.storage import create_hdf5
from fsslib.mining.clusters import cluster_prototypes, cluster_report, load_clusters, save_clusters
from fsslib.mining.prototypes import FoldPrototypes
from tests.support.helpers import one_line

CENTRES = np.array([[9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0]], np.float32)
SIZES = [5, 12, 8]
REMEDY = "run the stage 'cluster' again"


def prototypes_of(foreground, background=None, classes=None):
    n = len(foreground)
    if background is None:
        background = np.arange(12, dtype=np.float32).reshape(3, 4)
    return FoldPrototypes(
        foreground=np.asarray(foreground, np.float32),
        foreground_class=np.asarray(classes if classes is not None else [1] * n, np.int64),
        foreground_image=np.array([f"im{i}" for i in range(n)]),
        background=background,
    )


def groups(seed=0):
    """Three tight groups of 5, 12 and 8 prototypes, shuffled; and the group of each."""
    rng = np.random.default_rng(seed)
    member = rng.permutation(np.repeat([0, 1, 2], SIZES))
    return CENTRES[member] + rng.normal(0, 0.1, (25, 4)), member


def cloud(n=400, channels=64):
    """No groups at all: K-Means' result hangs on every rounding."""
    return np.random.default_rng(1).normal(0, 1, (n, channels)).astype(np.float32)


def test_clear_groups_are_found_largest_first():
    samples, member = groups()
    found = cluster_prototypes(prototypes_of(samples), 3, seed=0)
    order = [1, 2, 0]  # of 12, 8 and 5
    for row, group in enumerate(order, start=1):
        mean = samples[member == group].astype(np.float32).mean(axis=0)
        assert np.allclose(found.prototypes[row], mean, atol=1e-5)
        assert (found.assignment[member == group] == row).all()
    assert found.k == 3
    assert found.prototypes.dtype == np.float32


def test_row_0_is_the_mean_of_the_background_prototypes():
    samples, _ = groups()
    background = np.random.default_rng(2).normal(0, 1, (7, 4)).astype(np.float32)
    found = cluster_prototypes(prototypes_of(samples, background), 3, seed=0)
    expected = [sum(float(row[c]) for row in background) / 7 for c in range(4)]
    assert found.prototypes[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_inertia_is_the_sum_of_squared_distances_to_the_own_centre():
    samples = cloud(60, 5)
    found = cluster_prototypes(prototypes_of(samples, samples[:2]), 4, seed=0)
    total = 0.0
    for sample, number in zip(samples, found.assignment, strict=True):
        distances = [float(((sample - centre) ** 2).sum()) for centre in found.prototypes[1:]]
        assert distances[number - 1] == min(distances)
        total += distances[number - 1]
    assert found.inertia == pytest.approx(total, rel=1e-5)


def test_silhouette_of_clear_groups_is_near_one():
    found = cluster_prototypes(prototypes_of(groups()[0]), 3, seed=0)
    assert 0.95 < found.silhouette <= 1


def test_one_cluster_is_the_mean_and_has_no_silhouette():
    samples = cloud(30, 6)
    found = cluster_prototypes(prototypes_of(samples, samples[:1]), 1, seed=0)
    assert np.allclose(found.prototypes[1], samples.mean(axis=0), atol=1e-5)
    assert set(found.assignment) == {1}
    assert found.silhouette == 0


def test_as_many_clusters_as_prototypes_gives_each_its_own():
    found = cluster_prototypes(prototypes_of(CENTRES), 3, seed=0)
    assert sorted(found.prototypes[1:].tolist()) == sorted(CENTRES.tolist())
    assert found.inertia == pytest.approx(0, abs=1e-6)
    assert found.silhouette == 0


@pytest.mark.parametrize("algorithm", ["auto", "full", "minibatch"])
def test_rows_are_sorted_by_size(algorithm):
    samples = cloud()
    found = cluster_prototypes(prototypes_of(samples, samples[:9]), 7, 0, algorithm)
    sizes = np.bincount(found.assignment, minlength=8)
    assert sizes[0] == 0
    assert sizes.sum() == 400
    assert sizes[1:].tolist() == sorted(sizes[1:], reverse=True)


@pytest.mark.parametrize("algorithm", ["full", "minibatch"])
def test_threads_of_this_process_do_not_change_a_bit(algorithm):
    samples = prototypes_of(cloud(), cloud()[:9])
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(cluster_prototypes(samples, 7, 0, algorithm))
    assert found[0].prototypes.tobytes() == found[1].prototypes.tobytes()
    assert found[0].inertia == found[1].inertia


TWO_THREADS = """
import sys
from pathlib import Path
from fsslib.mining.clusters import cluster_prototypes, save_clusters
from tests.mining.test_clusters import cloud, prototypes_of
samples = prototypes_of(cloud(), cloud()[:9])
save_clusters(cluster_prototypes(samples, 7, 0), samples, Path(sys.argv[1]))
"""


def test_a_process_of_two_threads_writes_the_same_file_as_one_thread(tmp_path):
    samples = prototypes_of(cloud(), cloud()[:9])
    with threadpool_limits(1):
        save_clusters(cluster_prototypes(samples, 7, 0), samples, tmp_path / "one.h5")
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, "2")}
    call = [sys.executable, "-c", TWO_THREADS, tmp_path / "two.h5"]
    subprocess.run(call, cwd=Path(__file__).parents[2], env=environment, check=True)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_the_seed_decides_the_start():
    samples = prototypes_of(cloud(), cloud()[:9])
    first, again, other = (cluster_prototypes(samples, 7, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.prototypes, again.prototypes)
    assert not np.array_equal(first.prototypes, other.prototypes)


def test_auto_takes_minibatches_beyond_the_limit(monkeypatch):
    samples = prototypes_of(cloud(), cloud()[:9])
    full, small = (cluster_prototypes(samples, 7, 0, a) for a in ("full", "minibatch"))
    assert not np.array_equal(full.prototypes, small.prototypes)
    monkeypatch.setattr("fsslib.mining.clusters.FULL_LIMIT", 400)
    assert np.array_equal(cluster_prototypes(samples, 7, 0).prototypes, full.prototypes)
    monkeypatch.setattr("fsslib.mining.clusters.FULL_LIMIT", 399)
    assert np.array_equal(cluster_prototypes(samples, 7, 0).prototypes, small.prototypes)


def test_k_larger_than_the_prototypes_says_what_to_do():
    message = one_line(cluster_prototypes, prototypes_of(cloud(9, 4)), 12, 0)
    assert message == (
        "k=12 needs at least 12 foreground prototypes, found 9: lower k or add images"
    )


@pytest.mark.parametrize("copies", [2, 50])
def test_prototypes_that_are_all_alike_count_once(copies):
    message = one_line(cluster_prototypes, prototypes_of(np.repeat(CENTRES, copies, 0)), 4, 0)
    assert "k=4 needs at least 4 foreground prototypes, found 3" in message


def test_no_background_at_all_is_refused():
    samples = prototypes_of(CENTRES, np.zeros((0, 4), np.float32))
    assert one_line(cluster_prototypes, samples, 2, 0).startswith(
        "no labelled image has background"
    )


def test_saved_clusters_read_back_the_same(tmp_path):
    samples = prototypes_of(groups()[0])
    found = cluster_prototypes(samples, 3, 0)
    save_clusters(found, samples, tmp_path / "a.h5")
    read = load_clusters(tmp_path / "a.h5")
    assert np.array_equal(read.prototypes, found.prototypes)
    assert np.array_equal(read.assignment, found.assignment)
    assert (read.inertia, read.silhouette, read.k) == (found.inertia, found.silhouette, 3)


def test_bad_clusters_are_one_line_with_the_remedy(tmp_path):
    path = tmp_path / "a.h5"
    for version in (None, 0):
        if version is not None:
            with create_hdf5(path, "clusters", version):
                pass
        message = one_line(load_clusters, path)
        assert message.startswith(str(path))
        assert message.endswith(REMEDY)


def test_report_says_which_classes_each_cluster_is_made_of():
    samples, member = groups()
    classes = np.where(member == 0, 20, np.where(member == 1, 10, 30))
    classes[np.flatnonzero(member == 1)[:3]] = 30
    labelled = prototypes_of(samples, classes=classes)
    report = cluster_report(
        cluster_prototypes(labelled, 3, 0), labelled, {10: "cat", 20: "dog", 30: "cow"}
    )
    assert report["k"] == 3
    assert report["background_prototypes"] == 3
    assert report["clusters"] == [
        {"cluster": 1, "prototypes": 12, "classes": {"cat": 9, "cow": 3}},
        {"cluster": 2, "prototypes": 8, "classes": {"cow": 8}},
        {"cluster": 3, "prototypes": 5, "classes": {"dog": 5}},
    ]
