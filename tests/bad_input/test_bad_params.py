"""params.yaml through the commands that read it: one line that names the key."""

# ruff: noqa: E501 - a case a line

import pytest

from tests.support.world import Case, after, all_of, gone, param_line, put, set_params

BOMB = "\n".join(
    [
        "zz0: &a0 [1, 1]",
        *(f"zz{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)),
        "k: *a39",
    ]
)
"""A list of 9 ** 39 ones in 40 lines."""
CASES = [
    Case("k: 0", "cluster", set_params(k=0), "k: 0: "),
    Case("k: 255", "cluster", set_params(k=255), "k: 255: "),
    Case("k: 2.5", "cluster", set_params(k=2.5), "k: 2.5: "),
    Case("k: '2'", "cluster", set_params(k="2"), "k: '2': "),
    Case("k: true", "cluster", set_params(k=True), "k: True: "),
    Case("k: null", "cluster", set_params(k=None), "k: None: "),
    Case("k beyond the prototypes", "cluster", set_params(k=200), "k=200 needs at least 200"),
    Case("k twice", "cluster", param_line("k", "k: 2\nk: 3"), 'found duplicate key "k"'),
    Case("k misspelt", "cluster", param_line("k", "K: 2"), "unknown key K"),
    Case("k missing", "cluster", param_line("k", ""), "k is missing: add it"),
    Case("k a list of lists of lists", "cluster", param_line("k", BOMB), "k: [["),
    Case("k: .nan", "cluster", param_line("k", "k: .nan"), "k: nan: "),
    Case("k: 1e400", "cluster", param_line("k", "k: 1e400"), "k: inf: "),
    Case("k of 5000 digits", "cluster", param_line("k", "k: " + "9" * 5000), "not readable YAML"),
    Case("k runs code", "cluster", param_line("k", "k: !!python/object/apply:os.mkdir [made]"),
         "not readable YAML"),
    Case("beta: 2", "evaluate", set_params(beta=2), "beta: 2: "),
    Case("beta: .nan", "evaluate", param_line("beta", "beta: .nan"), "beta: nan: "),
    Case("w: -0.1", "evaluate", set_params(w=-0.1), "w: -0.1: "),
    Case("w: .inf", "evaluate", param_line("w", "w: .inf"), "w: inf: "),
    Case("top_n: 0", "evaluate", set_params(top_n=0), "top_n: 0: "),
    Case("sigma: 0", "train", set_params(sigma=0), "sigma: 0: "),
    Case("sigma: 1e400", "train", param_line("sigma", "sigma: 1e400"), "sigma: inf: "),
    Case("m: 1.5", "train", set_params(m=1.5), "m: 1.5: "),
    Case("rectify_bg of a model without", "evaluate",
         lambda project: without_background(project), "the model has no global background"),
    Case("resize and long_side", "evaluate", set_params(resize=64, long_side=64), "are two sizes"),
    Case("search: best", "evaluate", set_params(search="best"), "search: 'best': "),
    Case("folds: [9]", "cluster", set_params(folds=[9]), "folds: 9 is not one of 0 to 1"),
    Case("folds: [9]", "episodes", set_params(folds=[9]), "folds: 9 is not one of 0 to 1"),
    Case("folds: [9]", "annotate", set_params(folds=[9]), "folds: 9 is not one of 0 to 1"),
    Case("folds: [9]", "train", set_params(folds=[9]), "folds: 9 is not one of 0 to 1"),
    Case("folds: [9]", "index", set_params(folds=[9]), "folds: 9 is not one of 0 to 1"),
    Case("folds: [1], never run", "evaluate", set_params(folds=[1]), "run the stage 'episodes'"),
    Case("folds: [1], never run", "summarize", set_params(folds=[1]), "run the stage 'evaluate'"),
    Case("folds: []", "summarize", set_params(folds=[]), "folds: []: "),
    Case("folds: [0, 0]", "summarize", set_params(folds=[0, 0]), "names a fold twice"),
    Case("--fold 9", "evaluate --fold 9", set_params(), "run the stage 'episodes'"),
    Case("--fold -1", "cluster --fold -1", set_params(), "", 2),
    Case("--fold x", "cluster --fold x", set_params(), "", 2),
    Case("--flod 0", "cluster --flod 0", set_params(), "", 2),
    Case("an argument too many", "collect extra", set_params(), "", 2),
    Case("shots: [50]", "episodes", set_params(shots=[50]), "shots: 50 needs at least 51 val images"),
    Case("shots: [0]", "episodes", set_params(shots=[0]), "shots.0: 0: "),
    Case("shots: 5", "episodes", set_params(shots=5), "shots: 5: "),
    Case("seeds: [-1]", "episodes", set_params(seeds=[-1]), "seeds.0: -1: "),
    Case("seeds: [2**40]", "episodes", set_params(seeds=[2**40]), f"seeds.0: {2**40}: "),
    Case("ways: 5 of 2 classes", "episodes", set_params(ways=5), "ways: 5"),
    Case("episodes: 0", "episodes", set_params(episodes=0), "episodes: 0: "),
    Case("protocol: mine", "episodes", set_params(protocol="mine"), "protocol: 'mine': "),
    Case("min_pixels: 10**9", "episodes", set_params(min_pixels=10**9), "lower shots, ways, min_pix"),
    Case("min_images: 99", "episodes", set_params(min_images=99), "min_images"),
    Case("data_root: null", "prepare", set_params(data_root=None), "needs its folder: set data_root"),
    Case("data_root: 5", "prepare", set_params(data_root=5), "data_root: 5: "),
    Case("data_root empty", "prepare", set_params(data_root=""), "data_root: '': "),
    Case("data_root missing", "prepare", set_params(data_root="nowhere"), "nowhere is not a folder"),
    Case("data_root a file", "prepare", set_params(data_root="params.yaml"), "is not a folder"),
    Case("data_root too long", "prepare", set_params(data_root="x" * 999), "File name too long"),
    Case("data_root with a zero byte", "prepare",
         param_line("data_root", 'data_root: "a\\0b"'), "is not a folder"),
    Case("data_root of another set", "prepare", set_params(dataset="coco"), "set dataset to folder"),
    Case("dataset: imagenet", "prepare", set_params(dataset="imagenet"), "dataset: 'imagenet': "),
    Case("scenes.size: 3", "prepare",
         set_params(dataset="procedural", **{"scenes.size": 3}), "scenes.size: 3: "),
    Case("unlabeled: []", "annotate", param_line("unlabeled", "unlabeled: []\nzz:"),
         "unlabeled: []: "),
    Case("cap: 0", "annotate", set_params(unlabeled=[{"source": "train", "cap": 0}]),
         "unlabeled.0.cap: 0: "),
    Case("no remaining", "annotate", set_params(unlabeled=["remaining"]),
         "unlabeled: the sources hold no image"),
    Case("another pool", "train --fold 0", set_params(unlabeled=["photos/JPEGImages"]),
         "has no pseudo-mask: run the stage 'annotate'"),
    Case("another pool", "index --fold 0", set_params(unlabeled=["photos/JPEGImages"]),
         "has no pseudo-mask: run the stage 'annotate'"),
    Case("backbone: vgg16", "extract", set_params(backbone="vgg16"), "backbone: 'vgg16': "),
    Case("backbone after extract", "annotate --fold 0",
         all_of(set_params(dense_features=False), after("extract"), set_params(backbone="resnet50", weights="random")),
         "was made with backbone timm:tf_efficientnet_lite2, not resnet50: run the stages from 'extract'"),
    Case("weights missing", "extract", set_params(weights="gone.pth"), "gone.pth does not exist"),
    Case("weights a folder", "extract", set_params(weights="photos"), "photos does not exist"),
    Case("weights of old", "extract", set_params(weights="procedural"), "set weights to installed"),
    Case("weights: 3", "extract", set_params(weights=3), "weights: 3: "),
    Case("long_side: 8", "extract", set_params(long_side=8), "long_side: 8: "),
    Case("shard_images: 0", "extract", set_params(shard_images=0), "shard_images: 0: "),
    Case("precision: float8", "extract", set_params(precision="float8"), "precision: 'float8': "),
    Case("device: cuda", "extract", set_params(**{"runtime.device": "cuda"}), "device"),
    Case("workers: -1", "extract", set_params(**{"runtime.workers": -1}), "runtime.workers: -1: "),
    Case("memory_gb: 0", "evaluate", set_params(**{"runtime.memory_gb": 0}), "memory_gb: 0: "),
    Case("iterations: 0", "train", set_params(**{"training.iterations": 0}), "training.iterations"),
    Case("lr: .nan", "train", set_params(**{"training.lr": float("nan")}), "training.lr: nan: "),
    Case("lr: '1e-3'", "train", set_params(**{"training.lr": "1e-3"}), "training.lr: '1e-3': "),
    Case("scales crossed", "train", set_params(**{"training.scale_min": 3.0}), "swap them"),
    Case("shot: 50", "train", set_params(**{"training.shot": 50}),
         "no base class of fold 0 has 51 training images"),
    Case("min_pixels: 10**6", "train", set_params(**{"training.min_pixels": 10**6}),
         "lower training.shot or training.min_pixels"),
    Case("training a list", "train", param_line("training", "training: 5\ntraining2:"), "training: 5: "),
    Case("an unknown key of a section", "train", set_params(**{"training.lrr": 1}),
         "unknown key training.lrr: did you mean training.lr?"),
    Case("empty", "cluster", put("params.yaml", b""), "params.yaml holds no keys"),
    Case("binary", "cluster", put("params.yaml", bytes(range(256))), "not readable YAML"),
    Case("UTF-16", "cluster", put("params.yaml", "k: 1".encode("utf-16")), "not readable YAML"),
    Case("a list", "cluster", put("params.yaml", b"- 1\n"), "params.yaml holds no keys"),
    Case("missing", "cluster", gone("params.yaml"), "params.yaml does not exist"),
    Case("a folder", "cluster", all_of(gone("params.yaml"), put("params.yaml/x", b"")),
         "not readable YAML"),
]  # fmt: skip


def without_background(project):
    from safetensors import safe_open

    from fsslib.files.tensor_files import save_tensors
    from tests.support.world import MODEL

    with safe_open(project / MODEL, "pt") as file:
        import json

        head = json.loads(file.metadata()["fsslib"])
        tensors = {k: file.get_tensor(k) for k in file.keys() if k != "background"}  # noqa: SIM118
    save_tensors(project / MODEL, tensors, head)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_params_are_refused(check, project, case):
    check(case)
    assert not (project / "made").exists()
