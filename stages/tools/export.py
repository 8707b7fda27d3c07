"""`export`: writes an encoder as ONNX and checks it against PyTorch."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib.prediction.export import TOLERANCE, check_packages, export_encoder
from fsslib.prediction.models import open_model

from ..support.common import command, make_app, say
from ..support.model_options import INSTALLED, BackboneOption, ModelOption, pinned_model


@command
def main(
    out: Annotated[Path, typer.Option(help="ONNX file to write.")] = Path("encoder.onnx"),
    model: ModelOption = INSTALLED,
    backbone: BackboneOption = None,
) -> None:
    """Write the encoder as ONNX: photographs in, features out, any batch, height and width.

    Reads the model and writes the file --out. Input `images` is (B, 3, H, W) float32, RGB of 0 to
    255; output `features` is (B, C, ceil(H/8), ceil(W/8)). Needs the extra `onnx`:
    pip install 'fsslib[onnx]'.
    """
    check_packages()
    opened = open_model(pinned_model(model), backbone)
    worst = export_encoder(opened.encoder, out, opened.background)
    say(
        f"wrote {out}: {opened.encoder.backbone}, {out.stat().st_size / 1e6:.1f} MB, differs from "
        f"PyTorch by {worst:.1e} at most (allowed {TOLERANCE:.0e})"
    )


app = make_app(main)

if __name__ == "__main__":
    app()
