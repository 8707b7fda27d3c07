"""The page of `fss demo`: its answers without gradio, and a visit in headless Chromium."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.prediction.segmenter import Segmenter
from stages.support.demo_session import MOST_QUERIES, find, learn, painted, uploaded
from stages.tools import demo
from tests.support.browser import open_browser
from tests.support.helpers import one_line, save_trained

ROOT = Path(__file__).parents[2]


def scene(seed, left):
    """A bright square on a dark photograph, and its mask."""
    image = np.random.default_rng(seed).integers(0, 80, (96, 128, 3), dtype=np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    mask[24:72, left : left + 48] = 255
    image[mask > 0] += 150
    return image, mask


@pytest.fixture(scope="module")
def segmenter():
    encoder = ResNet("resnet18")
    load_weights(encoder, "random", 0)
    return Segmenter(encoder, device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name, left in (("support", 16), ("query", 64)):
        image, mask = scene(left, left)
        Image.fromarray(image).save(folder / f"{name}.png")
        Image.fromarray(mask).save(folder / f"{name}_mask.png")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    return folder


def test_a_session_learns_and_finds_and_others_know_nothing_of_it(segmenter, files):
    mine, other = segmenter.fresh(), segmenter.fresh()
    image, mask = scene(16, 16)
    layer = np.zeros((*mask.shape, 4), np.uint8)
    layer[mask > 0] = (213, 94, 0, 200)
    said = learn(mine, " square ", image, [np.zeros_like(layer), layer], None)
    assert said == "learned **square** (19% of the photograph). Known: square."
    said = learn(mine, "square", image, [], files / "support_mask.png")
    assert said.startswith("one photograph more of **square**")
    pictures, failed = find(mine, [files / "query.png", files / "torn.jpg"], 0)
    assert [caption.split(":")[0] for _, caption in pictures] == ["query.png"]
    assert "square " in pictures[0][1]
    assert pictures[0][0].width == 128
    assert len(failed) == 1
    assert "torn.jpg" in failed[0]
    assert str(files) not in failed[0]
    assert other.names == ()
    assert segmenter.names == ()
    assert one_line(find, other, [files / "query.png"], 0).startswith("nothing is learned")


def test_what_is_missing_or_does_not_fit_is_said(segmenter, files, tmp_path):
    image, mask = scene(1, 8)
    empty = np.zeros((*mask.shape, 4), np.uint8)
    assert one_line(painted, []).startswith("no mask: paint over the object")
    assert one_line(painted, [empty]).startswith("no mask: paint over the object")
    assert one_line(learn, segmenter, "a", None, [], None).startswith("no photograph")
    assert "give a printable name" in one_line(
        learn, segmenter, " ", image, [], files / "query_mask.png"
    )
    Image.fromarray(mask[:50]).save(tmp_path / "small.png")
    assert one_line(uploaded, tmp_path / "small.png", image) == (
        "the mask is 128x50 px, the photograph 128x96 px: give a mask of its size"
    )
    assert one_line(find, segmenter, [], 0).startswith("no photograph to search")
    many = [files / "query.png"] * (MOST_QUERIES + 1)
    assert one_line(find, segmenter, many, 0).startswith("51 photographs, 50 at most")
    assert segmenter.names == ()


def test_without_gradio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    shown = CliRunner().invoke(demo.app, ["--model", "random"])
    assert shown.exit_code == 1
    assert shown.stderr == "error: the page needs gradio: pip install 'fsslib[demo]'\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of the page, served by a process of its own; it has to end by Ctrl-C."""
    pytest.importorskip("gradio", reason="no gradio: pip install 'fsslib[demo]'")
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    encoder = ResNet("resnet18")
    load_weights(encoder, "random", 0)
    save_trained(encoder, folder / "model.safetensors", None)
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.tools.demo", "--model", str(folder), "--port", str(port)],
        cwd=ROOT,
        stderr=log,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    address = f"http://127.0.0.1:{port}/"
    for _ in range(240):
        assert process.poll() is None, (folder / "log").read_text()
        try:
            urllib.request.urlopen(address, timeout=5).read()
            break
        except OSError:
            time.sleep(0.5)
    yield address
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    log.close()
    assert "Traceback" not in (folder / "log").read_text()


OVERLAPS = """
const pairs = [
  ['#found .thumbnail-lg > img', '#found .caption-label'],
  ['#found .thumbnail-lg > img', '#found [data-testid=block-label]'],
  ['#mask .wrap svg', '#mask [data-testid=block-label]'],
];
return pairs.filter(([one, other]) => {
  const [a, b] = [one, other].map(s => document.querySelector(s)?.getBoundingClientRect());
  if (!a || !b) return one.startsWith('#found');
  return a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1;
});
"""
"""What is drawn over something else, or is not there."""


@pytest.mark.slow
def test_a_visit_gives_a_support_and_sees_the_overlay_of_a_query(served, files):
    browser = open_browser()
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def one(selector):
        found = browser.find_elements(By.CSS_SELECTOR, selector)
        return found[0] if found else None

    def upload(selector, *names):
        wait.until(lambda _: one(f"{selector} input[type=file]"))
        paths = "\n".join(str(files / name) for name in names)
        one(f"{selector} input[type=file]").send_keys(paths)

    def told(selector, text):
        wait.until(lambda _: text in (one(selector).text if one(selector) else ""))

    wait = WebDriverWait(browser, 60)
    try:
        browser.get(served)
        wait.until(lambda _: one("#learn"))
        one("#learn").click()
        told("#told", "no photograph: drop one")
        upload("#support", "support.png")
        wait.until(lambda _: one("#support canvas"))
        time.sleep(2)
        one("#learn").click()
        told("#told", "no mask: paint over the object")
        upload("#mask", "support_mask.png")
        told("#mask", "support_mask")
        one("#learn").click()
        told("#told", "Known: object.")
        upload("#queries", "query.png", "torn.jpg")
        told("#queries", "torn")
        one("#find").click()
        script = "return [...document.querySelectorAll('#found img')].map(i => i.naturalWidth)"
        wait.until(lambda _: any(w >= 128 for w in browser.execute_script(script)))
        told("#failed", "torn.jpg")
        for width in (1280, 390):
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
            )
            time.sleep(1)
            assert browser.execute_script(OVERLAPS) == [], width
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        if os.environ.get("FSS_SCREENSHOT"):
            browser.save_screenshot(os.environ["FSS_SCREENSHOT"])
    finally:
        browser.quit()
