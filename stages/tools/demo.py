"""`demo`: serves a local page to paint a mask, drop photographs and see what is found."""

import os
from typing import Annotated

import typer

from fsslib.encoders.running import one_thread_each
from fsslib.errors import FsslibError

from ..support.common import command, make_app, say
from ..support.model_options import (
    INSTALLED,
    BackboneOption,
    Background,
    CalibrationOption,
    Device,
    IndexFolder,
    ModelOption,
    RefineOption,
    open_segmenter,
    pinned_model,
)

HOST = "127.0.0.1"
"""The page is served to this machine only, since anyone who reaches it can make it compute."""


@command
def main(
    model: ModelOption = INSTALLED,
    backbone: BackboneOption = None,
    calibration: CalibrationOption = None,
    index: IndexFolder = None,
    background: Background = True,
    refine: RefineOption = "guided",
    device: Device = "auto",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 7860,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve a page on 127.0.0.1 where a class is learned from one painted photograph.

    Reads the model and, if given, --calibration and --index. Writes no results. Needs the extra
    `demo` (gradio), but no network. Photographs stay on this machine. Ctrl-C ends the command.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio  # noqa: F401 - takes seconds, and may be missing
    except ImportError:
        raise FsslibError("the page needs gradio: pip install 'fsslib[demo]'") from None
    from .demo_page import build_page, serve

    one_thread_each()
    model = pinned_model(model)
    segmenter = open_segmenter(
        model,
        backbone=backbone,
        calibration=calibration,
        index=index,
        background=background,
        refine=refine,
        device=device,
    )
    say(f"http://{HOST}:{port} shows the page with {model}; Ctrl-C ends it")
    serve(build_page(segmenter), HOST, port, open_browser)


app = make_app(main)

if __name__ == "__main__":
    app()
