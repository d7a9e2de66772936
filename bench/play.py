"""The page of `nnkit play` in a headless Chromium: how long what a user waits for takes.

From the command to the first answered digit; from a movement of the pen to the bars that show it;
frames and training steps a second in the playground. Browser and server share the cores.

    python -m bench.play [--rounds 5] [--backends numba numpy]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

SEVEN = [(80, 65), (120, 65), (160, 65), (200, 65), (176, 120), (153, 170), (130, 225)]
"""Where the pen goes, in a pad of 280 by 280."""

PLAYGROUNDS = {
    "XOR, 2-4-1": "problem=xor&hidden=4&lr=0.5",
    "circles, 2-4-4-1, batch 10": "problem=circles&hidden=4,4",
    "spirals, 2-8-8-1, batch 10": "problem=spirals&hidden=8,8",
}
SECONDS = 5.0
"""For which a playground's frames are counted."""


@contextmanager
def served(backend: str) -> Iterator[tuple[str, float]]:
    """Start the command; give the page's address, and when it was started."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "nnkit", "play", "--no-browser", "--port", "0"]
    with subprocess.Popen(
        [*command, "--backend", backend],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1], began
        finally:
            process.terminate()


def draw(page: Page) -> None:
    """Draw a seven with the mouse, and wait for its answer."""
    box = page.locator("canvas.pad").bounding_box()
    assert box is not None
    scale = box["width"] / 280
    page.mouse.move(box["x"] + scale * SEVEN[0][0], box["y"] + scale * SEVEN[0][1])
    page.mouse.down()
    for x, y in SEVEN[1:]:
        page.mouse.move(box["x"] + scale * x, box["y"] + scale * y, steps=4)
        page.wait_for_timeout(40)
    page.mouse.up()
    page.locator("[data-answer]").filter(has_text="7").first.wait_for()


def latencies(page: Page) -> list[float]:
    """Milliseconds from each movement that was answered to its bars; they are forgotten then."""
    found: list[float] = page.evaluate(
        """() => {
          const found = performance.getEntriesByName("stroke-to-bars");
          performance.clearMeasures("stroke-to-bars");
          return found.map((entry) => entry.duration);
        }"""
    )
    return found


def rates(page: Page, address: str, query: str, backend: str) -> tuple[float, float]:
    """Frames and training steps a second, over some seconds, once it runs."""
    page.goto(f"{address.partition('?')[0]}#/playground?{query}&backend={backend}")
    view = page.locator(".playground")
    page.locator("[data-action=play]").click()
    page.locator(".playground[data-playing=true]").wait_for()
    page.wait_for_timeout(2000)
    before, start = counted(view), time.perf_counter()
    page.wait_for_timeout(1000 * SECONDS)
    after, seconds = counted(view), time.perf_counter() - start
    page.locator("[data-action=play]").click()
    page.goto("about:blank")
    return (after[0] - before[0]) / seconds, (after[1] - before[1]) / seconds


def counted(view: Any) -> tuple[int, int]:
    """Frames drawn, and steps made, so far."""
    return int(view.get_attribute("data-frames")), int(view.get_attribute("data-steps"))


def measure(browser: Browser, backend: str, rounds: int) -> None:
    """Measure all of it on one backend, and print it."""
    starts, waits = [], []
    for _ in range(rounds):
        with served(backend) as (address, began):
            page = browser.new_page()
            page.goto(f"{address}#/draw")
            draw(page)
            starts.append(time.perf_counter() - began)
            latencies(page)
            for _ in range(3):
                page.get_by_role("button", name="Clear").click()
                draw(page)
            waits += latencies(page)
            page.close()
    print(f"{backend}: command to first answer  {spread(starts)} s")
    print(f"{backend}: movement to bars  {spread(waits)} ms, {len(waits)} movements")
    with served(backend) as (address, _):
        page = browser.new_page()
        page.goto(address)
        for name, query in PLAYGROUNDS.items():
            made = [rates(page, address, query, backend) for _ in range(rounds)]
            frames, steps = zip(*made, strict=True)
            print(
                f"{backend}: {name}  {spread(frames)} frames/s, {spread(steps)} steps/s", flush=True
            )


def spread(values: list[float] | tuple[float, ...]) -> str:
    """Median, least and most."""
    return f"{median(values):,.3g} ({min(values):,.3g}-{max(values):,.3g})"


def main() -> None:
    """Measure the page, on each backend that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--backends", nargs="+", default=["numba"])
    given = parser.parse_args()
    program = next(filter(None, map(which, ("chromium", "google-chrome"))), None)
    if program is None:
        parser.error("this needs Chromium or Chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for backend in given.backends:
            measure(browser, backend, given.rounds)
        browser.close()


if __name__ == "__main__":
    main()
