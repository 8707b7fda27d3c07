"""The colour palette of PASCAL VOC: class ids to well-separated colours, by bit interleaving."""

from functools import lru_cache


@lru_cache(maxsize=1)
def voc_palette() -> tuple[int, ...]:
    """768 values, red green blue of 0 to 255: the bits of an id, three at a time, from the top."""
    palette: list[int] = []
    for index in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
        palette += colour
    return tuple(palette)
