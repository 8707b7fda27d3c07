"""The page of `demo`, built with gradio: two columns, learn on the left, find on the right."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from fsslib.errors import FsslibError
from fsslib.prediction.segmenter import Segmenter

from ..support.demo_session import find, known_classes, learn

MAX_UPLOAD = "20mb"
MAX_PIXELS = 40_000_000
"""Most pixels of a photograph; PIL refuses twice as many while it decodes."""

SESSION_SECONDS = 3600
"""Time after closing a browser session until the classes that it learned are forgotten."""

INTRO = """# fsslib: find a class from one masked photograph
1. Drop a photograph, paint over the object (or upload a mask), name it, *Learn*. More photographs
and classes may follow.
2. Drop other photographs, *Find*. Nothing leaves this machine."""

FONT = ["system-ui", "sans-serif"]
"""Fonts of the machine, so that the page works without network."""


CSS = """
#mask .wrap { padding-top: 1.75rem; }
#found .grid-wrap { max-height: none; min-height: 0; overflow-y: visible; }
#found .grid-container {
  padding-top: 2rem; grid-auto-rows: auto; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(220px, 100%), 1fr));
}
#found .gallery-item, #found .thumbnail-lg { height: auto; }
#found .thumbnail-lg { aspect-ratio: auto; }
#found .thumbnail-lg > img { display: block; height: auto; max-height: 320px; }
#found .thumbnail-lg .caption-label {
  position: static; max-width: none; border: 0; white-space: normal; overflow-wrap: anywhere;
}
"""
"""Captions below the pictures and not on them, labels above and not on them, at any width."""


def build_page(segmenter: Segmenter) -> gr.Blocks:
    """Build the page; `segmenter` gives the encoder, and each session learns its own classes."""
    with gr.Blocks(title="fsslib", analytics_enabled=False) as page:
        session = gr.State(None, time_to_live=SESSION_SECONDS)
        gr.Markdown(INTRO)
        with gr.Row():
            with gr.Column():
                editor = gr.ImageEditor(
                    label="Photograph to paint",
                    type="numpy",
                    image_mode="RGBA",
                    sources=["upload", "clipboard"],
                    brush=gr.Brush(colors=["#d55e00"], default_size=24, color_mode="fixed"),
                    layers=False,
                    elem_id="support",
                )
                mask = gr.File(
                    label="or its mask: PNG, every pixel but black is the object",
                    type="filepath",
                    elem_id="mask",
                    height=150,
                )
                name = gr.Textbox(label="Name of the class", value="object", elem_id="name")
                with gr.Row():
                    teach = gr.Button("Learn", variant="primary", elem_id="learn")
                    forget = gr.Button("Forget all", elem_id="forget")
                told = gr.Markdown(known_classes(segmenter), elem_id="told")
            with gr.Column():
                queries = gr.File(
                    label="Photographs to search",
                    file_count="multiple",
                    type="filepath",
                    elem_id="queries",
                )
                least = gr.Slider(
                    0,
                    1,
                    value=round(segmenter.calibration.threshold, 2),
                    step=0.01,
                    label="Call a class absent below this probability (0: never)",
                )
                search = gr.Button("Find", variant="primary", elem_id="find")
                gallery = gr.Gallery(
                    label="Found", columns=2, object_fit="contain", elem_id="found"
                )
                failed = gr.Markdown(elem_id="failed")
        teach.click(_teach(segmenter), [session, name, editor, mask], [session, told, mask])
        forget.click(lambda: (None, known_classes(segmenter)), None, [session, told])
        search.click(_search(segmenter), [session, queries, least], [gallery, failed])
    return page


def serve(page: gr.Blocks, host: str, port: int, open_browser: bool) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        FsslibError: the port is taken.
    """
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        page.queue(max_size=16, default_concurrency_limit=1).launch(
            server_name=host,
            server_port=port,
            share=False,
            inbrowser=open_browser,
            quiet=True,
            max_file_size=MAX_UPLOAD,
            css=CSS,
            theme=gr.themes.Base(font=FONT, font_mono=["monospace"]),
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise FsslibError(f"port {port} of {host} is taken ({error}): give --port") from None
    try:
        Event().wait()  # gradio's own waiting treats Ctrl-C as success
    finally:
        page.close(verbose=False)


def _teach(segmenter: Segmenter) -> Callable[..., Any]:
    def teach(
        session: Segmenter | None, name: str, painted: dict[str, Any] | None, mask: str | None
    ) -> tuple[Segmenter | None, str, Any]:
        mine = session or segmenter.fresh()
        painted = painted or {}
        base = painted.get("background")
        photograph = None if base is None else np.ascontiguousarray(base[..., :3])
        try:
            said = learn(
                mine, name, photograph, painted.get("layers") or [], Path(mask) if mask else None
            )
        except FsslibError as error:
            return session, f"**Not learned:** {error}", gr.skip()
        return mine, said, None

    return teach


def _search(segmenter: Segmenter) -> Callable[..., Any]:
    def search(
        session: Segmenter | None, queries: list[str] | None, least: float
    ) -> tuple[list[tuple[Image.Image, str]], str]:
        try:
            # Without a session no class is learned: `segmenter` itself has learned none.
            found, failed = find(session or segmenter, [Path(q) for q in queries or []], least)
        except FsslibError as error:
            return [], f"**Nothing searched:** {error}"
        return found, "\n".join(f"- **Not read:** {line}" for line in failed)

    return search
