"""The digits that are shipped with nnkit."""

from importlib.resources import files

import numpy as np
import pytest

from nnkit.data import available, load


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def stored():
    with files("nnkit.data").joinpath("digits.npz").open("rb") as file, np.load(file) as archive:
        return archive["images"], archive["labels"]


def test_shapes_and_types(digits):
    assert digits.x_train.shape == (1442, 64) and digits.t_train.shape == (1442,)
    assert digits.x_test.shape == (355, 64) and digits.t_test.shape == (355,)
    assert digits.x_train.dtype == digits.x_test.dtype == np.uint8
    assert digits.t_train.dtype == digits.t_test.dtype == np.int64
    assert digits.x_train.flags.c_contiguous and digits.x_test.flags.c_contiguous
    assert digits.image_shape == (8, 8)
    assert digits.n_classes == 10 and digits.class_names == tuple("0123456789")
    assert digits.name == "digits"


def test_values_fill_the_byte_range(digits):
    expected = {round(value * 255 / 16) for value in range(17)}
    assert set(np.unique(digits.x_train).tolist()) == expected
    assert max(expected) == 255


def test_every_image_is_in_exactly_one_part(digits, stored):
    images, labels = stored
    rows = np.rint(images.reshape(-1, 64) * (255 / 16)).astype(np.uint8)
    together = np.vstack([digits.x_train, digits.x_test])
    targets = np.concatenate([digits.t_train, digits.t_test])

    def ordered(x, t):
        both = np.column_stack([x, t])
        return both[np.lexsort(both.T)]

    np.testing.assert_array_equal(ordered(together, targets), ordered(rows, labels))


def test_every_fifth_image_of_each_class_is_for_testing(digits, stored):
    images, labels = stored
    for label in range(10):
        of_class = images[labels == label].reshape(-1, 64)
        chosen = digits.x_test[digits.t_test == label]
        np.testing.assert_array_equal(np.rint(of_class[4::5] * (255 / 16)), chosen)


def test_the_images_are_those_of_scikit_learn(stored):
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = stored
    theirs = datasets.load_digits()
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


def test_what_is_said_of_it_is_true(digits):
    (info,) = (info for info in available() if info.name == "digits")
    assert (info.n_train, info.n_test) == (len(digits.x_train), len(digits.x_test))
    assert info.image_shape == digits.image_shape
    assert info.location is not None and info.location.is_file()
    assert info.download_bytes == 0


def test_attribution_and_licence_lie_beside_the_file():
    text = files("nnkit.data").joinpath("digits.LICENSE.txt").read_text(encoding="utf-8")
    assert "Alpaydin" in text and "Kaynak" in text
    assert "https://creativecommons.org/licenses/by/4.0/" in text
