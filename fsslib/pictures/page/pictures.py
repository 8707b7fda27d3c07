"""Embeds pictures in a page as data URIs, reduced in size if possible."""

import base64
import io
from dataclasses import dataclass

from PIL import Image, features

WIDEST = 1600
"""Largest width in px. Wider sheets are scaled down; a page shows fewer pixels than that."""
QUALITY = 82


@dataclass(frozen=True)
class Embedded:
    """A picture as a data URI, and its size in px."""

    source: str
    width: int
    height: int


def embed(content: bytes) -> Embedded | None:
    """Return a picture as WebP, or unchanged if that is smaller; None if it is not a picture.

    Photographs in PNG take six times the bytes, and a report holds four sheets of them per fold.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            kind, picture = (opened.format or "").lower(), opened.convert("RGB")
    except OSError:
        return None
    if picture.width > WIDEST:
        height = max(1, round(picture.height * WIDEST / picture.width))
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    if features.check("webp"):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=QUALITY)
        if buffer.tell() < len(content):
            kind, content = "webp", buffer.getvalue()
    text = base64.b64encode(content).decode()
    return Embedded(f"data:image/{kind};base64,{text}", picture.width, picture.height)
