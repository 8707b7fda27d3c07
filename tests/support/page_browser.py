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
