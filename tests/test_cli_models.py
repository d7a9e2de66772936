"""``nnkit train --model``: networks of `nnkit.models`, from training to prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import nnkit
from nnkit import data
from nnkit.cli import cli
from nnkit.models import MODELS
from nnkit.training import Trainer

CHECKPOINT = "model.safetensors"
TINY = ("--epochs", 2, "--batch-size", 16)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on NumPy, with no data set at hand but digits; nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("nnkit.cli.fitting.learning_curves", lambda *_, **__: None)
    return tmp_path


@pytest.fixture(scope="module")
def lenet_run(tmp_path_factory):
    """The checkpoint of a LeNet that knows digits."""
    out = tmp_path_factory.mktemp("lenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnkit.cli.fitting.learning_curves", lambda *_, **__: None)
        training = ("--epochs", 4, "--lr", 0.005, "--quiet", "--backend", "numpy")
        ok("train", "digits", "--model", "lenet", "--out", out, *training)
    return out / CHECKPOINT


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def ok(*arguments):
    """Run a command that must succeed, and return what it prints."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def error(*arguments, code=1):
    """Run a command that must fail, and return the line that it says about it."""
    result = invoke(*arguments)
    assert result.exit_code == code
    return result.stderr.removeprefix("nnkit: error: ").rstrip("\n")


def make_npz(path, shape=(8, 8), n=48):
    """Write n images for training and 12 for testing, in three classes told by a bright pixel."""
    rng = np.random.default_rng(0)
    t = np.arange(n + 12) % 3
    x = rng.integers(0, 60, (n + 12, *shape)).astype(np.uint8)
    x.reshape(n + 12, -1)[np.arange(n + 12), t] += 150
    np.savez(path, x_train=x[:n], t_train=t[:n], x_test=x[n:], t_test=t[n:])
    return path


def parameters(path):
    state = Trainer.load(path, "numpy").model.state()
    return {name: array.tobytes() for name, array in state.items()}


def test_the_network_is_that_of_the_name():
    text = ok("train", "digits", "--model", "lenet", "--epochs", 1, "--seed", 3)
    assert (
        "network    lenet: 2 Conv2d, 4 ReLU, 2 MaxPool2d, 3 Linear, 21,386 parameters, float32\n"
    ) in text
    assert "training   Adam, learning rate 0.003 (cosine), 1 epoch of 46 steps, batch 32" in text
    model = nnkit.load(f"runs/digits/{CHECKPOINT}")
    expected = MODELS["lenet"]((8, 8), 10, seed=3)
    assert [*map(repr, model)] == [*map(repr, expected)]
    assert model.seed == 3


@pytest.mark.parametrize(
    ("options", "rate"),
    [((), 0.003), (("--optimizer", "adamw"), 0.003), (("--optimizer", "sgd"), 0.1),
     (("--lr", 0.01), 0.01)],
)  # fmt: skip
def test_the_learning_rate(options, rate):
    make_npz("tiny.npz")
    ok("train", "tiny.npz", "--model", "simple_conv", *TINY, *options)
    assert Trainer.load(f"runs/tiny/{CHECKPOINT}").optimizer.lr == rate


@pytest.mark.parametrize("name", MODELS)
def test_each_network_trains_tests_and_goes_on(name):
    path = make_npz("tiny.npz", n=16)
    training = ("--model", name, "--batch-size", 8, "--schedule", "constant")
    ok("train", path, *training, "--epochs", 2, "--out", "whole")
    ok("train", path, *training, "--epochs", 1, "--out", "extended")
    run = f"extended/{CHECKPOINT}"
    assert f"network    {name}: " in ok("train", "--resume", run, "--epochs", 2)
    assert parameters(run) == parameters(f"whole/{CHECKPOINT}")
    assert json.loads(ok("evaluate", run, "--json"))["images"] == 12


@pytest.mark.parametrize("shape", [(8, 8, 3), (9, 12), (8, 8, 1)])
def test_colours_and_sizes(shape):
    make_npz("tiny.npz", shape)
    ok("train", "tiny.npz", "--model", "lenet", *TINY)
    model = nnkit.load(f"runs/tiny/{CHECKPOINT}")
    assert model.input_shape == (*shape, 1)[:3]
    assert "accuracy" in ok("evaluate", f"runs/tiny/{CHECKPOINT}")


def test_predicting_a_drawn_digit(lenet_run, folder):
    """A 0 and a 1, drawn in the middle of a large white page."""
    image, draw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    for name in ("zero.png", "one.png"):
        page = image.new("L", (200, 200), 255)
        pen = draw.Draw(page)
        if name == "zero.png":
            pen.ellipse((65, 40, 135, 160), outline=0, width=18)
        else:
            pen.line((100, 40, 100, 160), fill=0, width=22)
        page.save(folder / name)
    (zero, one) = json.loads(ok("predict", lenet_run, "zero.png", "one.png", "--json"))
    assert (zero["class"], one["class"]) == ("0", "1")
    assert ok("predict", lenet_run, "zero.png").startswith("zero.png: 0 (")


def test_a_picture_of_the_data_set(lenet_run, folder):
    image = pytest.importorskip("PIL.Image")
    digits = data.load("digits")
    trainer = Trainer.load(lenet_run, "numpy")
    assert trainer.evaluate(digits.x_test, digits.t_test)["accuracy"] > 0.9
    image.fromarray(digits.x_test[0].reshape(8, 8)).save(folder / "first.png")
    (found,) = json.loads(ok("predict", lenet_run, "first.png", "--raw", "--json"))
    answer = trainer.predict_proba(digits.x_test[:1])[0]
    assert found["probability"] == pytest.approx(float(answer.max()), rel=1e-5)


def test_pictures_of_a_run(lenet_run):
    pytest.importorskip("matplotlib")
    for kind in ("digits", "confusion"):
        ok("plot", kind, lenet_run, "-o", f"{kind}.png")
        assert Path(f"{kind}.png").read_bytes().startswith(b"\x89PNG")
    ok("plot", "curves", lenet_run, "-o", "curves.png")


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize("option", [("--hidden", "8"), ("--activation", "relu"), ("--dropout", 0)])
def test_options_about_other_layers(option):
    expected = (
        f"{option[0]} cannot be given with --model: lenet has layers of its own; leave one of the "
        "two out (see nnkit train --help)"
    )
    assert error("train", "digits", "--model", "lenet", *option, code=2) == expected
    assert not Path("runs").exists()


def test_a_run_keeps_its_network():
    assert error("train", "--resume", "some/file", "--model", "lenet", code=2) == (
        "--model cannot be given with --resume: a run keeps its settings (see nnkit train --help)"
    )


def test_names_that_are_none():
    listed = ", ".join(f"'{name}'" for name in MODELS)
    assert error("train", "digits", "--model", "alexnet", code=2) == (
        f"Invalid value for '--model': 'alexnet' is not one of {listed} (did you mean "
        "lenet?) (see nnkit train --help)"
    )
    assert error("train", "digits", "--model", "zzz", code=2) == (
        f"Invalid value for '--model': 'zzz' is not one of {listed}. (see nnkit train --help)"
    )


def test_names_in_any_case():
    make_npz("tiny.npz")
    out = "--quiet", "--out", "run"
    ok("train", "tiny.npz", "--model", "LeNet", "--optimizer", "SGD", *TINY, *out)
    assert nnkit.Trainer.load("run/model.safetensors").extra["network"] == "lenet"


def test_images_that_are_too_small():
    make_npz("tiny.npz", (4, 5))
    assert error("train", "tiny.npz", "--model", "vgg") == (
        "vgg takes images of at least 8x8 pixels, not 4x5: scale them up, or take a network "
        "without convolutions"
    )
    assert not Path("runs").exists()


def test_rows_that_are_no_images():
    make_npz("rows.npz", (17,))
    assert error("train", "rows.npz", "--model", "lenet") == (
        "--model lenet takes images, but rows.npz has rows of 17 numbers of no known height and "
        "width: save arrays of shape (n, height, width) or (n, height, width, channels)"
    )
    assert not Path("runs").exists()
