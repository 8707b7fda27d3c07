"""A page in headless Chromium, as `fss report`'s readers open it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")


def chromium(page: Path, *options: str) -> str:
    """Open a page without a network; what Chromium prints."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                str(CHROMIUM),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--allow-file-access-from-files",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={profile}",
                *options,
                page.resolve().as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    return done.stdout


def measure(page: Path, width: int, script: str) -> str:
    """Open a page in a frame `width` px wide; the value of a script that knows it as `page`.

    A frame, since a headless window is never narrower than a desktop's least.
    """
    outer = page.with_name(f"outer_{width}.html")
    outer.write_text(
        f'<iframe id="f" width="{width}" height="900" src="{page.name}"></iframe>'
        '<pre id="out"></pre>'
        "<script>document.getElementById('f').onload = event => {"
        "const page = event.target.contentDocument;"
        f"document.getElementById('out').textContent = '=' + ({script}) + '=';}}</script>"
    )
    dumped = chromium(outer, "--dump-dom")
    return dumped.split('<pre id="out">=')[1].split("=</pre>")[0]


def widths(pages: list[Path], width: int) -> dict[str, int]:
    """Width of the content of each page, px, in a frame `width` px wide, by name.

    Args:
        pages: files in one folder.
        width: of the frames, px.
    """
    frames = "".join(
        f'<iframe width="{width}" height="900" src="{p.name}"></iframe>' for p in pages
    )
    outer = pages[0].with_name(f"outer_{width}.html")
    outer.write_text(
        f'{frames}<pre id="out"></pre><script>window.onload = () => {{'
        "const found = [...document.querySelectorAll('iframe')].map("
        "f => f.contentDocument.documentElement.scrollWidth);"
        "document.getElementById('out').textContent = '=' + found.join() + '=';}</script>"
    )
    dumped = chromium(outer, "--dump-dom")
    outer.unlink()
    found = dumped.split('<pre id="out">=')[1].split("=</pre>")[0].split(",")
    return {page.name: int(value) for page, value in zip(pages, found, strict=True)}
