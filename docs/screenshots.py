"""Take the pictures of `nnkit play` that the texts show: ``python docs/screenshots.py [NAME...]``.

It starts the commands, drives the Chromium of this machine, and writes ``docs/images/``. What is
trained is the same each time; how far it is in a picture depends on the machine.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.play.conftest import browser_program  # noqa: E402

IMAGES = ROOT / "docs" / "images"
COLORS = 128
SIZE = {"width": 1280, "height": 960}
PHONE = {"width": 390, "height": 844}
PLAY = ["play", "--port", "0"]
WATCH = ["train", "digits", "--watch", "--epochs", "1000"]
SEVEN = [(0.28, 0.27), (0.72, 0.27), (0.45, 0.8)]
"""Where a 7 goes, as shares of the pad."""


DRAWN = """() => {
  const canvas = document.querySelector(".networks canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, i) => value !== data[i % 4]);
}"""
"""Whether there is something to be seen in what the network sees."""


def main() -> None:
    """Take all pictures, or those whose names are given."""
    wanted = sys.argv[1:] or [*PICTURES]
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_program(), args=["--no-sandbox", "--disable-gpu"]
        )
        for command in (PLAY, WATCH):
            names = [name for name in wanted if PICTURES[name][0] is command]
            if names:
                with served(command) as address:
                    for name in names:
                        take(browser, address, name)
        browser.close()


@contextmanager
def served(command: list[str]) -> Iterator[str]:
    """Run a command of nnkit's, and give the address that it prints."""
    with tempfile.TemporaryDirectory() as runs:
        run = subprocess.Popen(
            [sys.executable, "-m", "nnkit", *command, "--no-browser"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=runs,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert run.stdout is not None
        try:
            found = (re.search(r"http://\S+", line) for line in run.stdout)
            yield next(filter(None, found))[0]
        finally:
            run.terminate()
            run.communicate()


def take(browser: Browser, address: str, name: str) -> None:
    """Open a view, have it do something, and keep what is to be seen, with few colours."""
    _, where, how, act = PICTURES[name]
    context = browser.new_context(**{"viewport": SIZE, "locale": "en", **how})
    page = context.new_page()
    page.goto(address)
    page.locator("h1").wait_for()
    page.evaluate("where => { location.hash = where; }", where)
    page.locator(f".view-{where[2:].partition('?')[0].partition('/')[0]}").wait_for()
    act(page)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    file = IMAGES / f"{name}.png"
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


def draw(page: Page) -> None:
    """Draw a 7, and wait for what is seen in it."""
    pad = page.locator("canvas.pad")
    page.locator(".networks canvas").first.wait_for(state="attached", timeout=120_000)
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=12)
    page.mouse.up()
    page.locator("[data-answer]").filter(has_text=re.compile(r"\d")).first.wait_for()
    page.wait_for_function(DRAWN)
    page.evaluate("window.scrollTo(0, 0)")


def train(page: Page) -> None:
    """Play until some thousand steps are seen, and pause."""
    play = page.locator("[data-action=play]")
    play.click()
    seen = "n => Number(document.querySelector('[data-steps]').dataset.steps) > n"
    page.wait_for_function(seen, arg=3000, timeout=120_000)
    play.click()
    page.evaluate("window.scrollTo(0, 0)")


def watch(page: Page) -> None:
    """Wait for the pictures that are got wrong."""
    page.locator(".mistakes canvas").first.wait_for(timeout=120_000)
    page.locator(".epochs tbody tr").nth(4).wait_for(state="attached")


DARK = {"color_scheme": "dark"}
MOONS = "#/playground?problem=moons&noise=0.1&hidden=8,4&optimizer=adam&lr=0.01"
CHAPTER = "#/chapters/activations"
PICTURES: dict[str, tuple[list[str], str, dict[str, object], Callable[[Page], None]]] = {
    "draw": (PLAY, "#/draw", {}, draw),
    "draw-narrow": (PLAY, "#/draw", {"viewport": PHONE}, draw),
    "playground": (PLAY, MOONS, {}, train),
    "playground-dark": (PLAY, MOONS, DARK, train),
    "chapters": (PLAY, CHAPTER, {}, train),
    "chapters-korean": (PLAY, CHAPTER, {**DARK, "locale": "ko"}, train),
    "watch": (WATCH, "#/watch", {}, watch),
}
"""Each picture's command, address, browser, and what is done before it is taken."""

if __name__ == "__main__":
    main()
