"""Models by `hf://USER/NAME`: pinned, verified, cached; and the same models in a folder."""

import hashlib
import json

import numpy as np
import pytest
import torch

from fsslib import Segmenter
from fsslib.files.model_names import parse_address
from fsslib.prediction.hub_models import fetch_model
from fsslib.prediction.models import open_model
from fsslib.prediction.publication import MOST_CONFIG, check_publication, read_publication
from tests.support.fake_hub import serve_hub, set_client
from tests.support.helpers import one_line
from tests.support.published import files_of, publish

NAME = "bob/cats"
ADDRESS = f"hf://{NAME}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A published folder that is read only."""
    return publish(tmp_path_factory.mktemp("published"), calibrated=True)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serve_hub(tmp_path / "home", monkeypatch) as served:
        yield served


def with_config(content, changes):
    config = json.loads(content["config.json"])
    return {**content, "config.json": json.dumps({**config, **changes}).encode()}


# ---- Addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://bob/cats", ("bob/cats", "", "", "")),
        ("hf:/bob/cats", ("bob/cats", "", "", "")),  # what a Path makes of it
        ("hf://b-0/c.a_t@v1.0", ("b-0/c.a_t", "", "v1.0", "")),
        ("hf://bob/cats/fold0@refs/pr/1", ("bob/cats", "fold0", "refs/pr/1", "")),
        (f"hf://bob/cats@main#sha256={'a' * 64}", ("bob/cats", "", "main", "a" * 64)),
    ],
)
def test_an_address_has_parts(text, parts):
    found = parse_address(text)
    assert (found.repository, found.folder, found.revision, found.sha256) == parts
    assert str(found) == text.replace("hf:/b", "hf://b")


@pytest.mark.parametrize(
    "text",
    [
        "hf://", "hf://bob", "hf://bob/..", "hf://../cats", "hf://bob/cats/../x", "hf://bob/cats@",
        "hf://bob/cats@../x", "hf://bob/cats@-x", "hf://bob/ca ts", "hf://bob/cats@main#sha256=1",
        "hf://bob/cats\n", "hf:///etc/passwd", "hf://bob/cats?x", "http://bob/cats",
    ],
)  # fmt: skip
def test_no_other_text_is_an_address(text):
    assert "is no address of a model: write hf://USER/NAME" in one_line(parse_address, text)


# ---- Loading ------------------------------------------------------------------------------------


def test_it_is_downloaded_once_and_a_pinned_one_asks_nobody(shared, hub):
    commit = hub.commit(NAME, files_of(shared))
    first = fetch_model(ADDRESS)
    assert str(first.address) == f"{ADDRESS}@{commit}"
    assert files_of(shared).keys() - files_of(first.folder).keys() == {"README.md"}
    assert len(hub.downloads) == 4
    hub.requests.clear()
    again = fetch_model(f"{ADDRESS}@{commit}")
    assert again == first
    assert hub.requests == []


def test_the_segmenter_is_that_of_the_folder(shared, hub):
    hub.commit(NAME, files_of(shared))
    here, there = Segmenter.load(shared), Segmenter.load(ADDRESS)
    assert here.digest == there.digest
    assert there.calibration.threshold == here.calibration.threshold == 0.25
    assert there.trained_on == here.trained_on
    photograph = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    assert torch.equal(here.feature(photograph), there.feature(photograph))


def test_a_revision_stays_when_the_branch_moves(shared, hub, tmp_path):
    old = hub.commit(NAME, files_of(shared))
    other = publish(tmp_path / "other", seed=1)
    new = hub.commit(NAME, files_of(other), deleted=["model.presence.json"])
    assert fetch_model(ADDRESS).address.revision == new
    pinned = fetch_model(f"{ADDRESS}@{old}")
    assert pinned.sha256 == read_publication(shared).model_sha256
    assert pinned.sha256 != fetch_model(ADDRESS).sha256


def test_a_folder_of_a_repository_and_a_pinned_hash(shared, hub):
    hub.commit(NAME, {f"fold1/{name}": raw for name, raw in files_of(shared).items()})
    sha256 = hashlib.sha256(files_of(shared)["model.safetensors"]).hexdigest()
    found = fetch_model(f"{ADDRESS}/fold1#sha256={sha256}")
    assert found.folder.name == "fold1"
    assert found.sha256 == sha256
    message = one_line(fetch_model, f"{ADDRESS}/fold1#sha256={'0' * 64}")
    assert f"model.safetensors has SHA-256 {sha256[:12]}" in message


def test_without_network_the_cache_answers_or_one_line_does(shared, hub, tmp_path, monkeypatch):
    commit = hub.commit(NAME, files_of(shared))
    fetch_model(ADDRESS)
    set_client(tmp_path / "home", "http://127.0.0.1:9", monkeypatch)
    assert fetch_model(f"{ADDRESS}@{commit}").address.revision == commit
    assert "cannot be reached" in one_line(fetch_model, "hf://bob/dogs")
    message = one_line(open_model, "hf://bob/dogs")
    assert message.startswith("hf://bob/dogs could not be loaded: http://127.0.0.1:9 cannot be")
    assert message.endswith("download the repository on another machine and name its folder")


# ---- What is refused ----------------------------------------------------------------------------


def test_what_is_not_there_is_one_line(shared, hub):
    assert "has no such repository, or it is private" in one_line(fetch_model, ADDRESS)
    hub.commit(NAME, files_of(shared))
    assert "has no such revision" in one_line(fetch_model, f"{ADDRESS}@gone")
    assert "holds no model that 'fss publish' made" in one_line(fetch_model, f"{ADDRESS}/sub")


@pytest.mark.parametrize("name", ["model.safetensors", "model.presence.safetensors"])
def test_a_changed_file_is_refused(shared, hub, tmp_path, name):
    files = files_of(shared)
    raw = bytearray(files[name])
    raw[-1] ^= 1
    hub.commit(NAME, {**files, name: bytes(raw)})
    message = one_line(open_model, ADDRESS)
    assert f"{ADDRESS}: {name} has SHA-256" in message
    hub.commit(NAME, {**files, name: files[name][:-1]})
    assert f"{name} has {len(raw) - 1} bytes, config.json says {len(raw)}" in one_line(
        open_model, ADDRESS
    )
    for file, content in {**files, name: bytes(raw)}.items():
        (tmp_path / file).write_bytes(content)
    assert f"{tmp_path}: {name} has SHA-256" in one_line(open_model, tmp_path)
    (tmp_path / name).unlink()
    assert f"{name} is missing" in one_line(check_publication, tmp_path)


FILE = {"sha256": "a" * 64, "bytes": 3}
MODEL = {"model.safetensors": FILE}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": 2}, "has layout 2, this code reads 1"),
        ({"backbone": 3}, "says backbone 3"),
        ({"files": None}, "lists no model.safetensors"),
        ({"files": {}}, "lists no model.safetensors"),
        ({"files": {**MODEL, "../x": FILE}}, "lists '../x', which no published model has"),
        ({"files": {**MODEL, "/etc/passwd": FILE}}, "lists '/etc/passwd'"),
        ({"files": {**MODEL, "model.pth": FILE}}, "lists 'model.pth'"),
        ({"files": {**MODEL, "code.py": FILE}}, "lists 'code.py'"),
        ({"files": {"model.safetensors": 3}}, "has no SHA-256 of model.safetensors"),
        ({"files": {"model.safetensors": {**FILE, "sha256": "A" * 64}}}, "has no SHA-256"),
        ({"files": {"model.safetensors": {**FILE, "bytes": 2**60}}}, f"has {2**60} bytes"),
        ({"files": {"model.safetensors": {**FILE, "bytes": True}}}, "has True bytes"),
        ({"card_sha256": None}, "says card_sha256 None"),
    ],
)  # fmt: skip
def test_a_hostile_config_is_refused_before_anything_else_is_read(shared, hub, changes, message):
    hub.commit(NAME, with_config(files_of(shared), changes))
    assert message in one_line(fetch_model, ADDRESS)
    assert [path.rsplit("/", 1)[1] for path in hub.downloads] == ["config.json"]


def test_a_huge_or_foreign_config_is_not_read(shared, hub, tmp_path):
    files = files_of(shared)
    hub.commit(NAME, {**files, "config.json": b"[" * (MOST_CONFIG + 1)})
    assert f"more than {MOST_CONFIG} bytes" in one_line(fetch_model, ADDRESS)
    assert hub.downloads == []
    hub.commit(NAME, {**files, "config.json": b'{"model_type": "bert"}'})
    assert "holds no model that 'fss publish' made" in one_line(fetch_model, ADDRESS)
    hub.commit(NAME, {**files, "config.json": b"[" * 100_000})
    assert "is not readable JSON" in one_line(fetch_model, ADDRESS)
    (tmp_path / "config.json").write_bytes(b"{" + b" " * MOST_CONFIG)
    assert "more than" in one_line(read_publication, tmp_path)
    (tmp_path / "config.json").write_bytes(b"[]")
    assert read_publication(tmp_path) is None
