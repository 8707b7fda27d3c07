"""params.yaml: what is accepted, and one line that names the key for everything else."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from stages.support.params import (
    STAGES,
    Params,
)
from stages.support.params_file import (
    load_params,
    stage_params,
)
from tests.support.helpers import one_line

COMMITTED = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def raw():
    return YAML(typ="safe").load(COMMITTED.read_text(encoding="utf-8"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "params.yaml"


def dump(raw, path):
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(raw, stream)
    return path


def edited(raw, key, value):
    """The raw mapping with `a.b` set to `value`."""
    *sections, name = key.split(".")
    section = raw
    for part in sections:
        section = section[part]
    section[name] = value
    return raw


def text_with(path, line, replacement):
    """The committed file with the line that starts with `line` replaced."""
    text = COMMITTED.read_text(encoding="utf-8")
    found = [row for row in text.splitlines() if row.startswith(line)]
    assert len(found) == 1
    path.write_text(text.replace(found[0], replacement), encoding="utf-8")
    return path


def refused(path):
    message = one_line(load_params, path)
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ").removeprefix(f"{path} ")


def test_the_committed_file_loads_and_is_the_papers():
    params = load_params(COMMITTED)
    assert (params.beta, params.w, params.m) == (0.2, 0.9, 0.999)
    assert (params.top_n, params.sigma, params.pseudo_weight, params.k) == (4, 20, 1, 5)
    assert (params.training.momentum, params.training.weight_decay) == (0.9, 5e-4)
    assert params.mine is params.rectify_fg is params.rectify_bg is params.ema is True
    assert params.dataset == "procedural"


def test_the_committed_file_holds_every_key_in_block_style_and_is_commented(raw):
    assert set(raw) == set(Params.model_fields)
    text = COMMITTED.read_text(encoding="utf-8")
    assert not [row for row in text.splitlines() if row.split("#")[0].rstrip().endswith(("]", "}"))]
    bare = [
        row
        for row in text.splitlines()
        if row and not row.startswith((" ", "#")) and "#" not in row and row.split(":")[1].strip()
    ]
    assert bare == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_reads_its_part_alone(stage):
    part = stage_params(STAGES[stage], load_params(COMMITTED))
    whole = load_params(COMMITTED)
    for name in STAGES[stage].model_fields:
        assert getattr(part, name) == getattr(whole, name)


def test_every_key_but_runtime_is_read_by_a_stage():
    used = {name for model in STAGES.values() for name in model.model_fields}
    assert set(Params.model_fields) - used == {"runtime"}


def test_models_are_frozen():
    params = load_params(COMMITTED)
    with pytest.raises(ValidationError, match="frozen"):
        params.k = 3
    with pytest.raises(ValidationError, match="frozen"):
        params.training.lr = 1.0


@pytest.mark.parametrize(
    ("written", "value"), [("1e-4", 1e-4), ("1.0e-4", 1e-4), ("1", 1.0), (".5", 0.5), ("1E+1", 10)]
)
def test_numbers_are_those_of_yaml_1_2(path, written, value):
    text_with(path, "  lr:", f"  lr: {written}")
    found = load_params(path).training.lr
    assert found == value
    assert isinstance(found, float)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y"])
def test_words_are_no_switches_in_yaml_1_2(path, word):
    assert refused(text_with(path, "mine:", f"mine: {word}")).startswith(f"mine: '{word}'")


def test_a_number_of_seeds_means_the_first_ones(raw, path):
    assert load_params(dump(edited(raw, "seeds", 5), path)).seeds == [0, 1, 2, 3, 4]
    assert load_params(dump(edited(raw, "seeds", [7, 3]), path)).seeds == [7, 3]


@pytest.mark.parametrize("value", [0, -3, 10**12])
def test_an_impossible_number_of_seeds_is_refused_at_once(raw, path, value):
    message = refused(dump(edited(raw, "seeds", value), path))
    assert message.startswith(f"seeds: {value}: a number of seeds is 1 to 1000")


def test_pool_sources_are_names_or_mappings(raw, path):
    sources = ["train", {"source": "../more", "cap": 9}, {"source": "remaining"}]
    found = load_params(dump(edited(raw, "unlabeled", sources), path)).unlabeled
    assert [(s.source, s.cap) for s in found] == [
        ("train", None),
        ("../more", 9),
        ("remaining", None),
    ]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("betta", "unknown key betta: did you mean beta?"),
        ("kmean", "unknown key kmean: did you mean kmeans?"),
        ("zzz", "unknown key zzz: remove it"),
        ("training.learning_rate", "unknown key training.learning_rate: remove it"),
        ("training.momentun", "unknown key training.momentun: did you mean training.momentum?"),
        ("regions.knd", "unknown key regions.knd: did you mean regions.kind?"),
        ("training.k", "unknown key training.k: remove it"),
    ],
)
def test_unknown_key_is_named_with_the_closest_of_its_section(raw, path, key, says):
    assert refused(dump(edited(raw, key, 1), path)) == says


@pytest.mark.parametrize("key", ["beta", "folds", "runtime", "training.crop"])
def test_missing_key_is_named(raw, path, key):
    *sections, name = key.split(".")
    del (raw[sections[0]] if sections else raw)[name]
    assert refused(dump(raw, path)) == f"{key} is missing: add it"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # wrong types
        ("k", "5"), ("k", 5.5), ("k", True), ("k", None), ("k", [5]), ("beta", "0.2"),
        ("beta", True), ("mine", 1), ("mine", "true"), ("weights", 3), ("folds", 1),
        ("folds", "all"), ("shots", 1), ("training", 3), ("runtime", None), ("data_root", 7),
        ("unlabeled", "train"), ("seeds", "5"), ("seeds", True), ("scenes.train", 1.5),
        # ranges
        ("k", 0), ("k", 255), ("beta", -0.1), ("beta", 1.1), ("w", 2), ("m", 1.001), ("sigma", 0),
        ("top_n", 0), ("pseudo_weight", -1), ("folds", []), ("shots", []),
        ("seeds", []), ("seed", -1),
        ("episodes", 0), ("ways", 0), ("min_pixels", 0), ("scenes.size", 32),
        ("shard_images", 0), ("regions.min_area", 1.5), ("training.iterations", 0),
        ("training.crop", 16), ("training.lr", 0), ("training.momentum", 1),
        ("training.picture_every", -1), ("training.picture_every", 2.5),
        ("training.ema_decay", 1), ("training.weight_decay", -1e-4), ("training.scale_min", 0),
        ("runtime.workers", -1), ("runtime.memory_gb", 0), ("data_root", ""), ("weights", ""),
        ("unlabeled", []),
        # not finite
        ("beta", float("nan")), ("sigma", float("inf")), ("training.lr", float("-inf")),
        ("runtime.memory_gb", float("nan")),
        # unknown choices
        ("backbone", "resnet152"), ("dataset", "voc"), ("precision", "float16"),
        ("kmeans", "fast"), ("search", "faiss"), ("refine", "crf"), ("refine", None),
        ("refine_radius", 0), ("refine_radius", 1.5), ("refine_eps", 0), ("boundary_iou", 1),
        ("protocol", "Paper"), ("regions.kind", "labels"),
        ("training.precision", "half"), ("training.compile", "yes"), ("training.compile", 1),
        ("training.micro_images", 0), ("training.micro_images", 1.5),
        ("feature_dtype", "float32"), ("training.background_share", 1.5),
        ("runtime.device", "gpu"), ("coco_folds", "random"),
    ],
)  # fmt: skip
def test_impossible_value_is_one_line_that_names_the_key(raw, path, key, value):
    assert refused(dump(edited(raw, key, value), path)).startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("folds", [0, 1.5], "folds.1: 1.5"),
        ("folds", [-1], "folds.0: -1"),
        ("shots", [1, 0], "shots.1: 0"),
        ("seeds", [-1], "seeds.0: -1"),
        ("seeds", [2**31], "seeds.0: 2147483648"),
        ("seeds", [0, "1"], "seeds.1"),
        ("unlabeled", [{"source": "train", "cap": 0}], "unlabeled.0.cap"),
        ("unlabeled", [{"cap": 3}], "unlabeled.0.source is missing"),
        ("unlabeled", [{"source": "train", "max": 3}], "unknown key unlabeled.0.max"),
    ],
)
def test_an_entry_of_a_list_is_named_by_its_place(raw, path, key, value, where):
    assert refused(dump(edited(raw, key, value), path)).startswith(where)


@pytest.mark.parametrize("key", ["folds", "shots", "seeds"])
def test_a_value_listed_twice_is_refused(raw, path, key):
    message = refused(dump(edited(raw, key, [1, 2, 1]), path))
    assert message.startswith(f"{key}: [1, 2, 1] names a")
    assert message.endswith("list each once")


def test_an_unknown_miner_is_told_all_three(raw, path):
    message = refused(dump(edited(raw, "miner", "moco"), path))
    assert message.startswith("miner: 'moco': ")
    assert all(f"'{miner}'" in message for miner in ("clusters", "simclr", "cct"))


def test_scales_in_the_wrong_order_are_refused(raw, path):
    raw["training"].update(scale_min=2.0, scale_max=0.5)
    message = refused(dump(raw, path))
    assert message == "training: scale_min: 2.0 is above scale_max 0.5: swap them"


@pytest.mark.parametrize("dataset", ["pascal", "coco", "folder"])
def test_a_dataset_on_disk_needs_its_folder(raw, path, dataset):
    raw["dataset"] = dataset
    message = refused(dump(raw, path))
    assert message == f"data_root: null, but dataset {dataset} needs its folder: set data_root"
    assert load_params(dump(edited(raw, "data_root", "photos"), path)).data_root == "photos"


def test_all_problems_are_told_at_once(raw, path):
    message = refused(dump(edited(edited(raw, "k", 0), "betta", 1), path))
    assert "k: 0: " in message
    assert "unknown key betta" in message


def test_a_long_value_is_shown_in_part(raw, path):
    assert len(refused(dump(edited(raw, "weights", ["x"] * 5000), path))) < 200


@pytest.mark.parametrize(
    ("replacement", "says"),
    [
        ("k: 5\nk: 6", 'line 6: found duplicate key "k"'),
        ("k: 1e400", "k: inf: "),
        ("k: 5\n\tx: 3", "line"),
        ("k: [5", "line"),
        ("k: 5\n---", "found another document"),
        (f"k: {'1' * 5000}", "not readable YAML"),
        ("k: 2024-99-99", "not readable YAML"),
        (f"k: {'[' * 3000}{']' * 3000}", "not readable YAML"),
        ("k: !!python/object:os.system x", "constructor"),
        ("k: 5\n7: 8", "keys should be strings"),
        ('k: "\x07"', "not readable YAML"),
    ],
    ids=range(11),
)
def test_odd_yaml_is_one_line(path, replacement, says):
    assert says in refused(text_with(path, "k:", replacement))


def test_sigma_of_1e400_is_not_finite(path):
    assert refused(text_with(path, "sigma:", "sigma: 1e400")).startswith("sigma: inf")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"- 1\n", b"3\n", b"\xff\xfe\x00"])
def test_a_file_without_keys_is_one_line(path, content):
    path.write_bytes(content)
    refused(path)


def test_absent_file_and_folder_are_one_line(path):
    assert refused(path) == "does not exist: run from the project's folder"
    path.mkdir()
    refused(path)


def test_a_byte_order_mark_does_no_harm(path):
    path.write_bytes(b"\xef\xbb\xbf" + COMMITTED.read_bytes())
    assert load_params(path) == load_params(COMMITTED)


def test_null_leaves_the_least_size_to_the_protocol_and_photographs_as_they_are(raw, path):
    raw["min_pixels"], raw["resize"] = None, None
    params = load_params(dump(raw, path))
    assert stage_params(STAGES["episodes"], params).min_pixels is None
    assert stage_params(STAGES["evaluate"], params).resize is None


@pytest.mark.parametrize("size", [31, 2049, 400.0, True])
def test_a_size_that_is_none_is_refused(raw, path, size):
    assert refused(dump(edited(raw, "resize", size), path)).startswith(f"resize: {size}: ")
