"""A folder with a folder of image files for each class."""

import os
import sys

import numpy as np
import pytest

from nnkit.data import DataError, load
from nnkit.files import memory
from nnkit.images import read_image

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photos(tmp_path):
    """Ten cats and five dogs of 8x6, dark and light, in the formats of telephones and scanners."""
    folder = tmp_path / "photos"
    for name, level, n in (("dogs", 200, 5), ("cats", 30, 10)):
        for i in range(n):
            page = np.full((8, 6, 3), level + i, np.uint8)
            save(folder / name / f"{i}.{('png', 'jpg', 'JPEG', 'bmp')[i % 4]}", page)
    return folder


def save(path, page):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page).save(path)


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        load(path, **options)
    return str(caught.value)


def test_folders_name_the_classes_and_a_fifth_is_held_out(photos):
    data = load(photos)
    assert data.class_names == ("cats", "dogs")
    assert data.image_shape == (8, 6)
    assert data.x_train.dtype == np.uint8
    assert np.bincount(data.t_train).tolist() == [8, 4]
    assert np.bincount(data.t_test).tolist() == [2, 1]
    for x, t in ((data.x_train, data.t_train), (data.x_test, data.t_test)):
        np.testing.assert_array_equal(x.mean(axis=1) > 100, t == 1)
    assert data.name == "photos"
    assert data.preparation == "resize"
    assert repr(data) == (
        "Dataset('photos': 12 training and 3 test rows of 48 uint8, 2 classes; made gray; "
        "1 in 5 of each class held out for testing)"
    )
    assert load(photos, seed=1).x_test.tolist() != load(photos).x_test.tolist()


def test_names_that_a_system_has_taken_apart_are_the_same(photos):
    """A letter and its mark are one character or two; macOS used to write two."""
    (photos / "train").mkdir()
    (photos / "cats").rename(photos / "train" / "bebe\u0301")
    (photos / "dogs").rename(photos / "train" / "dogs")
    for name in ("beb\u00e9", "dogs"):
        save(photos / "test" / name / "0.png", np.zeros((8, 6, 3), np.uint8))
    data = load(photos)
    assert data.class_names == ("beb\u00e9", "dogs")
    assert data.t_test.tolist() == [0, 1]


def test_colours_are_kept_where_they_are_asked_for(photos, rng):
    page = rng.integers(0, 256, (8, 6, 3), np.uint8)
    save(photos / "cats" / "red.png", page)
    save(photos / "cats" / "gray.png", page[..., 0])
    data = load(photos, color=True)
    assert data.image_shape == (8, 6, 3)
    assert data.x_train.shape == (14, 8, 6, 3)
    assert data.x_train.dtype == data.x_test.dtype == np.uint8
    assert data.x_train.flags.c_contiguous and data.x_test.flags.c_contiguous
    both = np.concatenate([data.x_train, data.x_test])
    assert (both == page).all(axis=(1, 2, 3)).sum() == 1
    assert (both == page[..., :1]).all(axis=(1, 2, 3)).sum() == 1
    assert repr(data) == (
        "Dataset('photos': 14 training and 3 test images of 8x6x3 uint8, 2 classes; "
        "1 in 5 of each class held out for testing)"
    )
    gray = load(photos)
    assert gray.x_train.shape == (14, 48)
    np.testing.assert_array_equal(gray.t_train, data.t_train)
    assert load(photos, color=True, image_size=(3, 4)).x_test.shape == (3, 3, 4, 3)


@pytest.mark.parametrize("part", ["test", "Val", "validation", "test_set"])
def test_folders_of_images_to_test_with(photos, part):
    (photos / "dogs" / "1.jpg").rename(photos / "1.jpg")
    for path, target in (("cats", "train/cats"), ("dogs", "train/dogs"), ("1.jpg", part)):
        (photos / target).parent.mkdir(exist_ok=True)
        (photos / path).rename(photos / target)
    (photos / part).rename(photos / "1.jpg")
    (photos / part / "dogs").mkdir(parents=True)
    (photos / "1.jpg").rename(photos / part / "dogs" / "1.jpg")
    data = load(photos)
    assert data.class_names == ("cats", "dogs")
    assert np.bincount(data.t_train).tolist() == [10, 4]
    assert data.t_test.tolist() == [1]
    assert data.note == "made gray"
    save(photos / "extra" / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert load(photos).note == "made gray; extra not used"
    save(photos / part / "cows" / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert refusal(photos) == (
        f"{photos / part}: has the class cows, of which there is none to train on"
    )


def test_numbers_are_in_order_of_value(tmp_path):
    for name in ("10", "9", "1"):
        save(tmp_path / name / "a.png", np.zeros((2, 2), np.uint8))
        save(tmp_path / name / "b.png", np.zeros((2, 2), np.uint8))
    assert load(tmp_path).class_names == ("1", "9", "10")


def test_images_of_different_or_large_size_are_scaled_as_predict_scales_them(photos, rng):
    page = rng.integers(0, 256, (40, 100, 3), np.uint8)
    save(photos / "cats" / "wide.png", page)
    data = load(photos)
    assert data.image_shape == (28, 28)
    rows = np.concatenate([data.x_train, data.x_test])
    scaled = read_image(photos / "cats" / "wide.png", (28, 28))
    assert (rows == scaled).all(axis=1).sum() == 1
    large = photos.parent / "large"
    for name in ("a", "b"):
        for i in "12":
            save(large / name / f"{i}.png", np.zeros((65, 65), np.uint8))
    assert load(large).image_shape == (28, 28)


@pytest.mark.parametrize(("size", "shape"), [(5, (5, 5)), ((3, 4), (3, 4)), ([2, 3], (2, 3))])
def test_a_size_of_ones_own(photos, size, shape):
    data = load(photos, image_size=size)
    assert data.image_shape == shape
    assert data.x_train.shape == (12, shape[0] * shape[1])


@pytest.mark.parametrize("size", [0, -1, (3,), (3, 4, 5), "28", (3, 0), 2.5])
def test_sizes_that_are_none(photos, size):
    with pytest.raises(ValueError, match="image_size is a height and a width in pixels"):
        load(photos, image_size=size)


def test_only_image_files_are_scaled():
    assert refusal("digits", image_size=9) == (
        "digits: its images have size 8x8, not 9x9, and only image files are scaled to another"
    )


def test_only_image_files_have_colours_to_keep(tmp_path):
    expected = (
        "{}: its images have no colours, and only those of image files can be kept; leave color "
        "(--color) out"
    )
    assert refusal("digits", color=True) == expected.format("digits")
    x, t = np.zeros((4, 5, 6, 3), np.uint8), [0, 1, 0, 1]
    for shape in ((4, 90), (4, 5, 18), (4, 5, 9, 2)):
        np.savez(tmp_path / "gray.npz", x=x.reshape(shape), t=t)
        path = tmp_path / "gray.npz"
        assert refusal(path, color=True) == expected.format(path)
    np.savez(tmp_path / "color.npz", x=x, t=t)
    assert load(tmp_path / "color.npz", color=True, image_size=(5, 6)).image_shape == (5, 6, 3)


def test_other_files_are_left_out_and_hidden_ones_ignored(photos):
    for name in (
        "README.txt",
        ".DS_Store",
        "cats/notes.TXT",
        "cats/phone.heic",
        "dogs/.hidden.png",
    ):
        (photos / name).write_bytes(b"x")
    (photos / ".git").mkdir()
    (photos / "__MACOSX").mkdir()
    data = load(photos)
    assert len(data.t_train) + len(data.t_test) == 15
    assert data.note.endswith(
        "held out for testing; 3 other files in photos left out (.heic, .txt)"
    )


def test_a_folder_in_a_class_is_not_guessed_at(photos):
    save(photos / "cats" / "mine" / "a.png", np.zeros((8, 6), np.uint8))
    assert refusal(photos) == (
        f"{photos / 'cats'}: has a folder in it, mine; images lie in the folder of their class "
        "itself"
    )


def test_a_class_may_be_called_train(photos):
    (photos / "cats").rename(photos / "train")
    (photos / "dogs").rename(photos / "val")
    assert load(photos).class_names == ("train", "val")


def test_images_without_classes_are_nothing_to_test_with(photos):
    for name in ("cats", "dogs"):
        (photos / "train").mkdir(exist_ok=True)
        (photos / name).rename(photos / "train" / name)
    save(photos / "test" / "1.png", np.zeros((8, 6), np.uint8))
    data = load(photos)
    assert len(data.t_test) == 3
    assert data.note == "made gray; 1 in 5 of each class held out for testing; test not used"


def test_all_that_cannot_be_read_are_counted_and_some_named(photos):
    for name in "abcd":
        (photos / "dogs" / f"{name}.png").write_bytes(b"x")
    (photos / "cats" / "3.bmp").write_bytes((photos / "cats" / "3.bmp").read_bytes()[:80])
    message = refusal(photos)
    assert message.startswith(
        f"{photos}: 5 of 19 images cannot be used; repair or remove them: "
        f"{photos / 'cats' / '3.bmp'}: cannot be read as an image: "
    )
    assert f"; {photos / 'dogs' / 'a.png'}: is no image that nnkit reads" in message
    assert message.endswith("; and 2 more")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_among_the_images(photos):
    os.mkfifo(photos / "cats" / "pipe.png")
    assert "1 of 16 images cannot be used" in refusal(photos)
    assert "is not an ordinary file" in refusal(photos)


def test_folders_that_are_not_made_that_way(tmp_path, photos):
    assert refusal(photos.parent) == (
        f"{tmp_path}: has the folder photos alone; if the classes are in that, name that one. Own "
        "images lie in a folder for each class, two at least, such as cats and dogs"
    )
    flat = refusal(photos / "cats")
    assert f"{photos / 'cats'}: has no folders; sort the images into one for each class" in flat
    (photos / "birds").mkdir()
    assert refusal(photos).startswith(f"{photos / 'birds'}: has no images (.png, ")


def test_too_many_for_this_machine(photos, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert refusal(photos, image_size=10) == (
        f"{photos}: 15 images scaled to 10x10: that takes 1,500 bytes, more than half of the 1,000 "
        "bytes of memory that are free; use fewer or smaller images"
    )
    assert "15 images scaled to 10x10x3: that takes 4,500 bytes" in refusal(
        photos, image_size=10, color=True
    )


def test_without_pillow(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "reading images needs Pillow; run: pip install" in refusal(photos)
