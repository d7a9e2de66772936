import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import nnkit
from nnkit import plotting
from nnkit.cli import cli, histories
from nnkit.cli.problems import UNITS, classes, make

pytest.importorskip("matplotlib")

COMMANDS = [
    *("activations", "augmentation", "boundary", "confusion", "curves", "digits"),
    *("feature-maps", "filters", "optimizers", "saliency", "weights"),
]


def test_the_command_is_the_name_of_a_function():
    functions = {getattr(plotting, name) for name in plotting.__all__}
    assert {getattr(plotting, command.replace("-", "_")) for command in COMMANDS} == functions


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on NumPy, with no data set at hand but digits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


class Drawn:
    """What a function of `nnkit.plotting` was called with, and the figure that it returned.

    The figure is not drawn, which takes longer than all else: others are, here and elsewhere.
    """

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **options):
        self.args, self.options = args, options
        self.figure = self.function(*args, **options)
        self.figure.savefig = lambda path: Path(path).touch()
        return self.figure

    @property
    def title(self):
        return self.figure.get_suptitle()

    @property
    def axes(self):
        return self.figure.get_axes()[0]


@pytest.fixture
def drawn(monkeypatch):
    """Let a function of `nnkit.plotting` be watched."""

    def watch(name):
        watched = Drawn(getattr(plotting, name))
        monkeypatch.setattr(plotting, name, watched)
        return watched

    return watch


@pytest.fixture
def checkpoint(folder):
    """A run of two epochs on 48 images of 2x3 pixels, in three classes; it has 12 test images."""
    rng = np.random.default_rng(0)
    t = np.arange(60) % 3
    x = rng.integers(0, 60, (60, 2, 3), dtype=np.uint8)
    x[np.arange(60), 0, t] += 90
    np.savez(folder / "tiny.npz", x_train=x[:48], t_train=t[:48], x_test=x[48:], t_test=t[48:])
    options = ["--epochs", "2", "--batch-size", "16", "--hidden", "5", "--quiet"]
    ok("train", "tiny.npz", *options)
    return "runs/tiny/model.safetensors"


@pytest.fixture
def answers(checkpoint):
    """The labels of the test images, and what the network answers."""
    trainer = nnkit.Trainer.load(checkpoint)
    with np.load("tiny.npz") as data:
        return data["t_test"], trainer.predict(data["x_test"].reshape(12, 6))


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def ok(*arguments):
    """Run a command that must succeed, and return what it prints."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def plot(*arguments):
    return ok("plot", *arguments)


def error(*arguments, code=1):
    """Run a plot that must fail, and return the one line that it says about it."""
    result = run("plot", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("nnkit: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("nnkit: error: ").rstrip("\n")


def usage_error(command, *arguments):
    message = error(command, *arguments, code=2)
    hint = f" (see nnkit plot {command} --help)"
    assert message.endswith(hint)
    return message.removesuffix(hint)


def pictures():
    return sorted(path.name for path in Path().iterdir() if path.suffix in {".png", ".svg"})


# ---------------------------------------------------------------------- all


@pytest.mark.parametrize("command", COMMANDS)
def test_every_picture_explains_itself_with_examples(command):
    text = plot(command, "--help")
    assert text.startswith(f"Usage: nnkit plot {command} ")
    assert f"[default: {command}.png]" in " ".join(text.split()).replace("feature- ", "feature-")
    examples = text.partition("\nExamples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith(f"  nnkit plot {command}") for line in examples)


def test_plot_alone_lists_the_pictures():
    assert plot() == plot("--help")
    for command in COMMANDS:
        assert f"\n  {command} " in plot()


@pytest.mark.parametrize(
    ("name", "start"),
    [("picture.png", b"\x89PNG"), ("picture.svg", b"<?xml"), ("upper.PNG", b"\x89PNG")],
)
def test_the_ending_is_the_format(name, start):
    assert plot("optimizers", "-o", name) == f"saved {name}\n"
    assert Path(name).read_bytes().startswith(start)


def test_a_title(drawn):
    figure = drawn("optimizer_paths")
    plot("optimizers", "--title", "Downhill", "--output", "valley.png")
    assert figure.title == "Downhill"


@pytest.mark.parametrize("name", ["picture", "picture.jpg", "png"])
def test_another_format(name):
    message = usage_error("optimizers", "-o", name)
    assert message.endswith(f": {name} ends neither in .png nor in .svg")
    assert pictures() == []


def test_a_script_without_a_font_is_said_in_one_line(monkeypatch):
    from nnkit.plotting import fonts

    monkeypatch.setattr(fonts, "_families_with", lambda missing: ([], missing))
    fonts._say.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = run("plot", "optimizers", "--steps", 1, "--title", "학습")
    assert (result.exit_code, result.stdout) == (0, "saved optimizers.png\n")
    assert result.stderr.startswith("nnkit: warning: no font here has '학습': boxes are drawn")
    assert result.stderr.count("\n") == 1


def test_files_that_cannot_be_written(folder):
    (folder / "folder.png").mkdir()
    assert "is a directory" in usage_error("optimizers", "-o", "folder.png")
    assert error("optimizers", "-o", "no/where.png") == "no/where.png: No such file or directory"


def test_without_matplotlib_one_line_names_it(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    expected = "pictures need Matplotlib: pip install matplotlib"
    assert error("activations") == expected
    assert error("optimizers", "--steps", 1) == expected


def test_an_unknown_picture():
    assert error("words", code=2) == "No such command 'words'. (see nnkit plot --help)"


# ---------------------------------------------------------------------- without a network


def test_activations(drawn):
    figure = drawn("activation_functions")
    assert plot("activations") == "saved activations.png\n"
    titles = [axes.get_title().strip() for axes in figure.figure.get_axes()]
    assert titles == ["step", "sigmoid", "relu"]
    plot("activations", "tanh", "identity", "-o", "two.png")
    assert [axes.get_title().strip() for axes in figure.figure.get_axes()] == ["tanh", "identity"]
    assert pictures() == ["activations.png", "two.png"]


def test_an_unknown_activation():
    assert "'reul' is not one of 'identity', 'sigmoid'" in usage_error("activations", "reul")


def test_optimizers(drawn):
    figure = drawn("optimizer_paths")
    assert plot("optimizers", "--steps", 4) == "saved optimizers.png\n"
    assert len(figure.axes.get_lines()[0].get_xdata()) == 5


def test_augmentation_of_several_images(checkpoint, drawn):
    figure = drawn("augmented_images")
    options = "--augment", "shift=1,scale=0.2", "--count", 2, "--ways", 3, "--seed", 4
    assert plot("augmentation", "tiny.npz", *options) == "saved augmentation.png\n"
    images = [image.get_array() for image in figure.axes.images]
    with np.load("tiny.npz") as data:
        for i in range(2):
            np.testing.assert_allclose(images[4 * i], data["x_train"][i] / 255, atol=1e-6)
    assert len(images) == 8
    given = nnkit.augment.Shift(1), nnkit.augment.Scale(0.2)
    assert figure.args[1] == given
    assert figure.options == {"ways": 3, "seed": 4, "ink": None}


@pytest.fixture
def photographs(folder):
    """Eight image files of 6x4 pixels in colour, half of them nearly black, in two classes."""
    pillow = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for i in range(8):
        pixels = np.zeros((6, 4, 3), np.uint8) if i % 2 else rng.integers(0, 256, (6, 4, 3))
        pixels[2:4, 1:3] = 200
        path = folder / "photos" / "ab"[i // 4] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(pixels.astype(np.uint8)).save(path)
    return "photos"


def colours_of(figure):
    return {image.get_cmap().name for image in figure.axes.images}


def test_augmentation_of_photographs(photographs, drawn):
    """They are no negatives, though they be dark, as digits are."""
    figure = drawn("augmented_images")
    plot("augmentation", photographs)
    assert {image.get_array().shape for image in figure.axes.images} == {(6, 4)}
    assert colours_of(figure) == {"gray"}
    plot("augmentation", photographs, "--image-size", "9x7", "--color", "--augment", "flip")
    assert {image.get_array().shape for image in figure.axes.images} == {(9, 7, 3)}
    plot("augmentation", "digits")
    assert colours_of(figure) == {"gray_r"}


def test_answers_to_photographs_and_where_they_come_from(photographs, drawn):
    ok("train", photographs, "--model", "lenet", "--epochs", 1, "--quiet")
    checkpoint = "runs/photos/model.safetensors"
    figure = drawn("predicted_images")
    plot("digits", checkpoint)
    assert colours_of(figure) == {"gray"}
    for command, name in [("saliency", "saliency_map"), ("feature-maps", "feature_maps")]:
        figure = drawn(name)
        plot(command, checkpoint, 0)
        assert colours_of(figure) == {"gray"}


def test_each_augmentation_alone(checkpoint, drawn):
    figure = drawn("augmented_images")
    plot("augmentation", "-o", "digits.png")
    names = ["Shift", "Flip", "Rotate", "Scale", "Cutout", "all"]
    assert [text.get_text() for text in figure.axes.texts] == ["as it is", *names]
    plot("augmentation", "tiny.npz", "--ways", 1)
    assert len(figure.axes.images) == 2 * len(names)


def test_augmentation_of_what_is_no_image(folder):
    x, t = np.zeros((4, 6)), np.arange(4)
    np.savez("rows.npz", x_train=x, t_train=t, x_test=x, t_test=t)
    expected = "--augment changes images, which rows.npz has not"
    assert error("augmentation", "rows.npz") == expected


# ---------------------------------------------------------------------- curves


@pytest.mark.parametrize("name", ["history.json", "model.safetensors", ""])
def test_curves_of_a_run(checkpoint, drawn, name):
    figure = drawn("learning_curves")
    assert plot("curves", Path(checkpoint).parent / name) == "saved curves.png\n"
    loss = json.loads(Path("runs/tiny/history.json").read_text())
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes.get_lines()}
    assert lines == {"training": loss["loss"], "test": loss["val_loss"]}


def train(out, epochs):
    options = ["--epochs", epochs, "--batch-size", 16, "--hidden", 5, "--quiet", "--out", out]
    ok("train", "tiny.npz", *options)


def test_curves_of_several_runs(checkpoint, drawn):
    train("runs/longer", 3)
    figure = drawn("learning_curves")
    assert plot("curves", "runs/tiny", "runs/longer/history.json") == "saved curves.png\n"
    (legend,) = figure.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("tiny", "longer", "training", "test"),
    ]
    assert [len(line.get_xdata()) for line in figure.axes.get_lines()] == [2, 2, 3, 3]


def test_runs_are_named_by_as_many_folders_as_it_takes(folder):
    for run in ("a/mnist", "b/mnist", "a/ring"):
        (folder / run).mkdir(parents=True)
    for file in ("a/mnist/history.json", "wide.safetensors", "deep.safetensors"):
        (folder / file).touch()
    for paths, expected in {
        ("a/mnist", "a/ring"): ["mnist", "ring"],
        ("a/mnist/model.safetensors", "b/mnist"): ["a/mnist", "b/mnist"],
        ("wide.safetensors", "deep.safetensors"): ["wide", "deep"],
        ("a/mnist/history.json", "a/../a/mnist"): ["mnist", "mnist"],
        ("a/mnist", "."): ["mnist", folder.name],
    }.items():
        assert histories.names(paths) == expected


def test_a_folder_without_a_run(folder):
    expected = ". is no folder of a run: it has neither model.safetensors nor history.json"
    assert error("curves", ".") == expected
    assert usage_error("curves") == "Missing argument 'RUN...'."


def test_curves_of_what_was_never_trained(folder):
    nnkit.Sequential(nnkit.Linear(2, 2)).save("model.safetensors")
    (folder / "none.json").write_text("{}")
    for name in ("model.safetensors", "none.json"):
        expected = f"{name} has no finished epoch: there are no curves to draw"
        assert error("curves", name) == expected


def test_curves_of_what_is_no_history(folder):
    for text in (
        '{"loss": [',
        '{"losses": []}',
        "[1]",
        "1",
        '{"loss": 1}',
        '{"loss": ["a"]}',
        "\xff",
    ):
        (folder / "h.json").write_bytes(text.encode("latin-1"))
        assert error("curves", "h.json").startswith("h.json is no history of a run: "), text
    (folder / "h.json").write_text('{"loss": [1e308, -1e308]}')
    assert error("curves", "h.json").startswith("h.json has losses above 1e+100")
    assert error("curves", "missing.json") == "missing.json: No such file or directory"
    assert error("curves", "missing") == "there is no checkpoint missing"
    (folder / "damaged.safetensors").write_bytes(b"nothing")
    assert error("curves", "damaged.safetensors").startswith("damaged.safetensors is no safetensor")


# ---------------------------------------------------------------------- weights


def test_weights_have_the_shape_of_the_images(checkpoint, drawn):
    figure = drawn("first_layer_weights")
    assert plot("weights", checkpoint, "--count", 4) == "saved weights.png\n"
    weights = nnkit.load(checkpoint)[0].W.value
    assert len(figure.axes.images) == 4
    for unit, image in enumerate(figure.axes.images):
        np.testing.assert_array_equal(image.get_array(), weights[:, unit].reshape(2, 3))


def test_weights_of_a_model_that_takes_squares(drawn):
    figure = drawn("first_layer_weights")
    nnkit.Sequential(nnkit.Linear(9, 2)).save("model.safetensors")
    plot("weights", "model.safetensors")
    assert figure.args[1] == (3, 3)


def test_weights_that_are_no_images():
    nnkit.Sequential(nnkit.Linear(6, 2)).save("model.safetensors")
    expected = "model.safetensors is no network for images with one channel"
    assert error("weights", "model.safetensors") == expected


# ---------------------------------------------------------------------- convolutions


@pytest.fixture
def convolutional(checkpoint):
    """A network with two convolutions, and with what a file says of the data of `checkpoint`."""
    model = nnkit.Sequential(
        nnkit.Image(2, 3),
        nnkit.Conv2d(1, 4, (2, 2), padding=1),
        nnkit.ReLU(),
        nnkit.Conv2d(4, 2, (3, 4)),
        nnkit.Flatten(),
        nnkit.Linear(2, 3),
        seed=1,
    )
    trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy())
    extra = {**nnkit.Trainer.load(checkpoint).extra, "class_names": ["a", "b", "c"]}
    trainer.save("convolutional.safetensors", **extra)
    model.save("alone.safetensors")
    return "convolutional.safetensors"


def test_filters(convolutional, drawn):
    figure = drawn("convolution_filters")
    assert plot("filters", convolutional, "--count", 3) == "saved filters.png\n"
    weights = nnkit.load(convolutional)[1].W.value
    assert len(figure.axes.images) == 3
    np.testing.assert_array_equal(figure.axes.images[2].get_array(), weights[:, :, 0, 2])
    plot("filters", convolutional, "--layer", "3")
    assert figure.title == "Layer 3, Conv2d(4, 2, (3, 4)): 2 filters"


@pytest.mark.parametrize("command", [("filters",), ("feature-maps", 0)])
def test_a_layer_that_is_no_convolution(convolutional, command):
    name, *more = command
    assert error(name, convolutional, *more, "--layer", 2) == (
        "layer 2 is no convolution; there are 1: Conv2d(1, 4, 2, padding=1), "
        "3: Conv2d(4, 2, (3, 4))"
    )


@pytest.mark.parametrize("command", [("filters",), ("feature-maps", 0)])
def test_a_network_without_convolutions(checkpoint, command):
    name, *more = command
    assert error(name, checkpoint, *more) == (
        f"{checkpoint} has no convolutions; what its first layer sees, nnkit plot weights draws"
    )


def test_weights_of_a_network_with_convolutions(convolutional):
    expected = f"{convolutional} has convolutions, whose filters nnkit plot filters draws"
    assert error("weights", convolutional) == expected


def test_feature_maps_of_a_test_image(convolutional, drawn):
    figure = drawn("feature_maps")
    assert plot("feature-maps", convolutional, 2) == "saved feature-maps.png\n"
    with np.load("tiny.npz") as data:
        np.testing.assert_array_equal(figure.args[1], data["x_test"][2])
    assert len(figure.figure.get_axes()) == 3
    plot("feature-maps", convolutional, 2, "--layer", 1, "--count", 2)
    assert [len(axes.images) for axes in figure.figure.get_axes()] == [1, 2]


@pytest.mark.parametrize("command", ["feature-maps", "saliency"])
def test_an_image_file_is_prepared_as_for_predict(convolutional, command, drawn):
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.arange(0, 240, 40, dtype=np.uint8).reshape(2, 3)
    pillow.fromarray(pixels).resize((30, 20), 0).save("large.png")
    figure = drawn(command.replace("-", "_") + "_map" * (command == "saliency"))
    plot(command, convolutional, "large.png")
    assert figure.args[1].shape == (2, 3)
    assert np.abs(figure.args[1].astype(int) - pixels).max() < 40


def test_a_test_image_that_is_not_there(convolutional):
    for command in ("feature-maps", "saliency"):
        expected = "tiny.npz has no test image 12: they are 0 to 11"
        assert error(command, convolutional, 12) == expected
        assert error(command, convolutional, "seven.png") == "seven.png: No such file or directory"


def test_a_test_image_of_data_that_is_not_known(convolutional):
    assert error("feature-maps", "alone.safetensors", 3) == (
        "alone.safetensors does not say which data it was trained on: give an image file, not 3"
    )


def test_saliency_of_the_answer_and_of_another_class(convolutional, drawn):
    figure = drawn("saliency_map")
    assert plot("saliency", convolutional, 0) == "saved saliency.png\n"
    answer = nnkit.Trainer.load(convolutional).predict(figure.args[1].reshape(1, 6))[0]
    assert figure.title == f"Where the score of {'abc'[answer]}, its answer, comes from"
    plot("saliency", convolutional, 0, "--class", "b")
    assert figure.title == "Where the score of b comes from"
    expected = f"{convolutional} has no class d: it has a, b, c"
    assert usage_error("saliency", convolutional, 0, "--class", "d") == expected


def test_saliency_needs_no_convolution(checkpoint, drawn):
    figure = drawn("saliency_map")
    plot("saliency", checkpoint, 1)
    assert figure.figure.get_axes()[1].images[0].get_array().shape == (2, 3)


# ---------------------------------------------------------------------- answers


def test_digits_are_the_first_test_images_with_answers(checkpoint, answers, drawn):
    figure = drawn("predicted_images")
    assert plot("digits", checkpoint, "--count", 7) == "saved digits.png\n"
    with np.load("tiny.npz") as data:
        for image, drawn_image in zip(data["x_test"][:7], figure.axes.images, strict=True):
            np.testing.assert_array_equal(drawn_image.get_array(), image)
    labels, said = answers
    expected = [str(a) if a == t else f"{a}\nis {t}" for t, a in zip(labels, said, strict=True)]
    assert [text.get_text() for text in figure.axes.texts] == expected[:7]
    assert figure.title == f"tiny.npz: {np.mean(labels == said):.2%} of 12 test images right"


def test_digits_with_a_wrong_answer(checkpoint, answers, drawn):
    figure = drawn("predicted_images")
    plot("digits", checkpoint, "--wrong", "--title", "wrong")
    labels, said = answers
    wrong = labels != said
    expected = [f"{a}\nis {t}" for t, a in zip(labels[wrong], said[wrong], strict=True)]
    assert expected
    assert [text.get_text() for text in figure.axes.texts] == expected
    assert len(figure.axes.patches) == wrong.sum()
    assert figure.title == "wrong"


def test_confusion_counts_all_test_images(checkpoint, answers, drawn):
    figure = drawn("confusion_matrix")
    assert plot("confusion", checkpoint) == "saved confusion.png\n"
    labels, said = answers
    counts = {text.get_position()[::-1]: int(text.get_text()) for text in figure.axes.texts}
    assert sum(counts.values()) == 12
    assert sum(n for (row, column), n in counts.items() if row == column) == sum(labels == said)
    assert figure.title == f"tiny.npz: {np.mean(labels == said):.2%} of 12 test images right"


def test_other_data_than_the_networks_own(checkpoint, drawn):
    with np.load("tiny.npz") as data:
        arrays = dict(data)
    np.savez("other.npz", **{**arrays, "x_test": arrays["x_train"], "t_test": arrays["t_train"]})
    figure = drawn("confusion_matrix")
    plot("confusion", checkpoint, "other.npz")
    assert len(figure.args[0]) == 48
    assert figure.title.startswith("other.npz: ")
    assert error("confusion", checkpoint, "digits").startswith(
        "digits: its images have size 8x8, not 2x3"
    )


def test_no_wrong_answer(checkpoint, answers):
    with np.load("tiny.npz") as data:
        np.savez("right.npz", **{**data, "t_test": answers[1]})
    expected = f"{checkpoint} is right on all test images of right.npz"
    assert error("digits", checkpoint, "right.npz", "--wrong") == expected


def test_digits_that_are_no_images(checkpoint):
    with np.load("tiny.npz") as data:
        flat = {k: v.reshape(len(v), -1) if k[0] == "x" else v for k, v in data.items()}
    np.savez("flat.npz", **flat)
    expected = "flat.npz has no images, gray or in colour"
    assert error("digits", checkpoint, "flat.npz") == expected


def test_digits_in_colour(folder, drawn, rng):
    x, t = rng.integers(0, 256, (9, 5, 4, 3), np.uint8), np.arange(9) % 2
    np.savez("color.npz", x_train=x, t_train=t, x_test=x, t_test=t)
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(60, 2)))
    trainer.save("model", data=str(folder / "color.npz"), image_shape=(5, 4, 3))
    figure = drawn("predicted_images")
    plot("digits", "model")
    np.testing.assert_array_equal(figure.args[0], x)
    np.testing.assert_allclose(figure.axes.images[0].get_array(), x[0] / 255)
    assert error("weights", "model") == "model is no network for images with one channel"


# ---------------------------------------------------------------------- decision regions


@pytest.mark.parametrize("problem", ["and", "nand", "or", "xor"])
def test_gates_are_learned(problem, drawn):
    figure = drawn("decision_regions")
    out = plot("boundary", "--problem", problem)
    assert out == "4 of 4 points right\nsaved boundary.png\n"
    assert figure.title == f"{problem}, a 2-6-1 network: 4 of 4 points right"
    predict, x, t, _ = figure.args
    np.testing.assert_array_equal(predict(x), t)
    points = {c.get_label(): c.get_offsets() for c in figure.axes.collections}
    assert len(points["is 0"]) == np.sum(t == 0)


def test_one_neuron_learns_and_but_not_xor(drawn):
    figure = drawn("decision_regions")
    assert "4 of 4 points right" in plot("boundary", "--problem", "and", "--hidden", 0)
    assert figure.title == "and, a 2-1 network: 4 of 4 points right"
    assert "4 of 4 points right" not in plot("boundary", "--hidden", 0)
    assert figure.title.startswith("xor, a 2-1 network: ")


@pytest.mark.parametrize("problem", ["ring", "spirals"])
def test_problems_with_many_points_are_learned(problem):
    assert "200 of 200 points right" in plot("boundary", "--problem", problem)


def test_seed_and_epochs_are_heeded(drawn):
    figure = drawn("decision_regions")
    seen = []
    for seed, epochs in ((0, 10), (1, 10), (1, 10), (1, 2)):
        plot("boundary", "--problem", "ring", "--seed", seed, "--epochs", epochs)
        predict, x, _, _ = figure.args
        seen.append((x.tobytes(), predict(np.random.default_rng(0).uniform(-1, 1, (500, 2)))))
    assert seen[0][0] != seen[1][0] == seen[2][0] == seen[3][0]
    np.testing.assert_array_equal(seen[1][1], seen[2][1])
    assert (seen[1][1] != seen[3][1]).any()


@pytest.mark.parametrize("name", UNITS)
def test_problems_are_points_with_two_classes(name):
    problem = make(name, 3)
    assert problem.x.shape == (len(problem.t), 2)
    assert set(problem.t.tolist()) == {0, 1}
    assert np.abs(problem.x).max() <= 1.1


def test_boundary_of_a_model_with_two_inputs(drawn):
    """Without points, and with those of a problem."""
    figure = drawn("decision_regions")
    model = nnkit.Sequential(nnkit.Linear(2, 1, init=np.array([[1.0], [1.0]])))
    model[0].b.value = [-1.5]
    trainer = nnkit.Trainer(model, nnkit.SigmoidCrossEntropy())
    trainer.save("and.safetensors")
    assert plot("boundary", "and.safetensors") == "saved boundary.png\n"
    assert figure.title == "and.safetensors"
    assert figure.args[1] is None
    assert "4 of 4 points right" in plot("boundary", "and.safetensors", "--problem", "and")
    assert "1 of 4 points right" in plot("boundary", "and.safetensors", "--problem", "xor")
    np.testing.assert_array_equal(figure.args[2], [0, 1, 1, 0])


def test_boundary_with_the_points_a_network_was_trained_on(folder, drawn):
    figure = drawn("decision_regions")
    x = np.random.default_rng(0).uniform(-1, 1, (90, 2)).astype(np.float32)
    t = (x[:, 0] > 0) + (x[:, 1] > 0).astype(int)
    np.savez(folder / "plane.npz", x_train=x, t_train=t, x_test=x[:9], t_test=t[:9])
    ok("train", "plane.npz", "--epochs", 1, "--hidden", "4", "--quiet")
    plot("boundary", "runs/plane/model.safetensors")
    np.testing.assert_array_equal(figure.args[1], x)
    np.testing.assert_array_equal(figure.args[2], t)
    labels = {c.get_label() for c in figure.axes.collections}
    assert {"is 0", "is 1", "is 2"} <= labels


@pytest.mark.parametrize(
    ("loss", "outputs", "expected"),
    [
        (nnkit.SoftmaxCrossEntropy(), 2, [0, 1]),
        (nnkit.SigmoidCrossEntropy(), 2, [0, 1]),
        (nnkit.SigmoidCrossEntropy(), 1, [0, 1]),
        (nnkit.MeanSquaredError(), 1, [0, 1]),
    ],
)
def test_classes_of_networks_with_any_loss(loss, outputs, expected):
    weights = np.array([[0.2, 0.4], [0.0, 0.0]])[:, -outputs:]
    model = nnkit.Sequential(nnkit.Linear(2, outputs, init=weights))
    x = np.array([[-2.0, 0.0], [2.0, 0.0]])
    answers = classes(nnkit.Trainer(model, loss), x)
    assert answers.dtype == np.int64
    assert answers.tolist() == expected


def test_boundary_of_a_network_that_is_not_for_the_plane(checkpoint):
    assert error("boundary", checkpoint) == f"{checkpoint} takes 6 inputs, not 2"
    assert (
        error("boundary", checkpoint, "--problem", "xor") == f"{checkpoint} takes 6 inputs, not 2"
    )


@pytest.mark.parametrize("option", ["--hidden", "--epochs"])
def test_a_checkpoint_is_not_trained(option):
    message = usage_error("boundary", "some.safetensors", option, 3)
    assert message == "--hidden and --epochs are for training: not with a CHECKPOINT"
