"""Text on pictures, in any script that this machine has a font for."""

from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from polyyolo.images.reading import Picture

Colour = tuple[int, int, int]
"""Blue, green and red, 0 to 255."""
USUAL = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
"""DejaVu Sans, which comes with Matplotlib: Latin, Greek, Cyrillic, Arabic and more, but no Chinese or Japanese."""


def write(canvas: Picture, text: str, place: tuple[int, int], letters: int, ink: Colour) -> int:
    """Write text onto ``canvas`` itself; what does not fit is cut off.

    Args:
        canvas: (H, W, 3) uint8 BGR.
        text: becomes one line where it has breaks.
        place: left and top of the line in pixels, both on the canvas.
        letters: size of the font in pixels.
        ink: its colour.

    Returns:
        Where the text ends, in pixels from the left.
    """
    left, top = place
    text = _one_line(text)
    width, height = size_of(text, letters)
    patch = canvas[top : top + height, left : left + width]
    if patch.size:
        drawn = Image.fromarray(np.ascontiguousarray(patch))
        ImageDraw.Draw(drawn).text((0, 0), text, fill=ink, font=_font(font_file(text), letters))
        patch[:] = np.asarray(drawn)
    return left + width


def size_of(text: str, letters: int) -> tuple[int, int]:
    """Width and height in pixels that text takes in one line, descenders included."""
    text = _one_line(text)
    font = _font(font_file(text), letters)
    return round(font.getlength(text)), sum(font.getmetrics())


def _one_line(text: str) -> str:
    """Put blanks for line breaks of every kind: Pillow's layout fails on them."""
    return " ".join(text.splitlines())


def font_file(text: str) -> Path:
    """Choose a font: the usual one, or where it lacks letters of ``text`` the first of this machine's that has all."""
    lacking = {ord(letter) for letter in text} - _letters_of(USUAL)
    return _other_font(frozenset(lacking), text) if lacking else USUAL


@lru_cache(maxsize=256)
def _other_font(lacking: frozenset[int], text: str) -> Path:
    """Look for a font with the letters that the usual one lacks, and best with all of the text's."""
    every = {ord(letter) for letter in text}
    able = [path for path in _installed() if lacking <= _letters_of(path)]
    return next((path for path in able if every <= _letters_of(path)), able[0] if able else USUAL)


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    from matplotlib.font_manager import findSystemFonts

    return tuple(map(Path, sorted(findSystemFonts())))


@lru_cache(maxsize=512)
def _letters_of(path: Path) -> frozenset[int]:
    """The code points that a font has; none for a file that is no font."""
    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@lru_cache(maxsize=32)
def _font(path: Path, letters: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, letters)
