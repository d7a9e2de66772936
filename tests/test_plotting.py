import subprocess
import sys

import numpy as np
import pytest

import nnkit
from nnkit.augment import Flip, Rotate, Shift, apply
from nnkit.kernels.table import ACTIVATIONS
from nnkit.optimizers import SGD, AdaGrad
from nnkit.plotting import (
    activation_functions,
    augmented_images,
    confusion_matrix,
    decision_regions,
    first_layer_weights,
    learning_curves,
    optimizer_paths,
    predicted_images,
)
from nnkit.plotting.images import even_columns
from nnkit.plotting.style import panels
from nnkit.training.history import History

Text = pytest.importorskip("matplotlib.text").Text

VERMILLION = "#D55E00"


def texts(axes):
    return [text.get_text() for text in axes.texts]


# ---------------------------------------------------------------------- learning curves


def history(epochs=4, accuracy=True, validated=None):
    validated = epochs if validated is None else validated
    return History(
        loss=[1 / (i + 1) for i in range(epochs)],
        accuracy=[1 - 0.5 / (i + 1) for i in range(epochs)] if accuracy else [],
        val_loss=[1.1 / (i + 1) for i in range(validated)],
        val_accuracy=[0.9 - 0.5 / (i + 1) for i in range(validated)] if accuracy else [],
        seconds=[1.0] * epochs,
    )


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_loss_and_accuracy_are_drawn_against_epochs():
    figure = learning_curves(history(2), title="mnist", validation="test")
    loss, accuracy = figure.get_axes()
    assert figure.get_suptitle() == "mnist"
    assert [axes.get_xlabel() for axes in (loss, accuracy)] == ["epoch", "epoch"]
    assert [axes.get_ylabel() for axes in (loss, accuracy)] == ["loss", "accuracy in %"]
    assert curves(loss) == {"training": [[1, 1], [2, 0.5]], "test": [[1, 1.1], [2, 0.55]]}
    assert curves(accuracy) == {"training": [[1, 50], [2, 75]], "test": [[1, 40], [2, 65]]}
    for axes in (loss, accuracy):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "test"]


def test_a_loss_without_accuracy_has_one_panel():
    figure = learning_curves(history(accuracy=False))
    assert [axes.get_ylabel() for axes in figure.get_axes()] == ["loss"]


def test_without_validation_there_is_one_curve():
    figure = learning_curves(history(validated=0))
    assert [list(curves(axes)) for axes in figure.get_axes()] == [["training"], ["training"]]


def test_validation_that_began_later_is_drawn_where_it_was():
    loss, _ = learning_curves(history(4, validated=1)).get_axes()
    assert curves(loss)["validation"] == [[4, 1.1]]


@pytest.mark.parametrize("epochs", [1, 2, 200])
def test_ticks_are_whole_epochs_that_there_were(epochs):
    figure = learning_curves(history(epochs))
    figure.draw_without_rendering()
    for axes in figure.get_axes():
        low, high = axes.get_xlim()
        shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert shown
        assert all(tick == round(tick) and 1 <= tick <= epochs for tick in shown)


def test_few_epochs_have_markers_and_many_have_not():
    def markers(epochs):
        return {
            line.get_marker()
            for axes in learning_curves(history(epochs)).get_axes()
            for line in axes.get_lines()
        }

    assert markers(1) == {"o"}
    assert markers(100) == {"None"}


def test_the_picture_is_saved_in_the_format_of_its_name(tmp_path):
    png, svg = tmp_path / "curves.png", tmp_path / "curves.svg"
    learning_curves(history(), png)
    learning_curves(history(), svg)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()


def test_no_epoch_is_an_error():
    with pytest.raises(ValueError, match="no learning curves before the first epoch is done"):
        learning_curves(History())


def test_runs_are_compared_by_colours():
    runs = {"a": history(2), "_b": history(40, validated=0), "c": history(3, accuracy=False)}
    figure = learning_curves(runs, validation="test")
    loss, accuracy = figure.get_axes()
    drawn = [(line.get_color(), line.get_linestyle(), len(line.get_xdata())) for line in loss.lines]
    blue, vermillion, green = "#0072B2", VERMILLION, "#009E73"
    assert [line for line in drawn if line[2]] == [
        *((blue, "--", 2), (blue, "-", 2), (vermillion, "--", 40), (green, "--", 3)),
        (green, "-", 3),
    ]
    assert {line.get_color() for line in accuracy.lines if len(line.get_xdata())} == {
        *(blue, vermillion),
    }
    np.testing.assert_allclose(loss.lines[1].get_xydata(), [[1, 1.1], [2, 0.55]])
    assert loss.get_xlim() == accuracy.get_xlim() == (0.5, 40.5)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "_b", "c", "training", "test"]
    assert [line.get_color() for line in legend.get_lines()[:3]] == [blue, vermillion, green]


def test_without_validation_none_is_named():
    (legend,) = learning_curves({"a": history(2, validated=0)}).legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "training"]


def test_many_runs_have_a_colour_each_and_room_for_their_names():
    figure = learning_curves({f"learning rate {i}": history(2) for i in range(20)})
    (legend,) = figure.legends
    assert len({line.get_color() for line in legend.get_lines()}) == 21
    assert figure.get_size_inches()[1] > learning_curves(history(2)).get_size_inches()[1] + 1


def test_runs_without_an_epoch_are_named():
    with pytest.raises(ValueError, match="no learning curves before the first epoch of b is done"):
        learning_curves({"a": history(), "b": History()})
    with pytest.raises(ValueError, match="no learning curves before the first epoch is done"):
        learning_curves({})
    with pytest.raises(TypeError, match="or a dict of several by name, not list"):
        learning_curves([history()])


# ---------------------------------------------------------------------- activation functions


def test_activations_are_step_sigmoid_and_relu_with_their_derivatives():
    step, sigmoid, relu = activation_functions().get_axes()
    x = np.linspace(-5, 5, 2001)
    y = 1 / (1 + np.exp(-x))
    expected = {
        "step": (step, {"f(x)": x > 0}),
        "sigmoid": (sigmoid, {"f(x)": y, "f'(x)": y * (1 - y)}),
        "relu": (relu, {"f(x)": np.maximum(x, 0), "f'(x)": x > 0}),
    }
    for name, (axes, values) in expected.items():
        assert axes.get_title() == f"{name}\n"
        assert axes.get_xlabel() == "x"
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert {label for label in lines if label.startswith("f")} == set(values)
        for label, value in values.items():
            np.testing.assert_allclose(lines[label].get_xdata(), x)
            np.testing.assert_allclose(lines[label].get_ydata(), value, atol=1e-12)
    assert texts(step) == ["1 if x > 0 else 0, no derivative to train by"]
    assert texts(relu) == ["max(x, 0)"]


def test_panels_are_laid_out_evenly():
    assert [panels(n, 3) for n in (1, 2, 3, 4, 5, 7, 15)] == [
        *((1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3), (5, 3)),
    ]


def test_one_legend_tells_function_and_derivative():
    figure = activation_functions(["step", "tanh"], title="two")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["f(x)", "f'(x)"]
    assert figure.get_suptitle() == "two"


def test_every_activation_can_be_drawn_and_its_derivative_is_its_slope():
    figure = activation_functions(list(ACTIVATIONS))
    assert [axes.get_title().strip() for axes in figure.get_axes()] == list(ACTIVATIONS)
    for axes, activation in zip(figure.get_axes(), ACTIVATIONS.values(), strict=True):
        low, high = axes.get_ylim()
        assert -6 < low < high < 6
        lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
        assert ("f'(x)" in lines) == (activation.gradient is not None)
        if activation.gradient is not None:
            slope = np.gradient(lines["f(x)"], 0.005)
            differs = np.abs(lines["f'(x)"] - slope) > 2e-3 * np.maximum(1, np.abs(slope))
            assert differs.sum() <= 10, f"{axes.get_title()}: more than kinks and the two ends"


def test_a_parameter_is_the_layers_default(monkeypatch):
    monkeypatch.setattr(nnkit.ReLU, "alpha", 0.25)
    (axes,) = activation_functions(["relu"]).get_axes()
    assert texts(axes) == ["max(x, 0), a = 0.25"]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["relu", "reul"], "no activation 'reul': there are "), ([], "no name of an activation")],
)
def test_unknown_activations(names, message):
    with pytest.raises(ValueError, match=message):
        activation_functions(names)


# ---------------------------------------------------------------------- weights


def images_of(axes):
    """Images in reading order."""
    assert [image.get_extent()[::3] for image in axes.images] == sorted(
        (image.get_extent()[::3] for image in axes.images), key=lambda place: place[::-1]
    )
    return [np.asarray(image.get_array()) for image in axes.images]


def test_the_first_layers_columns_are_images():
    model = nnkit.Sequential(nnkit.ReLU(), nnkit.Linear(6, 5), nnkit.Linear(5, 2), seed=1)
    figure = first_layer_weights(model, (2, 3))
    axes, bar = figure.get_axes()
    images = images_of(axes)
    assert len(images) == 5
    for unit, image in enumerate(images):
        np.testing.assert_array_equal(image, model[1].W.value[:, unit].reshape(2, 3))
    largest = abs(model[1].W.value).max()
    assert {image.get_clim() for image in axes.images} == {(-largest, largest)}
    left, right, bottom, top = axes.images[0].get_extent()
    assert (right - left) / (bottom - top) == 3 / 2
    assert bar.get_ylabel() == "weight"
    assert figure.get_suptitle() == "Weights of the first layer, 5 units"


def test_so_many_units_and_no_more():
    model = nnkit.Sequential(nnkit.Linear(4, 9), seed=1)
    figure = first_layer_weights(model, (2, 2), count=4)
    assert len(figure.get_axes()[0].images) == 4
    assert figure.get_suptitle() == "Weights of the first layer, 4 of 9 units"
    assert first_layer_weights(model, (2, 2), title="w").get_suptitle() == "w"


def test_weights_that_are_all_zero_are_drawn(tmp_path):
    model = nnkit.Sequential(nnkit.Linear(4, 2, init="zeros"))
    first_layer_weights(model, (2, 2)).savefig(tmp_path / "zeros.png")


def test_weights_that_are_no_images():
    model = nnkit.Sequential(nnkit.Linear(6, 2))
    with pytest.raises(ValueError, match=r"takes rows of 6 numbers, not images of 2x2 pixels"):
        first_layer_weights(model, (2, 2))
    with pytest.raises(ValueError, match="the model has no Linear layer"):
        first_layer_weights(nnkit.Sequential(nnkit.ReLU()), (2, 2))


def test_columns_fill_the_last_row_where_they_can():
    assert [even_columns(n) for n in (1, 2, 4, 5, 7, 12, 32, 64, 100)] == [
        *(1, 2, 2, 5, 3, 4, 8, 8, 10)
    ]


# ---------------------------------------------------------------------- answers


@pytest.fixture
def answered():
    """Five images of 2x3 pixels, of which the second and the fourth have a wrong answer."""
    images = np.arange(30, dtype=np.uint8).reshape(5, 2, 3)
    return images, np.array([0, 1, 2, 1, 0]), np.array([0, 2, 2, 0, 0])


def frames(axes):
    return [patch.get_xy() for patch in axes.patches]


def test_images_have_their_answers_and_wrong_ones_are_marked(answered):
    images, labels, answers = answered
    figure = predicted_images(images, labels, answers, ["a", "b"], title="some")
    (axes,) = figure.get_axes()
    np.testing.assert_array_equal(images_of(axes), images)
    assert texts(axes) == ["a", "2\nis b", "2", "a\nis b", "a"]
    assert [text.get_color() == VERMILLION for text in axes.texts] == [0, 1, 0, 1, 0]
    wrong = [axes.images[i].get_extent() for i in (1, 3)]
    assert frames(axes) == [(left, top) for left, _, _, top in wrong]
    assert {image.get_clim() for image in axes.images} == {(0, 255)}
    assert figure.get_suptitle() == "some"
    assert figure.get_supxlabel() == "framed: a wrong answer, and what it is"


def test_only_wrong_ones(answered):
    (axes,) = predicted_images(*answered, only_wrong=True).get_axes()
    np.testing.assert_array_equal(images_of(axes), answered[0][[1, 3]])
    assert texts(axes) == ["2\nis 1", "0\nis 1"]
    assert len(frames(axes)) == 2


def test_so_many_images_and_no_more(answered):
    (axes,) = predicted_images(*answered, count=3).get_axes()
    assert texts(axes) == ["0", "2\nis 1", "2"]
    (axes,) = predicted_images(*answered, count=1, only_wrong=True).get_axes()
    assert texts(axes) == ["2\nis 1"]


def test_nothing_is_said_of_frames_where_all_is_right(answered):
    images, labels, _ = answered
    figure = predicted_images(images, labels, labels)
    assert figure.get_supxlabel() == ""
    assert frames(figure.get_axes()[0]) == []


def test_real_images_have_one_scale(answered):
    images, labels, answers = answered
    (axes,) = predicted_images(images - 7.5, labels, answers, count=2).get_axes()
    assert {image.get_clim() for image in axes.images} == {(-7.5, 21.5)}


def test_images_in_colour_are_drawn_in_their_colours(answered, rng):
    _, labels, answers = answered
    images = rng.normal(size=(5, 4, 3, 3))
    (axes,) = predicted_images(images, labels, answers).get_axes()
    low, high = images.min(), images.max()
    np.testing.assert_allclose(images_of(axes), (images - low) / (high - low))
    (axes,) = predicted_images(np.full((5, 4, 3, 3), 7.5), labels, answers).get_axes()
    assert not np.any(images_of(axes))


def test_images_and_answers_that_do_not_fit(answered):
    images, labels, answers = answered
    with pytest.raises(ValueError, match="there is no image with a wrong answer"):
        predicted_images(images, labels, labels, only_wrong=True)
    with pytest.raises(ValueError, match="no images"):
        predicted_images(images[:0], labels[:0], labels[:0])
    with pytest.raises(ValueError, match=r"\(n, height, width, 3\), not \(5, 6\)"):
        predicted_images(images.reshape(5, 6), labels, answers)
    with pytest.raises(ValueError, match="labels must be 5 integers, class numbers, not int64 of"):
        predicted_images(images, labels[:4], answers)
    with pytest.raises(ValueError, match="answers must be 5 integers, class numbers, not float64"):
        predicted_images(images, labels, answers / 2)
    with pytest.raises(ValueError, match="labels must not be negative, but one is -1"):
        predicted_images(images, labels - 1, answers)


# ---------------------------------------------------------------------- augmentation


def test_each_image_has_a_row_of_what_becomes_of_it():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 6), np.uint8)
    changes = [Shift(1), Rotate(30)]
    figure = augmented_images(images, changes, ways=2, seed=5, title="Three")
    (axes,) = figure.get_axes()
    shown = images_of(axes)
    for i, image in enumerate(images):
        np.testing.assert_allclose(shown[3 * i], image / 255, atol=1e-6)
        want = apply(np.stack([image] * 2), changes, 5, step=i)
        np.testing.assert_array_equal(shown[3 * i + 1 : 3 * i + 3], want)
    assert texts(axes) == ["as it is", "", "", ""]
    assert {image.get_clim() for image in axes.images} == {(0, 1)}
    assert frames(axes) == [
        (left, top) for left, _, _, top in (image.get_extent() for image in axes.images)
    ]
    assert figure.get_suptitle() == "Three"


def test_several_augmentations_by_name_have_a_row_of_one_image():
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 1))
    (axes,) = augmented_images(images, {"a $": Flip(1), "b": [Flip(1)]}, ways=1).get_axes()
    mirrored = images[0, :, ::-1, 0]
    np.testing.assert_array_equal(images_of(axes), [images[0, ..., 0], mirrored] * 2)
    assert texts(axes) == ["as it is", r"a \$", "b"]
    assert {image.get_clim() for image in axes.images} == {(images.min(), images.max())}


def test_coloured_images_stay_so():
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3), np.uint8)
    (axes,) = augmented_images(images, Flip(1), ways=1).get_axes()
    assert [image.get_array().shape for image in axes.images] == [(4, 5, 3)] * 2


@pytest.mark.parametrize(("ink", "colours"), [(None, "gray_r"), (True, "gray_r"), (False, "gray")])
def test_digits_are_drawn_dark_and_photographs_as_they_are(ink, colours):
    """Half of the border is empty where somebody has written something."""
    photograph = np.random.default_rng(0).integers(0, 256, (2, 6, 4), np.uint8)
    digit = np.where(np.indices((2, 6, 4)).sum(axis=0) % 6 == 3, photograph, 0).astype(np.uint8)
    for draw in (
        lambda images: augmented_images(images, Flip(), ink=ink),
        lambda images: predicted_images(images, np.zeros(2, int), np.zeros(2, int), ink=ink),
    ):
        (axes,) = draw(digit).get_axes()
        assert {image.get_cmap().name for image in axes.images} == {colours}
        (axes,) = draw(photograph).get_axes()
        expected = "gray_r" if ink else "gray"
        assert {image.get_cmap().name for image in axes.images} == {expected}


def test_no_images_to_change():
    with pytest.raises(ValueError, match=r"^no images$"):
        augmented_images(np.zeros((0, 4, 4)), Flip())
    with pytest.raises(ValueError, match=r"^no augmentation$"):
        augmented_images(np.zeros((1, 4, 4)), [])
    with pytest.raises(ValueError, match=r"^augment takes images, .* x has shape \(1, 16\)"):
        augmented_images(np.zeros((1, 16)), Flip())


# ---------------------------------------------------------------------- confusion


def cells(axes):
    """The numbers in the cells, as {(truth, answer): count}."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
        for text in axes.texts
    }


def test_confusion_counts_answers_by_truth():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    answers = np.array([0, 0, 1, 1, 1, 2, 2, 1, 1, 2])
    figure = confusion_matrix(labels, answers, ["a", "b"], title="who is who")
    (axes,) = figure.get_axes()
    assert cells(axes) == {(0, 0): 2, (0, 1): 1, (1, 1): 2, (2, 1): 2, (2, 2): 3}
    assert sum(cells(axes).values()) == len(labels)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["a", "b", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "truth")
    assert figure.get_suptitle() == "who is who"


def test_confusion_is_darker_the_more_mistakes_there_are():
    labels = np.array([0, 0, 0, 1])
    (axes,) = confusion_matrix(labels, np.array([1, 1, 0, 0])).get_axes()
    colors = np.asarray(axes.images[0].get_array())
    brightness = colors.sum(axis=-1)
    assert brightness[0, 1] < brightness[1, 0] < 3
    np.testing.assert_array_equal(colors[0, 0], colors[1, 1])
    red, _, blue = colors[0, 0]
    assert blue > red


def test_confusion_of_many_classes_has_no_numbers_and_no_crowd_of_names():
    labels = np.arange(121)
    (axes,) = confusion_matrix(labels, labels).get_axes()
    assert texts(axes) == []
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(map(str, range(0, 121, 3)))
    assert np.asarray(axes.images[0].get_array()).shape == (121, 121, 3)


def test_confusion_of_nothing():
    with pytest.raises(ValueError, match="there is no answer to count"):
        confusion_matrix(np.array([], int), np.array([], int))
    with pytest.raises(ValueError, match="answers must be 2 integers"):
        confusion_matrix(np.array([0, 1]), np.array([0]))


# ---------------------------------------------------------------------- decision regions


def right_of_half(x):
    return (x[:, 0] > 0.5).astype(np.int64)[:, None]


def test_regions_are_the_answers_and_points_are_on_them():
    x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    figure = decision_regions(right_of_half, x, np.array([[0], [1], [0]]), ["no", "yes"])
    (axes,) = figure.get_axes()
    (image,) = axes.images
    assert tuple(image.get_extent()) == (-0.25, 1.25, -0.5, 2.5)
    colors = np.asarray(image.get_array())
    left, right = colors[:, :300], colors[:, 300:]
    assert len(np.unique(left.reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(right.reshape(-1, 3), axis=0)) == 1
    assert (left[0, 0] != right[0, 0]).any()
    points = {c.get_label(): c.get_offsets().tolist() for c in axes.collections}
    assert points["is no"] == [[0, 0], [1, 2]]
    assert points["is yes"] == [[1, 0]]
    (legend,) = figure.legends
    expected = ["answer no", "answer yes", "is no", "is yes"]
    assert [text.get_text() for text in legend.get_texts()] == expected


def test_the_upper_end_of_the_picture_is_up():
    def upper(x):
        return (x[:, 1] > 0).astype(np.int64)

    (axes,) = decision_regions(upper, limits=(-1, 1, -1, 1)).get_axes()
    colors = np.asarray(axes.images[0].get_array())
    red, _, blue = colors[-1, 0]
    assert axes.images[0].origin == "lower"
    assert red > blue


def test_the_boundary_is_drawn_where_answers_change():
    (axes,) = decision_regions(right_of_half).get_axes()
    assert tuple(axes.images[0].get_extent()) == (-0.5, 1.5, -0.5, 1.5)
    lines = [path.vertices for c in axes.collections for path in c.get_paths()]
    assert len(lines) == 2
    for line in lines:
        np.testing.assert_allclose(line[:, 0], 0.5, atol=2 / 600)
        assert (line[:, 1].min(), line[:, 1].max()) == (-0.5, 1.5)


def test_one_answer_everywhere_has_no_boundary():
    (axes,) = decision_regions(lambda x: np.zeros(len(x), int), title="one").get_axes()
    assert len(axes.collections) == 0


def test_regions_of_what_is_not_in_the_plane():
    with pytest.raises(ValueError, match="give both or neither"):
        decision_regions(right_of_half, np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"points must have shape \(n, 2\), not \(1, 3\)"):
        decision_regions(right_of_half, np.zeros((1, 3)), np.array([0]))
    with pytest.raises(ValueError, match="t must be 1 integers"):
        decision_regions(right_of_half, np.zeros((1, 2)), np.array([0, 1]))
    with pytest.raises(ValueError, match="what predict returns must be 360000 integers"):
        decision_regions(lambda x: x, np.zeros((1, 2)), np.array([0]))


# ---------------------------------------------------------------------- optimizers


def path_in(axes):
    (line,) = (line for line in axes.get_lines() if line.get_label() == "path")
    return line.get_xydata()


def test_paths_of_the_optimizers():
    figure = optimizer_paths()
    names = [axes.get_title().strip() for axes in figure.get_axes()]
    assert names == ["SGD", "momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam"]
    paths = dict(zip(names, map(path_in, figure.get_axes()), strict=True))
    for points in paths.values():
        assert points.shape == (31, 2)
        np.testing.assert_array_equal(points[0], (-7, 2))
        x, y = points[-1]
        assert x**2 / 20 + y**2 < 0.15
    steps = np.arange(31)[:, None]
    by_hand = (-7, 2) * np.array([1 - 0.95 / 10, 1 - 2 * 0.95]) ** steps
    np.testing.assert_allclose(paths["SGD"], by_hand, atol=1e-12)
    # The first step of Adam is lr along each axis, whatever the gradient.
    np.testing.assert_allclose(paths["Adam"][1], (-6.7, 1.7), atol=1e-6)


def test_optimizers_of_ones_own():
    figure = optimizer_paths({"mine": AdaGrad(0.5)}, start=(1, 1), steps=2, title="own")
    (axes,) = figure.get_axes()
    x = 0.5 - 0.5 * 0.05 / np.sqrt(0.1**2 + 0.05**2)
    y = 0.5 - 0.5 * 1 / np.sqrt(2**2 + 1**2)
    np.testing.assert_allclose(path_in(axes), [[1, 1], [0.5, 0.5], [x, y]], atol=1e-9)
    height = x**2 / 20 + y**2
    assert f"learning rate 0.5; f = {height:.2g} after 2 steps" in texts(axes)
    assert figure.get_suptitle() == "own"


def test_a_path_that_leaves_the_valley_is_seen_whole():
    (axes,) = optimizer_paths({"too fast": SGD(1.2)}, steps=5).get_axes()
    low, high = axes.get_ylim()
    y = path_in(axes)[:, 1]
    assert low < y.min() < -10
    assert high > y.max()


def test_no_path():
    for optimizers, steps in (({}, 1), (None, 0)):
        with pytest.raises(ValueError, match="no path without an optimizer and a step"):
            optimizer_paths(optimizers, steps=steps)


# ---------------------------------------------------------------------- all


def test_without_matplotlib_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"need Matplotlib: pip install matplotlib$"):
        activation_functions()


def test_a_title_with_dollars_is_written_as_it_is(tmp_path):
    figure = confusion_matrix(np.array([0]), np.array([0]), title="$5 and $6^")
    figure.savefig(tmp_path / "money.png")
    assert figure.get_suptitle() == "$5 and $6^"


def test_names_with_dollars_are_no_formulas(tmp_path):
    names = ["$5 to $6", r"$\frac"]
    one = np.array([0, 1])
    for figure in (
        confusion_matrix(one, one, names),
        predicted_images(np.zeros((2, 2, 2)), one, one[::-1], names),
        decision_regions(right_of_half, np.eye(2), one, names),
        learning_curves(dict.fromkeys(names, history())),
        optimizer_paths({name: SGD(0.1) for name in names}, steps=1),
    ):
        written = {text.get_text() for text in figure.findobj(Text)}
        assert any(r"\$5 to \$6" in text for text in written)
        figure.savefig(tmp_path / "names.png")


def test_no_global_state_of_matplotlib_is_touched():
    code = """
import sys
from nnkit.training.history import History
from nnkit import plotting
plotting.learning_curves(History(loss=[1.0]))
plotting.activation_functions()
plotting.optimizer_paths(steps=1)
plotting.confusion_matrix([0, 1], [0, 1])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
