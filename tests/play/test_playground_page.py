"""The playground in a browser: what is pressed, what is seen, and what is said."""

import re
import subprocess
import sys

import pytest

from nnkit.play.playground.room import Playground
from nnkit.play.playground.settings import Settings, as_sent
from nnkit.play.server import Server
from tests.play.accessible import violations
from tests.play.asking import eventually, page_threads

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=20_000)

XOR = "problem=xor&hidden=4&activation=sigmoid&optimizer=adam&lr=0.1&batch=0&seed=1&backend=numpy"
EVERYTHING = {
    "problem": "spirals",
    "points": 120,
    "noise": 0.02,
    "hidden": [5, 3, 2],
    "activation": "leaky_relu",
    "initial": "large",
    "batch_norm": True,
    "loss": "hinge",
    "optimizer": "rmsprop",
    "lr": 0.005,
    "batch": 16,
    "decay": 0.001,
    "dropout": 0.25,
    "seed": 7,
    "backend": "numpy",
}
PIXEL = """([x, y]) => {
  const canvas = document.querySelector(".plane canvas");
  const at = [x * canvas.width, y * canvas.height].map(Math.floor);
  return [...canvas.getContext("2d").getImageData(...at, 1, 1).data];
}"""


@pytest.fixture(scope="module")
def server():
    with Server({"playground": Playground}, port=0) as server:
        yield server


@pytest.fixture
def play(server, open_page):
    """Open the playground with settings, and wait until it is drawn."""

    def opened(query="backend=numpy", **how):
        page = open_page(f"{server.address}#/playground?{query}", **how)
        drawn(page)
        return page

    return opened


def drawn(page):
    page.locator(".playground:not([data-frames='0'])").wait_for()


def action(page, name):
    return page.locator(f"[data-action='{name}']")


def reading(page, name):
    return page.locator(f"[data-reading='{name}'] dd")


def setting(page, name):
    return page.locator(f"[data-setting='{name}']")


def shown(page):
    """What the controls say, by the settings' names; of one number its box."""
    found = {}
    for name in EVERYTHING.keys() - {"hidden", "problem"}:
        control = setting(page, name).locator("select, input:not([type=range])")
        flag = control.get_attribute("type") == "checkbox"
        found[name] = control.is_checked() if flag else control.input_value()
    found["problem"] = page.locator("[data-problem][aria-pressed=true]").get_attribute(
        "data-problem"
    )
    return found


def units(page):
    """Units of each hidden layer, as they are drawn."""
    places = [x.get_attribute("data-unit") for x in page.locator("[data-unit]").all()]
    layers = [place.split(".")[0] for place in places]
    return [layers.count(layer) for layer in sorted({*layers})]


def is_warm(page, x, y):
    """Whether class 1 is drawn at this place, from 0 to 1, the first row on top."""
    red, _, blue, _ = page.evaluate(PIXEL, [x, y])
    return red > blue


def test_xor_is_learned_until_the_regions_are_right(play):
    page = play(XOR)
    action(page, "play").click()
    expect(reading(page, "loss")).to_have_text(re.compile(r"^0\.00|e-"))
    action(page, "play").click()
    expect(page.locator(".playground")).to_have_attribute("data-playing", "false")
    expect(page.locator(".said")).to_contain_text("100 % of the training points are right")
    expect(reading(page, "accuracy")).to_have_text("100.0 %")
    label = re.compile("100 % of the training points are right")
    expect(page.locator(".plane")).to_have_attribute("aria-label", label)
    action(page, "sharp").click()
    beside = {(0.3, 0.7): 0, (0.3, 0.3): 1, (0.7, 0.7): 1, (0.7, 0.3): 0}  # (0, 0) is at (1/4, 3/4)
    assert {place: is_warm(page, *place) for place in beside} == beside


def test_a_step_an_epoch_and_a_new_start(play):
    page = play("points=40&batch=10&backend=numpy")
    expect(page.locator(".said")).to_have_text("Ready: nothing has been learned yet.")
    for steps, press in ((1, "step"), (2, "step"), (4, "epoch"), (8, "epoch"), (9, "step")):
        action(page, press).click()
        expect(reading(page, "step")).to_have_text(str(steps))
    expect(reading(page, "epoch")).to_have_text("2")
    action(page, "reset").click()
    expect(reading(page, "step")).to_have_text("0")
    expect(page.locator(".playground")).to_have_attribute("data-steps", "0")


def test_slow_training_is_paused_where_it_is(play):
    page = play()
    page.get_by_label("Speed", exact=True).select_option("calm")
    action(page, "play").click()
    expect(page.locator(".said")).to_have_text("Training.")
    page.locator(".playground:not([data-steps='0'])").wait_for()
    action(page, "play").click()
    expect(page.locator(".said")).to_contain_text("Paused after step")
    steps = int(reading(page, "step").inner_text())
    action(page, "step").click()
    expect(reading(page, "step")).to_have_text(str(steps + 1))


def test_a_link_sets_everything_and_comes_back(play, server, open_page):
    assert EVERYTHING.keys() == as_sent(Settings()).keys()
    values = {**EVERYTHING, "hidden": "5,3,2", "batch_norm": "true"}
    query = "&".join(f"{name}={value}" for name, value in values.items())
    page = play(query)
    found = shown(page)
    assert units(page) == EVERYTHING["hidden"]
    assert found == {
        name: value if isinstance(value, bool | str) else str(value)
        for name, value in EVERYTHING.items()
        if name != "hidden"
    }
    setting(page, "seed").locator("input[type=number]").fill("8")
    setting(page, "seed").locator("input[type=number]").press("Enter")
    expect(page).to_have_url(re.compile("seed=8"))
    address = page.url
    other = open_page(server.address + "#" + address.split("#")[1])
    drawn(other)
    assert shown(other) == {**found, "seed": "8"}
    assert units(other) == EVERYTHING["hidden"]


def test_each_control_says_what_it_changes(play):
    page = play("hidden=2&backend=numpy")
    changes = {
        "activation": "relu",
        "initial": "he",
        "loss": "mean_squared_error",
        "optimizer": "adam",
    }
    for name, value in changes.items():
        setting(page, name).locator("select").select_option(value)
    setting(page, "batch_norm").get_by_role("checkbox").check()
    numbers = {"points": 50, "noise": 0.3, "lr": 0.02, "batch": 5, "decay": 0.1, "dropout": 0.5}
    for name, value in numbers.items():
        setting(page, name).locator("input[type=number]").fill(str(value))
        setting(page, name).locator("input[type=number]").press("Tab")
    page.locator("[data-problem=moons]").click()
    page.get_by_role("button", name="One more hidden layer").click()
    page.get_by_role("button", name="One more unit in layer 2").click()
    python = page.locator(".python")
    python.locator("summary").click()
    for written in (
        'problem("moons", points=50, noise=0.3, seed=0)',
        "Linear(2, 3, ",
        "nnkit.BatchNorm1d(3)",
        "nnkit.ReLU()",
        "nnkit.Dropout(0.5)",
        'init="he"',
        "nnkit.MeanSquaredError()",
        "nnkit.Adam(lr=0.02",
        "batch_size=5",
        'backend="numpy"',
    ):
        expect(python.locator("code")).to_contain_text(written)
    assert units(page) == [2, 3]


def test_what_a_gate_does_not_draw_is_not_asked_for(play):
    page = play("problem=moons&backend=numpy")
    for name in ("points", "noise"):
        assert setting(page, name).is_visible()
    page.locator("[data-problem=xor]").click()
    for name in ("points", "noise"):
        setting(page, name).wait_for(state="hidden")
    page.locator("[data-problem=circles]").click()
    for name in ("points", "noise"):
        setting(page, name).wait_for(state="visible")


def test_the_rate_changes_while_it_learns(play):
    page = play()
    page.get_by_label("Speed", exact=True).select_option("calm")
    action(page, "play").click()
    page.locator(".playground:not([data-steps='0'])").wait_for()
    steps = int(page.locator(".playground").get_attribute("data-steps"))
    page.get_by_role("slider", name="Learning rate").press("ArrowRight")
    expect(page).to_have_url(re.compile(r"lr=0\.2"))
    page.locator(f".playground:not([data-steps='{steps}'])").wait_for()
    expect(page.locator(".playground")).to_have_attribute("data-playing", "true")
    assert int(page.locator(".playground").get_attribute("data-steps")) > steps


def test_a_sine_has_a_curve_and_the_losses_that_go_with_it(play):
    page = play()
    page.locator("[data-problem=sine]").click()
    loss = setting(page, "loss").locator("select")
    expect(loss).to_have_value("mean_squared_error")
    expect(page.locator(".plane")).to_have_attribute("aria-label", re.compile("curve"))
    expect(reading(page, "accuracy")).to_have_text("\u2013")
    action(page, "epoch").click()
    expect(reading(page, "epoch")).to_have_text("1")


def test_the_lines_of_python_run(play):
    page = play("points=20&batch=5&hidden=3&backend=numpy")
    action(page, "epoch").click()
    expect(reading(page, "epoch")).to_have_text("1")
    action(page, "epoch").click()
    expect(reading(page, "epoch")).to_have_text("2")
    page.locator(".python summary").click()
    code = page.locator(".python code")
    expect(code).to_contain_text("epochs=2")
    run = [sys.executable, "-W", "error", "-c", code.inner_text()]
    told = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    loss = re.search(r"\d\.\d+", told.splitlines()[-1])
    assert f"{float(loss[0]):.4f}" == reading(page, "loss").inner_text(), told


def test_what_is_refused_is_told_beside_the_control(play):
    page = play()
    box = setting(page, "points").locator("input[type=number]")
    box.fill("100000")
    box.press("Enter")
    problem = setting(page, "points").locator(".error")
    expect(problem).to_have_text("Points has to be a whole number from 10 to 500.")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.fill("50")
    box.press("Enter")
    expect(problem).to_have_text("")
    expect(box).to_have_attribute("aria-invalid", "false")


def test_an_address_with_nonsense_is_refused_in_words(server, open_page):
    page = open_page(f"{server.address}#/playground?hidden=4,many&problem=xor")
    expect(page.locator(".network .error")).to_contain_text("Hidden layers")


def test_a_unit_is_shown_large_with_its_numbers(play):
    page = play("problem=xor&hidden=3&backend=numpy")
    page.locator("[data-unit='0.1']").focus()
    expect(page.locator(".picture h2")).to_have_text("Layer 1, unit 2")
    expect(page.locator(".picture .numbers")).to_contain_text(re.compile(r"weights -?\d"))
    expect(page.locator(".plane")).to_have_attribute("aria-label", re.compile("unit 2"))
    page.locator("[data-unit='0.1']").blur()
    expect(page.locator(".picture h2")).to_have_text("What the network says")


def test_by_keyboard_alone(play):
    page = play("problem=xor&hidden=2&backend=numpy")
    page.keyboard.press("Space")
    expect(page.locator(".playground")).to_have_attribute("data-playing", "true")
    page.keyboard.press("Space")
    expect(page.locator(".playground")).to_have_attribute("data-playing", "false")

    def reach(selector):
        for _ in range(60):
            if page.locator(f"{selector}:focus").count():
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached")

    reach("[data-action=reset]")
    page.keyboard.press("Enter")
    expect(reading(page, "step")).to_have_text("0")
    reach("[data-edit=add-0]")
    page.keyboard.press("Space")
    expect(page.locator("[data-unit='0.2']")).to_be_visible()
    expect(page.locator("[data-edit=add-0]")).to_be_focused()
    assert page.locator(".playground").get_attribute("data-playing") == "false"
    reach("[data-unit='0.2']")
    expect(page.locator(".picture h2")).to_have_text("Layer 1, unit 3")
    reach("[data-problem=or]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-problem=or]")).to_have_attribute("aria-pressed", "true")


def test_two_pages_do_not_disturb_each_other(play):
    one, two = play("problem=xor&backend=numpy"), play("problem=or&hidden=3&backend=numpy")
    action(one, "play").click()
    one.locator(".playground:not([data-steps='0'])").wait_for()
    action(two, "step").click()
    expect(reading(two, "step")).to_have_text("1")
    assert units(two) == [3]
    expect(one.locator(".playground")).to_have_attribute("data-playing", "true")


def test_a_reload_while_it_learns_begins_again(play):
    page = play("problem=xor&hidden=3&backend=numpy")
    action(page, "play").click()
    page.locator(".playground:not([data-steps='0'])").wait_for()
    page.reload()
    drawn(page)
    expect(reading(page, "step")).to_have_text("0")
    assert units(page) == [3]


def test_a_server_that_ends_is_told(open_page):
    with Server({"playground": Playground}, port=0) as server:
        page = open_page(f"{server.address}#/playground?backend=numpy", expect_errors=True)
        drawn(page)
        action(page, "play").click()
        page.locator(".playground:not([data-steps='0'])").wait_for()
    expect(page.locator("#notice")).to_contain_text("nnkit play has ended")
    expect(action(page, "play")).to_be_disabled()


def test_training_that_diverges_is_told(play):
    page = play("problem=sine&loss=mean_squared_error&activation=identity&lr=100&backend=numpy")
    action(page, "play").click()
    expect(page.locator(".said")).to_contain_text("has diverged")
    expect(page.locator(".said")).to_contain_text("such as 10")


def test_every_experiment_opens(play):
    page = play()
    names = [x.get_attribute("value") for x in action(page, "preset").locator("option").all()]
    assert len(names) > 5
    for name in filter(None, names):
        before = page.url
        action(page, "preset").select_option(name)
        expect(page).not_to_have_url(before)
        expect(page.locator(".presets p")).not_to_have_text("")
        action(page, "step").click()
        expect(reading(page, "step")).to_have_text("1")
        expect(page.locator(".playground .error:not(:empty)")).to_have_count(0)


def test_it_fits_a_phone_and_speaks_korean(play):
    page = play(locale="ko", viewport={"width": 390, "height": 844}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not violations(page)
    action(page, "play").tap()
    expect(page.locator(".said")).to_have_text("학습하고 있습니다.")
    page.locator("[data-unit='1.0']").tap()
    expect(page.locator(".picture h2")).to_have_text("2층 뉴런 1")


def test_what_is_opened_and_left_ends(play):
    page = play()
    for _ in range(5):
        page.keyboard.press("Space")
        expect(page.locator(".playground")).to_have_attribute("data-playing", "true")
        page.evaluate("location.hash = '#/chapters'")
        page.locator(".view-chapters").wait_for()
        page.evaluate("location.hash = '#/playground?backend=numpy'")
        drawn(page)
    page.evaluate("location.hash = '#/chapters'")
    page.locator(".view-chapters").wait_for()
    eventually(lambda: not page_threads())


def test_in_a_chapter_it_is_small_and_leaves_the_address(server, open_page):
    page = open_page(f"{server.address}#/chapters")
    page.locator(".view-chapters h1").wait_for()
    page.evaluate("""async () => {
      const { open } = await import("/page/views/playground.js");
      const values = new URLSearchParams("problem=xor&hidden=3&backend=numpy&show=lr,hidden");
      open(document.getElementById("view"), { values, embedded: true });
    }""")
    drawn(page)
    page.get_by_role("button", name="One more unit in layer 1").click()
    expect(page.locator("[data-unit='0.3']")).to_be_visible()
    settings = [x.get_attribute("data-setting") for x in page.locator("[data-setting]").all()]
    assert settings == ["lr"]
    assert page.url.endswith("#/chapters")
