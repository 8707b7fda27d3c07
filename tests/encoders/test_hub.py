"""Models of timm from a hub: a fake one on this machine, its cache, and none at all."""

import hashlib
import os
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from fsslib.encoders import hub

COMMIT = "a" * 40
FILL = (
    "from fsslib.prediction.models import open_model; from fsslib.errors import FsslibError\n"
    "try: print(float(next(open_model('timm:test_vit').encoder.body.parameters()).mean()))\n"
    "except FsslibError as error: print(error)"
)
"""A program of its own: the hub's client reads its address once."""


class FakeHub(BaseHTTPRequestHandler):
    """Answers for one file as the hub does, and counts its downloads."""

    def __init__(self, content, downloads, *args):
        self.content, self.downloads = content, downloads
        super().__init__(*args)

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if not self.path.endswith("/resolve/main/model.safetensors"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.downloads.append(self.path)
            self.wfile.write(self.content)

    def log_message(self, *args):
        pass


def load(home, address):
    """What a fresh process prints, which finds the hub at an address."""
    env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FILL], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_a_model_is_downloaded_once_and_then_needs_no_network(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model("test_vit")
    torch.nn.init.constant_(next(whole.parameters()), 0.25)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    downloads = []
    content = (tmp_path / "w.safetensors").read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(FakeHub, content, downloads))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        first = load(tmp_path / "home", address)
    finally:
        server.shutdown()
        server.server_close()
    assert first[0] == "0.25", first
    assert len(downloads) == 1
    again, said = load(tmp_path / "home", address)
    assert again == "0.25", said


def test_without_network_and_cache_it_is_one_line_without_retries(tmp_path):
    told, said = load(tmp_path, "http://127.0.0.1:9")
    assert told.startswith("weights: imagenet: timm's weights of test_vit could not be downloaded")
    assert told.endswith("or use --model installed")
    assert "Retrying" not in said


@pytest.mark.parametrize("reachable", [True, False])
def test_the_clients_settings_come_back(monkeypatch, reachable):
    monkeypatch.setattr(hub, "_reachable", lambda: reachable)
    before = constants.HF_HUB_OFFLINE
    with hub.impatient():
        assert (before or not reachable) == constants.HF_HUB_OFFLINE
    assert before == constants.HF_HUB_OFFLINE


def test_behind_a_proxy_the_client_is_left_to_try(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub, "getproxies", dict)
    assert not hub._reachable()
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "proxy"})
    assert hub._reachable()
