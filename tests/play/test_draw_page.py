"""Digits are drawn by mouse, and read."""

from functools import partial

import numpy as np
import pytest

from nnkit.play.draw import Draw
from nnkit.play.server import Server


@pytest.fixture
def address():
    def recognise(pixels):
        return np.array([0.25, 0.75]) if pixels.any() else np.array([1.0, 0.0])

    with Server({"draw": partial(Draw, recognise=recognise)}, port=0) as server:
        yield server.address


def test_a_stroke_is_answered(address, open_page):
    page = open_page(address + "#/draw")
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 200, steps=5)
    page.mouse.up()
    page.get_by_text("1: 75.0 %").wait_for()
    assert "token" not in page.url
