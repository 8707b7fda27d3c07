"""The colour palette of PASCAL VOC, which maps class ids to well-separated colours."""

from functools import lru_cache


@lru_cache(maxsize=1)
def voc_palette() -> tuple[int, ...]:
    """VOC palette as 768 values: red, green and blue, 0 to 255, of each id from 0 to 255.

    Three bits of the id at a time, from the lowest, set one bit of each channel, from the highest.
    """
    palette: list[int] = []
    for index in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
        palette += colour
    return tuple(palette)
