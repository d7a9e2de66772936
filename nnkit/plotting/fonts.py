"""Fonts for any script: titles and names of classes may be Korean, Arabic or Hindi.

Matplotlib takes a missing character from the next font in a text's list of families, of which there
is one by default. Here the families are added that have what is missing. Needs Matplotlib.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

FIRST = (
    *("Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans KR", "Malgun Gothic", "NanumGothic"),
    *("Apple SD Gothic Neo", "AppleGothic", "Yu Gothic", "Hiragino Sans", "Microsoft YaHei"),
    *("PingFang SC", "WenQuanYi Zen Hei", "Noto Sans", "Nirmala UI", "Segoe UI"),
)
"""Families that are tried before the others, because they are plain and have much."""

LAST_RESORT = "Last Resort"
"""Has a box for every character, and comes with Matplotlib."""

Missing = frozenset[str]


@contextmanager
def fonts_that_fit(figure: Figure) -> Iterator[None]:
    """Give all texts of a figure the fonts they need; what no font has is said in one warning.

    Matplotlib would say it for each character, and each time the figure is drawn.
    """
    missing: dict[str, None] = {}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        missing |= dict.fromkeys(_fit(text))
    if missing:
        _say("".join(missing))
    logger = logging.getLogger("matplotlib.font_manager")
    logger.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font")
            yield
    finally:
        logger.removeFilter(_is_news)


@functools.cache  # once, though figures are drawn again and again
def _say(missing: str) -> None:
    warnings.warn(
        f"no font here has {missing[:20]!r}: boxes are drawn instead. Install a font that has, "
        "such as one of fonts.google.com/noto",
        stacklevel=2,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message is of more than a font that has no bold letters."""
    return "font weight" not in str(record.msg)


def _fit(text: Text) -> str:
    """Add families that a text needs; return the characters that none has."""
    missing = frozenset(c for c in text.get_text() if not c.isascii() and c.isprintable())
    families = list(text.get_fontfamily())
    for family in families if missing else ():
        missing = _lacking(missing, font_manager.findfont(FontProperties(family=[family])))
    if missing:
        added, missing = _families_with(missing)
        text.set_fontfamily([*families, *added])
    return "".join(c for c in text.get_text() if c in missing)


@functools.cache
def _families_with(missing: Missing) -> tuple[list[str], Missing]:
    """Return families that have these characters between them, and those that none has."""
    added = []
    for family, path in _installed():
        less = _lacking(missing, path)
        if less != missing:
            added.append(family)
        if not (missing := less):
            break
    return added, missing


def _installed() -> Iterator[tuple[str, str]]:
    """Yield each family with a font of it: the first ones, the others, and those not yet seen."""
    known = _families()
    yield from ((name, known[name]) for name in FIRST if name in known)
    yield from ((name, known[name]) for name in sorted(known.keys() - set(FIRST)))
    # Matplotlib keeps a list of what was installed when it was first used.
    for path in set(font_manager.findSystemFonts()) - set(known.values()):
        with suppress(Exception):  # fonts that it cannot read, whatever it raises
            font_manager.fontManager.addfont(path)
    yield from ((name, path) for name, path in _families().items() if name not in known)


def _families() -> dict[str, str]:
    fonts = reversed(font_manager.fontManager.ttflist)
    return {font.name: font.fname for font in fonts if not font.name.startswith(LAST_RESORT)}


def _lacking(characters: Missing, path: str) -> Missing:
    """Return those characters that a font has not."""
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # damaged, or removed since it was listed
        return characters
    return frozenset(c for c in characters if not font.get_char_index(ord(c)))
