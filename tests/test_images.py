import os
import struct
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnkit import data, images
from nnkit.images import ImageError, read_image

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")
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


@pytest.mark.parametrize("direction", [0, 45, 200])
@pytest.mark.parametrize("falls", [0.4, 0.8])
def test_light_from_one_side_does_not_matter(save, rng, falls, direction):
    """The bright corner has up to three times the light of the dark one."""
    ink = seven(280, 60, 90, 160, 14) / 255
    y, x = (np.indices(ink.shape) - 140) / 280
    angle = np.radians(direction)
    light = 1 + falls * (np.sin(angle) * y + np.cos(angle) * x)
    photo = 150 * light * (0.3 + 0.7 * ink) + rng.normal(0, 4, ink.shape)
    clean = square(read_image(save(seven(280, 60, 90, 160, 14)), MNIST, "mnist"))
    pixels = square(read_image(save(photo.clip(0, 255).astype(np.uint8)), MNIST, "mnist"))
    assert np.corrcoef(clean.ravel(), pixels.ravel())[0, 1] > 0.9


def test_darker_corners_do_not_matter(save):
    ink = seven(280, 60, 90, 160, 14) / 255
    y, x = (np.indices(ink.shape) - 140) / 280
    photo = 200 * (1 - 0.8 * (x * x + y * y)) * (0.3 + 0.7 * ink)
    clean = square(read_image(save(seven(280, 60, 90, 160, 14)), MNIST, "mnist"))
    pixels = square(read_image(save(photo.astype(np.uint8)), MNIST, "mnist"))
    assert np.corrcoef(clean.ravel(), pixels.ravel())[0, 1] > 0.9


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
    for how in ("mnist", "fit", "resize"):
        assert images.preparation(replace(digits, preparation=how)) == how
    assert images.preparation(replace(digits, preparation=None)) == "resize"


@pytest.mark.parametrize(("border", "how"), [(0, "mnist"), (255, "resize")])
def test_own_images_are_like_mnist_if_they_are_28x28_and_dark_around(border, how):
    x = np.full((3, 28, 28), border, np.uint8)
    x[:, 8:20, 8:20] = 128
    own = replace(data.load("digits"), name="mnist", preparation=None)
    own = replace(own, x_train=x.reshape(3, -1), image_shape=(28, 28))
    assert images.preparation(own) == how
    assert images.preparation(replace(own, x_train=own.x_train.astype(np.float32))) == "resize"
    assert images.preparation(replace(own, image_shape=None)) == "resize"


# ---------------------------------------------------------------------- in colour


COLORS = np.kron(
    np.array([[[200, 30, 60], [10, 90, 240]], [[0, 255, 0], [128, 128, 128]]], np.uint8),
    np.ones((16, 16, 1), np.uint8),
)
"""Four fields of one colour each, 32x32."""


@pytest.mark.parametrize(
    ("mode", "name", "within"),
    [
        ("RGB", "image.png", 0),
        ("RGBA", "image.png", 0),
        ("P", "image.png", 0),
        ("RGB", "image.bmp", 0),
        ("RGB", "image.tiff", 0),
        ("CMYK", "image.tiff", 0),
        ("RGB", "image.jpg", 4),
    ],
)
def test_colours_of_every_mode_and_format(save, mode, name, within):
    options = {"quality": 95, "subsampling": 0} if name == "image.jpg" else {}
    page = Image.fromarray(COLORS)
    page = page.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else page.convert(mode)
    got = read_image(save(page, name, **options), (32, 32, 3))
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - COLORS).max() <= within


@pytest.mark.parametrize("how", ["mnist", "fit", "resize"])
def test_images_in_colour_are_scaled_whatever_their_kind(save, how):
    got = read_image(save(COLORS), (4, 6, 3), how)
    want = np.dstack(
        [read_image(save(layer), (4, 6)).reshape(4, 6) for layer in COLORS.T.swapaxes(1, 2)]
    )
    np.testing.assert_array_equal(got, want)
    large = np.kron(COLORS, np.ones((50, 50, 1), np.uint8))
    assert np.abs(read_image(save(large), (32, 32, 3)).astype(int) - COLORS).max() < 40


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "F"])
def test_gray_images_have_three_equal_colours(save, mode):
    page = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    if mode == "I;16":
        image = Image.fromarray(page.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(page / np.float32(255) if mode == "F" else page)
        image = image if mode == "F" else image.convert(mode)
    path = save(image, "image.tiff" if mode == "F" else "image.png")
    np.testing.assert_array_equal(read_image(path, (2, 3, 3)), np.dstack([page] * 3))


def test_what_is_transparent_gets_a_background_in_colour_too(save):
    """White under dark ink and black under light, as in gray; in between it is a mixture."""
    alpha = np.full((32, 32), 255, np.uint8)
    alpha[:16], alpha[16:24] = 0, 51
    for ink, background in (((90, 20, 0), 255), ((255, 250, 90), 0)):
        page = np.dstack([np.full((32, 32, 3), ink, np.uint8), alpha])
        got = read_image(save(page), (32, 32, 3))
        assert (got[:16] == background).all()
        assert (got[24:] == ink).all()
        assert (got[16:24] == np.rint(background + (np.array(ink) - background) / 5)).all()


@pytest.mark.parametrize("number", range(1, 9))
def test_images_in_colour_are_turned_as_the_camera_notes(save, number):
    page = Image.fromarray(COLORS[:, :24])
    exif = page.getexif()
    exif[0x0112] = number
    path = save(page, exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_image(path, upright.shape), upright)


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


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("form", ["jpg", "png", "tiff", "webp"])
def test_the_orientation_a_camera_notes_is_followed(save, rng, number, form):
    blocks = rng.integers(0, 256, (3, 2), np.uint8)
    page = Image.fromarray(np.kron(blocks, np.ones((16, 16), np.uint8)))
    exif = page.getexif()
    exif[0x0112] = number
    with Image.open(save(page, exif=exif)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    got = read_image(save(page, f"other.{form}", exif=exif), upright.shape)
    assert np.abs(got.astype(int) - upright.ravel()).max() <= 2


def test_odd_metadata_do_not_matter(save, rng):
    page = Image.fromarray(rng.integers(0, 256, (9, 7), np.uint8))
    exif = page.getexif()
    exif[0x0132] = "2026:01:01"
    content = bytearray(save(page, "image.jpg", exif=exif).read_bytes())
    field = content.index(bytes([1, 0x32]), content.index(b"Exif"))
    for place in range(field + 2, field + 12):
        damaged = bytearray(content)
        damaged[place] = 0x77
        path = save(page, "image.jpg", exif=exif)
        path.write_bytes(damaged)
        assert read_image(path, (9, 7)).shape == (63,)


def test_sixteen_bits_are_scaled_by_what_is_white_not_by_what_is_there(save):
    """A dark image is not made bright, so that images of one camera stay comparable."""
    for name in ("image.png", "image.tiff"):
        path = save(np.full((5, 5), 20 * 257, np.uint16), name)
        assert (read_image(path, (5, 5)) == 20).all()


def test_transparency_in_a_palette_and_of_one_colour(save):
    page = Image.fromarray(seven()).convert("RGB")
    expected = read_image(save(seven()), MNIST, "mnist")
    for path in (
        save(page, transparency=(255, 255, 255)),
        save(page.convert("P"), transparency=page.convert("P").getpixel((0, 0))),
        save(page.convert("P"), "image.gif", transparency=page.convert("P").getpixel((0, 0))),
    ):
        np.testing.assert_array_equal(read_image(path, MNIST, "mnist"), expected)


@pytest.mark.parametrize("form", ["gif", "png", "webp", "tiff"])
def test_the_first_of_several_images_is_read(save, form):
    first, second = (Image.fromarray(np.full((9, 7), level, np.uint8)) for level in (80, 200))
    path = save(first, f"image.{form}", save_all=True, append_images=[second])
    assert np.abs(read_image(path, (9, 7)).astype(int) - 80).max() <= 2


def test_a_large_image_is_averaged_before_it_becomes_floats(save, rng):
    noise = rng.integers(0, 256, (40, 60), np.uint8)
    page = Image.fromarray(np.kron(noise, np.ones((50, 50), np.uint8)))
    path = save(page)
    tracemalloc.start()
    row = read_image(path, (40, 60))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6  # as floats, its pixels would be 48e6 bytes
    at_once = np.asarray(page.resize((60, 40), Image.Resampling.BICUBIC), float)
    assert np.abs(row - at_once.ravel()).max() < 10


@pytest.mark.parametrize("form", ["EPS", "PDF", "ICO", "TGA", "PCX", "SGI", "JPEG2000"])
def test_other_formats_are_refused_whatever_they_are_called(tmp_path, form):
    path = tmp_path / "image.png"
    with path.open("wb") as file:
        Image.fromarray(seven()).save(file, form)
    assert "is no image that nnkit reads" in message(path, MNIST)


def test_no_flipped_bit_of_a_png_gives_other_pixels(save, rng):
    path = save(rng.integers(0, 256, (9, 7), np.uint8))
    want, content = read_image(path, (9, 7)), path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            np.testing.assert_array_equal(read_image(path, (9, 7)), want)
        except ImageError:
            refused += 1
    assert refused > 0.9 * len(content) / 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="is not an ordinary file"):
        read_image(tmp_path / "pipe.png", MNIST)


def test_many_are_read_in_order_with_what_is_wrong_in_place(save, tmp_path):
    good = save(np.full((9, 7), 80, np.uint8))
    first, none, text, last = images.read_images(
        [good, tmp_path / "none.png", Path(__file__), good], (9, 7)
    )
    assert (first == 80).all()
    assert (last == 80).all()
    assert isinstance(none, FileNotFoundError)
    assert isinstance(text, ImageError)


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
    assert message(path, MNIST) == (
        f"{path}: is no image that nnkit reads (PNG, JPEG, GIF, BMP, PPM, TIFF, WEBP); convert it "
        "to PNG"
    )


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


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        (7_100, "has 7100x7100 pixels, and nnkit reads 50,000,000 at most; scale it down"),
        (10_000, "has 10000x10000 pixels, and nnkit reads 50,000,000 at most; scale it down"),
        (60_000, "has too many pixels to be read safely"),
    ],
)
def test_a_header_that_promises_too_many_pixels(tmp_path, side, reason):
    path = tmp_path / "bomb.bmp"
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = struct.pack("<ii", side, side)
    path.write_bytes(content)
    assert message(path, MNIST) == f"{path}: {reason}"


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
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert message(path, MNIST) == "reading images needs Pillow; run: pip install pillow"
