"""A run seen in a browser."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest

import nnkit
from nnkit.data import load
from tests.play.accessible import violations
from tests.play.watching import T, X, fit, trainer


@pytest.fixture
def watch():
    with nnkit.Watch(port=0, browser=False, class_names=["zero", "one", "two"]) as made:
        yield made


@pytest.fixture
def digits():
    data = load("digits").as_rows()
    model = nnkit.Sequential(nnkit.Linear(64, 16), nnkit.ReLU(), nnkit.Linear(16, 10), seed=0)
    one = nnkit.Trainer(model)

    def run(epochs, *callbacks):
        test = data.x_test, data.t_test
        how = {"validation_data": test, "callbacks": callbacks, "progress": False}
        one.fit(data.x_train, data.t_train, epochs, **how)

    return run


class Begun(nnkit.Callback):
    """Tells that the page is there."""

    comes_last = True

    def __init__(self):
        self.event = threading.Event()

    def on_fit_begin(self, trainer):
        self.event.set()


@contextmanager
def in_thread(run, epochs, *callbacks):
    begun = Begun()
    thread = threading.Thread(target=run, args=(epochs, *callbacks, begun))
    thread.start()
    assert begun.event.wait(20)
    try:
        yield thread
    finally:
        thread.join(20)
        assert not thread.is_alive()


DRAWN = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


def test_a_run_on_digits_is_seen_stopped_and_followed_by_another(watch, digits, open_page):
    watch.image_shape = (8, 8)
    with in_thread(digits, 10**6, watch) as thread:
        page = open_page(watch.address)
        page.get_by_role("status").get_by_text("Training").wait_for()
        matrix = page.get_by_role("region", name="Confusion matrix").last
        matrix.get_by_role("table").wait_for()
        page.locator(".mistakes canvas").first.wait_for()
        page.locator(".epochs tbody tr").nth(3).wait_for()
        for curve in page.locator(".curves canvas").all():
            assert curve.evaluate(DRAWN) > 3
            assert "epochs" in curve.get_attribute("aria-label")
        assert page.locator(".weights_first canvas").count() == 16
        assert all(n > 3 for n in map(drawn, page.locator(".weights_first canvas").all()))

        stop = page.get_by_role("button", name="Stop after this step")
        stop.click()
        page.get_by_role("button", name="No, go on").click()
        assert thread.is_alive()
        stop.click()
        page.get_by_role("button", name="Yes, stop").click()
        page.get_by_role("status").get_by_text("Stopped before its end").wait_for()
        thread.join(20)
    assert sum(numbers(matrix)) == 355
    assert stop.is_hidden()

    with in_thread(digits, 3, watch):
        page.get_by_role("status").get_by_text("Finished").wait_for()
    assert page.locator(".figures dd").first.text_content() == "3 / 3"
    page.locator(".epochs tbody tr").nth(2).wait_for()
    assert page.locator(".epochs tbody tr").count() == 3
    assert sum(numbers(matrix)) == 355
    watch.close()
    page.get_by_text("this is the last that was seen").wait_for()
    page.get_by_role("button", name="Connect again").wait_for()
    assert sum(numbers(matrix)) == 355


def drawn(canvas):
    return canvas.evaluate(DRAWN)


def numbers(matrix):
    return [int(text.replace(",", "")) for text in matrix.locator("tbody td").all_text_contents()]


def test_of_amounts_there_are_points_and_no_matrix(watch, open_page):
    targets = X[:, :1] * X[:, 1:2]
    fit(trainer(1, "mse"), watch, data=(X, targets), validation=(X[:40], targets[:40]))
    page = open_page(watch.address)
    plot = page.get_by_role("img", name="40 amounts")
    plot.wait_for()
    assert drawn(plot) > 3
    assert page.get_by_role("heading", name="Said and true").is_visible()
    assert page.locator(".panel.accuracy").is_hidden()
    assert page.locator(".matrix").is_hidden()
    assert page.locator(".panel.wrong").is_hidden()


def test_wrong_rows_have_names_and_many_classes_a_picture(watch, open_page):
    fit(trainer(), watch)
    page = open_page(watch.address)
    page.get_by_text("taken for").first.wait_for()
    assert page.get_by_role("columnheader", name="two").is_visible()
    many = np.arange(96) % 40
    fit(trainer(40), watch, data=(X, many), validation=(X, many))
    picture = page.get_by_role("img", name="Matrix of 40 classes")
    picture.wait_for()
    assert drawn(picture) > 2
    assert page.get_by_role("table").filter(has_text="truth").count() == 0


@pytest.mark.parametrize("how", [{"locale": "ko"}, {"color_scheme": "dark"}])
def test_narrow_in_either_language_nothing_is_cut_off(how, watch, open_page):
    fit(trainer(), watch)
    page = open_page(watch.address, viewport={"width": 390, "height": 800}, **how)
    page.locator(".epochs tbody tr").nth(3).wait_for()
    page.locator(".matrix table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not violations(page)


def test_without_validation_data_the_page_says_what_to_give(watch, open_page):
    fit(trainer(), watch, data=(X, T), validation=None)
    page = open_page(watch.address)
    page.get_by_text("validation_split").wait_for()
    assert page.get_by_text("Validation, after each epoch").first.is_hidden()
