"""Digits are drawn by mouse and by keys, and read; networks are taught, and compared."""

import json
import subprocess
import sys
from functools import partial

import pytest

import nnkit
from nnkit.cli import galleries
from nnkit.data import available
from nnkit.play.drawing.gallery import Gallery
from nnkit.play.drawing.room import Draw
from nnkit.play.server import Server
from nnkit.play.wire import unpack
from tests.play.networks import gallery, relu, sigmoid, trained
from tests.play.strokes import DIGITS, draw

LINE = [[(140, 55), (140, 225)]]
CORNER = [[(80, 65), (200, 65), (200, 225)]]


def serving(networks):
    return Server({"draw": partial(Draw, gallery=networks)}, port=0)


@pytest.fixture(scope="module")
def address():
    with serving(gallery(relu=relu(), sigmoid=sigmoid())) as server:
        yield server.address


def ready(page, bars=10):
    """Wait for as many bars: all networks are there."""
    page.locator(".bars li").nth(bars - 1).wait_for()
    return page


def answer(page, which=0):
    """The network's answer, when there is one."""
    page.locator("[data-answer]:not([data-answer=''])").nth(which).wait_for()
    return page.locator("[data-answer]").nth(which).get_attribute("data-answer")


def no_answer(page):
    page.locator("[data-answer='']").first.wait_for()


def settled(page):
    """Wait until the answer is that to what is drawn now."""
    page.locator(".networks[aria-busy='false']").wait_for()
    return page


def answers_of(page):
    """A list that grows by each answer that the page is sent."""
    found = []

    def heard(data):
        if isinstance(data, bytes) and unpack(data)["type"] == "answer":
            found.append(unpack(data))

    page.on("websocket", lambda socket: socket.on("framereceived", heard))
    return found


@pytest.mark.parametrize(("data", "right"), [("digits", 8), ("mnist", 10)])
def test_drawn_digits_are_read(data, right, open_page, tmp_path_factory, monkeypatch):
    if data == "mnist" and next(d for d in available() if d.name == "mnist").location is None:
        pytest.skip("MNIST is not on this machine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))
    pytest.importorskip("numba")  # the plain formulas would take a minute
    made = partial(galleries._made, "lenet", data, nnkit.get_backend("numba"))
    networks = Gallery({"lenet": made})
    networks.open("lenet")
    with serving(networks) as server:
        page = ready(open_page(server.address + "#/draw?show=bars"))
        found = {}
        for digit, strokes in DIGITS.items():
            draw(page, strokes)
            settled(page)
            found[digit] = answer(page)
            page.get_by_role("button", name="Clear").click()
            no_answer(page)
    assert sum(str(digit) == said for digit, said in found.items()) >= right, found


def test_keys_draw_undo_and_do_again(address, open_page):
    page = ready(open_page(address + "#/draw"))
    heard = answers_of(page)
    page.reload()
    ready(page)
    pad = page.locator("canvas.pad")
    pad.focus()
    for key in ["ArrowUp"] * 8 + [" "] + ["ArrowDown"] * 16 + [" "]:
        page.keyboard.press(key)
    settled(page)
    image = heard[-1]["image"]
    assert (image > 100).all(axis=0).any()  # a line from top to bottom
    assert 1 <= (image > 100).any(axis=0).sum() <= 2
    page.keyboard.press("Control+z")
    no_answer(page)
    page.keyboard.press("Control+Shift+Z")
    settled(page)
    assert (heard[-1]["image"] == image).all()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Undo"


def test_thickness_undo_and_clear(address, open_page):
    page = ready(open_page(address + "#/draw"))
    ink = "(() => { const c = document.querySelector('canvas.pad');"
    ink += "return c.getContext('2d').getImageData(0, 0, 280, 280).data"
    ink += ".reduce((n, v, i) => n + (i % 4 === 0 && v > 127), 0); })()"
    draw(page, LINE)
    thin = page.evaluate(ink)
    page.get_by_label("Thickness").press("End")
    draw(page, [[(60, 60), (60, 220)]])
    both = page.evaluate(ink)
    assert both - thin > 1.5 * thin
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(ink) == thin
    page.get_by_role("button", name="Redo").click()
    assert page.evaluate(ink) == both
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate(ink) == 0
    no_answer(page)
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_what_is_touched_is_drawn_and_a_dot_is_too_little(address, open_page):
    page = ready(open_page(address + "#/draw", has_touch=True))
    box = page.locator("canvas.pad").bounding_box()
    page.touchscreen.tap(box["x"] + 140, box["y"] + 100)
    page.get_by_text("too little on the pad").first.wait_for(state="attached")
    session = page.context.new_cdp_session(page)
    for kind, y in (("touchStart", 100), ("touchMove", 150), ("touchMove", 200), ("touchEnd", 0)):
        points = [{"x": box["x"] + 140, "y": box["y"] + y}] if y else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    answer(page)


def test_a_lesson_and_its_end(address, open_page):
    page = ready(open_page(address + "#/draw"))
    draw(page, CORNER)
    before = answer(settled(page))
    label = str((int(before) + 1) % 10)
    page.get_by_role("button", name=f"This is {label}").click()
    page.locator("[data-taught]", has_text=f"{before} → {label} after").wait_for()
    page.locator(f"[data-answer='{label}']").wait_for()
    assert page.locator(".drawings li").count() == 1
    page.get_by_role("button", name="Forget the last lesson").click()
    page.locator(f"[data-answer='{before}']").wait_for()
    page.locator(".drawings:empty").wait_for(state="attached")


def test_a_drawing_is_taken_out_again(address, open_page):
    page = ready(open_page(address + "#/draw"))
    draw(page, LINE)
    answer(settled(page))
    page.get_by_role("button", name="This is 4").click()
    page.get_by_role("button", name="Take out drawing 1").click()
    page.locator(".drawings:empty").wait_for(state="attached")


def test_two_networks_side_by_side(address, open_page):
    page = ready(open_page(address + "#/draw"))
    draw(page, LINE)
    page.get_by_role("button", name="Compare").click()
    ready(page, 20)
    assert answer(settled(page), 1)
    assert page.locator(".network select").nth(1).input_value() == "sigmoid"
    page.get_by_role("button", name="Compare").click()
    page.locator(".network").nth(1).wait_for(state="hidden")
    draw(page, CORNER)
    assert answer(settled(page))


def test_a_chapter_shows_what_it_wants(address, open_page):
    page = ready(open_page(address + "#/draw?model=sigmoid&second=relu&show=bars,maps"), 20)
    assert page.locator(".network select").first.input_value() == "sigmoid"
    for heading in ("Teach it", "spoke loudest"):
        assert not page.get_by_text(heading).count()
    assert page.locator(".tiles").count() == 4


def test_the_saved_picture_is_read_as_the_drawing_was(open_page, tmp_path):
    trainer = relu()
    trainer.save(tmp_path / "model.safetensors", **trainer.extra)
    with serving(galleries.of_files([str(tmp_path)], nnkit.get_backend("numpy"))) as server:
        page = open_page(server.address + "#/draw")
        heard = answers_of(page)
        page.reload()
        draw(ready(page), CORNER)
        answer(settled(page))
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as PNG").click()
        download.value.save_as(tmp_path / "drawing.png")
    command = ["predict", str(tmp_path), str(tmp_path / "drawing.png"), "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "nnkit", *command, "--backend", "numpy"],
        check=True,
        capture_output=True,
    )
    (said,) = json.loads(ran.stdout)
    assert [*said["probabilities"].values()] == heard[-1]["probabilities"]


def test_names_of_any_script_and_length(open_page):
    names = ("고양이", "a name that is " + "so very long " * 8, *"01234567")
    network = trained(nnkit.Linear(64, 10), names=names)
    with serving(gallery(mine=network)) as server:
        page = ready(open_page(server.address + "#/draw", viewport={"width": 390, "height": 800}))
        draw(page, LINE)
        assert answer(settled(page)) in names
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.get_by_role("button", name="This is 고양이").is_visible()


def test_forty_classes_are_shown_in_part(open_page):
    names = tuple(f"kind {i}" for i in range(40))
    network = trained(nnkit.Linear(64, 40), names=names)
    with serving(gallery(mine=network)) as server:
        page = ready(open_page(server.address + "#/draw"), 12)
        draw(page, LINE)
        said = answer(settled(page))
        assert page.locator(".bars li").count() == 12
        assert page.locator(".bars li span").first.text_content() == said
        page.get_by_label("This is", exact=True).select_option("kind 39")
        page.get_by_role("button", name="Teach").click()
        page.locator("[data-answer='kind 39']").wait_for()


def test_each_stroke_is_measured(address, open_page):
    page = ready(open_page(address + "#/draw"))
    draw(page, CORNER)
    answer(settled(page))
    measured = page.evaluate(
        "performance.getEntriesByName('stroke-to-bars').map(entry => entry.duration)"
    )
    assert measured
    assert min(measured) >= 0
