import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest

from nnkit import data, images
from nnkit.images import ImageError, read_image

Image = pytest.importorskip("PIL.Image")
MNIST = (28, 28)


def seven(size=280, top=60, left=90, height=160, width=10):
    """A 7, black on white, off the centre."""
    page = np.full((size, size), 255, np.uint8)
    page[top : top + width, left : left + height // 2] = 0
    page[top : top + height, left + height // 2 - width : left + height // 2] = 0
    return page


@pytest.fixture
def save(tmp_path):
    def save(image, name="image.png", **options):
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def square(row):
    side = round(len(row) ** 0.5)
    return row.reshape(side, side).astype(float)


def centre_of_mass(square):
    rows, columns = np.indices(square.shape)
    return (rows * square).sum() / square.sum(), (columns * square).sum() / square.sum()


def extent(square):
    rows, columns = np.nonzero(square)
    return np.ptp(rows) + 1, np.ptp(columns) + 1


# ---------------------------------------------------------------------- as MNIST was prepared


def test_the_row_is_bytes(save):
    row = read_image(save(seven()), MNIST, "mnist")
    assert row.shape == (784,)
    assert row.dtype == np.uint8


@pytest.mark.parametrize("ink", ["dark", "light"])
def test_a_digit_is_light_on_black_in_20_pixels_around_its_centre_of_mass(save, ink):
    page = seven() if ink == "dark" else 255 - seven()
    pixels = square(read_image(save(page), MNIST, "mnist"))
    assert pixels.max() == 255
    assert np.median(pixels) == 0
    assert max(extent(pixels)) == 20
    assert centre_of_mass(pixels) == pytest.approx((14, 14), abs=0.5)


def test_dark_and_light_ink_give_the_same(save):
    dark = read_image(save(seven()), MNIST, "mnist")
    light = read_image(save(255 - seven()), MNIST, "mnist")
    np.testing.assert_array_equal(dark, light)


@pytest.mark.parametrize(
    "page",
    [seven(size=900, top=30, left=700), seven(280, top=0, left=0), seven()[55:230, 80:180]],
    ids=["in a corner", "at the edge", "cut tightly"],
)
def test_the_place_of_the_digit_does_not_matter(save, page):
    usual = square(read_image(save(seven()), MNIST, "mnist"))
    placed = square(read_image(save(page), MNIST, "mnist"))
    # Scaling down starts at another pixel, so that edges differ a little.
    assert np.corrcoef(usual.ravel(), placed.ravel())[0, 1] > 0.95


def test_noise_and_gray_paper_do_not_matter(save, rng):
    photo = 60 + seven(560, 120, 180, 320, 24) * 0.5 + rng.normal(0, 30, (560, 560))
    clean = square(read_image(save(seven(560, 120, 180, 320, 24)), MNIST, "mnist"))
    pixels = square(read_image(save(photo.clip(0, 255).astype(np.uint8)), MNIST, "mnist"))
    assert np.median(pixels) == 0
    assert np.corrcoef(clean.ravel(), pixels.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("inverted", [False, True])
def test_an_image_that_is_prepared_already_is_left_as_it_is(save, rng, inverted):
    pixels = np.zeros(MNIST, np.uint8)
    pixels[5:20, 3:9] = rng.integers(50, 255, (15, 6))
    row = read_image(save(255 - pixels if inverted else pixels), MNIST, "mnist")
    np.testing.assert_array_equal(row, pixels.ravel())


def test_thin_lines_survive(save):
    pixels = square(read_image(save(seven(2000, 500, 600, 900, 6)), MNIST, "mnist"))
    assert pixels.max() == 255
    assert (pixels > 60).sum() > 20


def test_a_dot_and_a_line_are_placed_too(save):
    dot = np.zeros((50, 50), np.uint8)
    dot[10, 40] = 255
    assert extent(square(read_image(save(dot), MNIST, "mnist"))) == (20, 20)
    line = np.zeros((50, 50), np.uint8)
    line[10, 5:45] = 255
    assert extent(square(read_image(save(line), MNIST, "mnist"))) == (1, 20)


# ---------------------------------------------------------------------- the other preparations


def test_fit_fills_the_image(save):
    pixels = square(read_image(save(seven()), (8, 8), "fit"))
    assert extent(pixels)[0] == 8
    assert pixels.max() == 255


def test_resize_changes_neither_place_nor_brightness(save):
    page = np.full((100, 100), 200, np.uint8)
    page[:50] = 40
    pixels = square(read_image(save(page), (10, 10), "resize"))
    np.testing.assert_allclose(pixels[:4], 40, atol=3)
    np.testing.assert_allclose(pixels[6:], 200, atol=3)


def test_resize_of_an_image_of_the_right_size_changes_nothing(save, rng):
    page = rng.integers(0, 256, (9, 7), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(save(page), (9, 7), "resize"), page.ravel())


def test_how_to_prepare_follows_from_the_data_set():
    digits = data.load("digits")
    assert images.preparation(digits) == "fit"
    assert images.preparation(replace(digits, name="mnist")) == "mnist"
    assert images.preparation(replace(digits, name="fashion-mnist")) == "fit"
    assert images.preparation(replace(digits, name="mine")) == "resize"


@pytest.mark.parametrize(("border", "how"), [(0, "mnist"), (255, "resize")])
def test_own_images_are_like_mnist_if_they_are_28x28_and_dark_around(border, how):
    x = np.full((3, 28, 28), border, np.uint8)
    x[:, 8:20, 8:20] = 128
    own = replace(data.load("digits"), name="mine", x_train=x.reshape(3, -1), image_shape=(28, 28))
    assert images.preparation(own) == how
    assert images.preparation(replace(own, x_train=own.x_train.astype(np.float32))) == "resize"
    assert images.preparation(replace(own, image_shape=None)) == "resize"


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "image.png"),
        ("L", "image.bmp"),
        ("P", "image.gif"),
        ("RGB", "image.jpg"),
        ("RGB", "image.webp"),
        ("CMYK", "image.jpg"),
        ("RGBA", "image.png"),
        ("LA", "image.png"),
        ("I;16", "image.png"),
        ("I", "image.tiff"),
        ("F", "image.tiff"),
    ],
)
def test_every_mode_and_format_gives_the_same(save, mode, name):
    page = Image.fromarray(seven())
    if mode == "I;16":
        page = Image.fromarray(seven().astype(np.uint16) * 257)
    elif mode == "F":
        page = Image.fromarray(seven().astype(np.float32) / 255)
    else:
        page = page.convert(mode)
    expected = square(read_image(save(seven()), MNIST, "mnist"))
    got = square(read_image(save(page, name), MNIST, "mnist"))
    # Lossy formats differ by little.
    assert np.abs(expected - got).max() <= 40
    assert np.corrcoef(expected.ravel(), got.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_a_transparent_page(save, ink):
    alpha = 255 - seven()
    page = np.dstack([np.full((*alpha.shape, 3), ink, np.uint8), alpha])
    expected = read_image(save(seven()), MNIST, "mnist")
    np.testing.assert_array_equal(read_image(save(page), MNIST, "mnist"), expected)


def test_the_orientation_a_camera_notes_is_followed(save):
    turned = Image.fromarray(np.rot90(seven()).copy())
    exif = turned.getexif()
    exif[0x0112] = 6
    expected = read_image(save(seven()), MNIST, "mnist")
    got = read_image(save(turned, exif=exif), MNIST, "mnist")
    np.testing.assert_array_equal(got, expected)


def message(path, *arguments):
    with pytest.raises(ImageError) as caught:
        read_image(path, *arguments)
    return str(caught.value)


@pytest.mark.parametrize("level", [0, 200, 255])
def test_an_empty_page(save, level):
    path = save(np.full((40, 40), level, np.uint8))
    expected = f"{path}: there is nothing on it: all of it is about equally bright"
    assert message(path, MNIST, "mnist") == expected
    assert message(path, MNIST, "fit") == expected
    assert (read_image(path, MNIST, "resize") == level).all()


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    assert message(path, MNIST) == f"{path}: is no image file that Pillow knows"


def test_a_truncated_file(save):
    path = save(np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:4000])
    assert message(path, MNIST).startswith(f"{path}: cannot be read as an image: ")


def test_a_damaged_file(save):
    path = save(seven())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert message(path, MNIST).startswith(f"{path}: cannot be read as an image: ")


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_header_that_promises_too_many_pixels(tmp_path, side):
    path = tmp_path / "bomb.bmp"
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = struct.pack("<ii", side, side)
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert message(path, MNIST) == f"{path}: has too many pixels to be read safely"


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "holds NaN or infinity"), (np.inf, "holds NaN or infinity"), (-1, "negative pixels")],
)
def test_values_that_are_no_brightness(save, value, reason):
    page = np.full((5, 5), 0.5, np.float32)
    page[2, 2] = value
    path = save(page, "image.tiff")
    assert message(path, MNIST).startswith(f"{path}: ")
    assert message(path, MNIST).endswith(reason)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png", MNIST)
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path, MNIST)


def test_without_pillow(monkeypatch, save):
    path = save(seven())
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    assert message(path, MNIST) == "reading images needs Pillow; run: pip install pillow"
