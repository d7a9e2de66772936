"""Filters, feature maps and saliency: what is drawn are the numbers that it should be."""

import numpy as np
import pytest

import nnkit
from nnkit.plotting import convolution_filters, feature_maps, saliency_map
from nnkit.plotting.convolutions import activated
from nnkit.plotting.saliency import score_gradient

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def _on_numpy():
    with nnkit.use_backend("numpy"):
        yield


@pytest.fixture
def model():
    """Two convolutions, the second within a nested model, for images of 6x5 pixels."""
    return nnkit.Sequential(
        nnkit.Image(6, 5),
        nnkit.Conv2d(1, 3, 3, padding=1),
        nnkit.Tanh(),
        nnkit.MaxPool2d(2),
        nnkit.Sequential(nnkit.Conv2d(3, 2, 2), nnkit.Dropout(0.5), nnkit.LeakyReLU()),
        nnkit.Flatten(),
        nnkit.Linear(4, 3),
        seed=5,
        dtype="float64",
    )


@pytest.fixture
def image(rng):
    return rng.random((6, 5))


def arrays(axes):
    return [np.asarray(drawn.get_array()) for drawn in axes.images]


# ---------------------------------------------------------------------- filters


def test_filters_of_one_channel_are_images(model):
    figure = convolution_filters(model)
    axes, bar = figure.get_axes()
    weights = model[1].W.value
    np.testing.assert_array_equal(arrays(axes), np.moveaxis(weights[:, :, 0], 2, 0))
    largest = abs(weights).max()
    assert {drawn.get_clim() for drawn in axes.images} == {(-largest, largest)}
    assert bar.get_ylabel() == "weight"
    assert figure.get_suptitle() == "Layer 1, Conv2d(1, 3, 3, padding=1): 3 filters"


def test_filters_of_several_channels_are_rows():
    seen = nnkit.Sequential(nnkit.Conv2d(20, 4, 2), seed=0)
    figure = convolution_filters(seen, layer=0, count=2)
    weights = seen[0].W.value
    drawn = arrays(figure.get_axes()[0])
    assert len(drawn) == 2 * 16
    np.testing.assert_array_equal(drawn[3], weights[:, :, 3, 0])
    np.testing.assert_array_equal(drawn[16 + 5], weights[:, :, 5, 1])
    texts = [text.get_text() for text in figure.get_axes()[0].texts]
    assert texts == ["0", "1", "the first 16 of 20 channels that each filter sees"]
    assert figure.get_suptitle() == "Layer 0, Conv2d(20, 4, 2): 2 of 4 filters"


def test_filters_of_three_channels_are_in_colour():
    model = nnkit.Sequential(nnkit.Conv2d(3, 2, 2, init=np.zeros((2, 2, 3, 2))))
    model[0].W.value[0, 1, :, 0] = [4, 0, -4]
    first, second = arrays(convolution_filters(model).get_axes()[0])
    np.testing.assert_array_equal(first[0], [[0.5] * 3, [1, 0.5, 0]])
    np.testing.assert_array_equal(second, np.full((2, 2, 3), 0.5))


def test_filters_that_are_all_zero_are_drawn(tmp_path):
    model = nnkit.Sequential(nnkit.Conv2d(1, 1, 3, init="zeros"))
    figure = convolution_filters(model, title="none yet")
    figure.savefig(tmp_path / "zeros.png")
    assert figure.get_suptitle() == "none yet"


def test_a_nested_convolution_is_found_by_its_path(model):
    figure = convolution_filters(model, layer="4.0")
    assert figure.get_suptitle() == "Layer 4.0, Conv2d(3, 2, 2): 2 filters"


@pytest.mark.parametrize("draw", [convolution_filters, lambda m, **o: feature_maps(m, [[1]], **o)])
def test_layers_that_are_no_convolutions(model, draw):
    with pytest.raises(ValueError) as raised:
        draw(model, layer=2)
    assert str(raised.value) == (
        "layer 2 is no convolution; there are 1: Conv2d(1, 3, 3, padding=1), 4.0: Conv2d(3, 2, 2)"
    )
    with pytest.raises(ValueError) as raised:
        draw(nnkit.Sequential(nnkit.Linear(1, 1)))
    assert str(raised.value) == "the model has no Conv2d layer, whose filters could be drawn"


# ---------------------------------------------------------------------- feature maps


def test_maps_are_seen_behind_the_activation_of_each_convolution(model, image):
    before = model.state()
    figure = feature_maps(model, image)
    shown, first, second = figure.get_axes()
    np.testing.assert_array_equal(arrays(shown)[0], image)
    tanh = model[:3](image[None])[0]
    np.testing.assert_allclose(arrays(first), np.moveaxis(tanh, 2, 0), atol=1e-12)
    leaky = model[:5](image[None])[0]
    np.testing.assert_allclose(arrays(second), np.moveaxis(leaky, 2, 0), atol=1e-12)
    largest = abs(tanh).max()
    assert first.images[0].get_clim() == pytest.approx((-largest, largest))
    assert first.get_title("left") == (
        "1: Conv2d(1, 3, 3, padding=1), Tanh(): 3 maps of 6x5, "
        f"from {tanh.min():.3g} to {tanh.max():.3g}"
    )
    for name, values in before.items():
        np.testing.assert_array_equal(model.state()[name], values)


def test_maps_of_one_layer_and_no_more_than_asked(model, image):
    figure = feature_maps(model, image, layer="4.0", count=1, title="one")
    assert [len(axes.images) for axes in figure.get_axes()] == [1, 1]
    assert "1 of 2 maps of 2x1" in figure.get_axes()[1].get_title("left")
    assert figure.get_suptitle() == "one"


@pytest.mark.parametrize(("count", "columns"), [(16, 3), (8, 2)])
def test_maps_of_a_deep_network_are_in_columns(count, columns):
    deep = nnkit.Sequential(nnkit.Conv2d(1, 16, 1), *(nnkit.Conv2d(16, 16, 1) for _ in range(20)))
    figure = feature_maps(deep, np.eye(4), count=count)
    width, height = figure.get_size_inches()
    assert 0.5 < height / width < 1.5
    places = [axes.get_subplotspec() for axes in figure.get_axes()[1:]]
    rows = -(-21 // columns)
    assert [(place.colspan.start, place.rowspan.start - 1) for place in places] == [
        divmod(i, rows) for i in range(21)
    ]


def test_a_convolution_is_shown_by_itself_where_no_activation_is_right_behind():
    model = nnkit.Sequential(
        nnkit.Conv2d(1, 2, 3, padding="same"),
        nnkit.MaxPool2d(2),
        nnkit.ReLU(),
        nnkit.Residual(
            nnkit.Conv2d(2, 2, 3, padding="same"),
            nnkit.PReLU(),
            nnkit.Conv2d(2, 2, 1),
            shortcut=nnkit.Conv2d(2, 2, 1),
        ),
        nnkit.ReLU(),
    )
    assert activated(model, (4, 4)) == {
        "0": "0",
        "3.0": "3.1",
        "3.2": "3.2",
        "3.shortcut": "3.shortcut",
    }
    assert len(feature_maps(model, np.eye(4)).get_axes()) == 5


def test_a_convolution_in_a_layer_that_tells_no_shapes_is_shown_by_itself():
    class Half(nnkit.Layer):
        def __init__(self):
            self.parts = nnkit.Sequential(
                nnkit.Conv2d(1, 2, 3), nnkit.MaxPool2d(2), nnkit.ReLU(), backend="numpy"
            )

        def forward(self, x):
            return self.parts.forward(x)

    model = nnkit.Sequential(Half())
    assert activated(model, (4, 4)) == {"0.parts.0": "0.parts.0"}
    assert len(feature_maps(model, np.eye(4)).get_axes()) == 2


def test_bytes_are_scaled_as_the_model_scales_them(model, image):
    as_bytes = (image * 255).astype(np.uint8)
    (_, first, _) = feature_maps(model, as_bytes).get_axes()
    expected = model[:3](as_bytes[None] / 255)[0]
    np.testing.assert_allclose(arrays(first), np.moveaxis(expected, 2, 0), atol=1e-12)


def test_images_in_colour_and_with_channels_first_are_drawn_in_colour(rng):
    image = rng.random((4, 5, 3))
    last = nnkit.Sequential(nnkit.Conv2d(3, 2, 3), seed=0)
    first = nnkit.Sequential(nnkit.ChannelsLast(), *last.layers)
    for model, given in ((last, image), (first, np.moveaxis(image, 2, 0))):
        shown, _ = feature_maps(model, given).get_axes()
        np.testing.assert_array_equal(arrays(shown)[0], image)
    shown, _ = feature_maps(last, image * 4 - 2).get_axes()
    assert arrays(shown)[0].min() == 0
    assert arrays(shown)[0].max() == 1
    shown, _ = feature_maps(last, np.full((3, 3, 3), 51, np.uint8)).get_axes()
    np.testing.assert_allclose(arrays(shown)[0], 0.2)


# ---------------------------------------------------------------------- saliency


@pytest.mark.parametrize("label", [None, 0, 2])
def test_saliency_is_the_slope_of_the_score(model, image, label):
    answer, gradient = score_gradient(model, image, label)
    assert answer == (model(image[None])[0].argmax() if label is None else label)
    slope = np.empty_like(image)
    for place in np.ndindex(image.shape):
        step = np.zeros_like(image)
        step[place] = 1e-6
        up, down = (model((image + s)[None])[0, answer] for s in (step, -step))
        slope[place] = (up - down) / 2e-6
    np.testing.assert_allclose(gradient, slope, atol=1e-8)
    assert np.abs(slope).max() > 1e-3


def test_saliency_is_of_the_score_before_softmax(model, image):
    _, expected = score_gradient(model, image, 1)
    for last in (nnkit.Softmax(), nnkit.LogSoftmax()):
        whole = nnkit.Sequential(*model.layers, last, dtype="float64")
        np.testing.assert_array_equal(score_gradient(whole, image, 1)[1], expected)


def test_saliency_is_drawn_with_its_sign_and_without(model, image):
    grads = {name: p.grad.copy() for name, p in model.named_parameters()}
    figure = saliency_map(model, image, 2, ["a", "b", "c$"])
    shown, gradient, size = figure.get_axes()
    expected = score_gradient(model, image, 2)[1]
    np.testing.assert_array_equal(arrays(shown)[0], image)
    np.testing.assert_array_equal(arrays(gradient)[0], expected)
    np.testing.assert_array_equal(arrays(size)[0], abs(expected))
    largest = abs(expected).max()
    assert gradient.images[0].get_clim() == (-largest, largest)
    assert figure.get_suptitle() == "Where the score of c$ comes from"
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.grad, grads[name])


def test_saliency_of_colours_is_the_largest_channels(rng):
    model = nnkit.Sequential(nnkit.Flatten(), nnkit.Linear(12, 2), seed=0, dtype="float64")
    image = rng.random((2, 2, 3))
    _, gradient, size = saliency_map(model, image, 1).get_axes()
    weights = model[1].W.value[:, 1].reshape(2, 2, 3)
    np.testing.assert_allclose(arrays(gradient)[0], weights.sum(axis=2))
    np.testing.assert_allclose(arrays(size)[0], abs(weights).max(axis=2))


def test_saliency_of_a_network_of_rows(image):
    model = nnkit.Sequential(nnkit.Linear(30, 2), seed=0, dtype="float64")
    answer, gradient = score_gradient(model, image, 0)
    np.testing.assert_array_equal(gradient, model[0].W.value[:, answer].reshape(6, 5))


@pytest.mark.parametrize(
    ("shape", "label", "message"),
    [
        (
            (30,),
            None,
            "image must have shape (height, width) or (height, width, channels), not (30,); one of "
            "a batch x is x[0]",
        ),
        ((4, 4), None, "the model takes no image of shape (4, 4), nor a row of its numbers"),
        ((6, 5), 3, "label must be a class from 0 to 2, not 3"),
        ((6, 5), -1, "label must be a class from 0 to 2, not -1"),
    ],
)
def test_images_and_classes_that_a_model_does_not_have(model, shape, label, message):
    with pytest.raises(ValueError) as raised:
        saliency_map(model, np.ones(shape), label)
    assert str(raised.value) == message


def test_a_network_without_classes_has_no_saliency():
    with pytest.raises(ValueError) as raised:
        saliency_map(nnkit.Sequential(nnkit.Conv2d(1, 2, 3)), np.eye(4))
    assert str(raised.value) == (
        "the model gives outputs of shape (2, 2, 2), and no score for each class"
    )
