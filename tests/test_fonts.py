"""Titles and names in any script: fonts are found, or it is said once that there are none."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

from nnkit.plotting import confusion_matrix

font_manager = pytest.importorskip("matplotlib.font_manager")
text = pytest.importorskip("matplotlib.text")
builder = pytest.importorskip("fontTools.fontBuilder")
pen = pytest.importorskip("fontTools.pens.ttGlyphPen")

from nnkit.plotting import fonts  # noqa: E402 - needs Matplotlib

HANGUL, CAT, RUNIC = "고양이", "猫", "ᛟ"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Only the fonts that come with Matplotlib; what is put into this list is found on disk."""
    own = [f for f in font_manager.fontManager.ttflist if "mpl-data" in f.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    paths = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: paths)
    fonts._families_with.cache_clear()
    fonts._say.cache_clear()
    yield paths
    fonts._families_with.cache_clear()


def make_font(path, family, characters):
    """A font in which every character is a square."""
    square = pen.TTGlyphPen(None)
    square.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        square.lineTo(point)
    square.closePath()
    names = [".notdef", *(f"uni{ord(c):04X}" for c in characters)]
    font = builder.FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(map(ord, characters), names[1:], strict=True)))
    font.setupGlyf(dict.fromkeys(names, square.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)
    return str(path)


def draw(title, path):
    """Save a picture with a title and class names; return the families of each text."""
    figure = confusion_matrix(np.array([0, 1]), np.array([0, 1]), [HANGUL, "dog"], title=title)
    figure.savefig(path)
    return {t.get_text(): t.get_fontfamily() for t in figure.findobj(text.Text)}


def test_families_that_have_the_characters_are_added(tmp_path, caplog):
    for name, characters in (("A cat", CAT), ("Z Korean", HANGUL), ("B other", "ᄀ")):
        font_manager.fontManager.addfont(make_font(tmp_path / f"{name}.ttf", name, characters))
    with caplog.at_level(logging.WARNING):
        families = draw(f"{HANGUL}: {CAT}, é", tmp_path / "a.png")
    assert families[f"{HANGUL}: {CAT}, é"] == ["sans-serif", "A cat", "Z Korean"]
    assert families[HANGUL] == ["sans-serif", "Z Korean"]
    assert families["dog"] == ["sans-serif"]
    assert (caplog.text, (tmp_path / "a.png").read_bytes()[:4]) == ("", b"\x89PNG")
    draw("svg", tmp_path / "a.svg")


def test_a_plain_font_is_taken_before_others(tmp_path):
    for name in ("A fancy one", "NanumGothic"):
        font_manager.fontManager.addfont(make_font(tmp_path / f"{name}.ttf", name, HANGUL))
    assert draw("t", tmp_path / "a.png")[HANGUL] == ["sans-serif", "NanumGothic"]


def test_a_font_installed_since_matplotlib_looked_is_found(tmp_path, installed):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    installed += [str(tmp_path / "broken.ttf"), make_font(tmp_path / "new.ttf", "New", HANGUL)]
    assert draw("t", tmp_path / "a.png")[HANGUL] == ["sans-serif", "New"]


def test_a_font_that_was_removed_is_passed_over(tmp_path):
    for name in ("A gone", "Here"):
        font_manager.fontManager.addfont(make_font(tmp_path / f"{name}.ttf", name, HANGUL))
    (tmp_path / "A gone.ttf").unlink()
    assert draw("t", tmp_path / "a.png")[HANGUL] == ["sans-serif", "Here"]


def test_what_no_font_has_is_said_once(tmp_path):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            draw(f"{RUNIC} and {HANGUL}", tmp_path / "a.png")
    assert [str(warning.message) for warning in said] == [
        "no font here has '고양이ᛟ': boxes are drawn instead. Install a font that has, such as one "
        "of fonts.google.com/noto"
    ]


def test_fonts_of_ones_own_stay(tmp_path):
    font_manager.fontManager.addfont(make_font(tmp_path / "k.ttf", "Korean", HANGUL))
    figure = confusion_matrix(np.array([0]), np.array([0]), [HANGUL])
    for label in figure.axes[0].get_xticklabels():
        label.set_fontfamily("serif")
    figure.savefig(tmp_path / "a.png")
    assert figure.axes[0].get_xticklabels()[0].get_fontfamily() == ["serif", "Korean"]
