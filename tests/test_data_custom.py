"""The user's own data: folders of IDX files and .npz files, right and wrong."""

import gzip
import io
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nnkit
from nnkit.data import DataError, load
from nnkit.data.labels import MAX_CLASSES
from nnkit.files import memory

ROLES = ("x_train", "t_train", "x_test", "t_test")


def example(dtype=np.uint8, shape=(3, 4)):
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (6, *shape)).astype(dtype),
        "t_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": random.integers(0, 256, (2, *shape)).astype(dtype),
        "t_test": np.array([2, 0]),
    }


def encode(array):
    code = {"uint8": 8, "int32": 0xC, "float32": 0xD}[array.dtype.name]
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "t_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "t_test": "t10k-labels-idx1-ubyte",
}


@pytest.fixture
def npz(tmp_path):
    def save(**changes):
        arrays = {**example(), **changes}
        path = tmp_path / "mine.npz"
        np.savez(path, **{role: array for role, array in arrays.items() if array is not None})
        return path

    return save


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mine"
    path.mkdir()
    for role, array in example().items():
        (path / NAMES[role]).write_bytes(encode(array.astype(np.uint8)))
    return path


def refusal(path):
    with pytest.raises(DataError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_is_example(dataset, dtype=np.uint8):
    expected = example()
    assert dataset.x_train.dtype == dataset.x_test.dtype == dtype
    assert dataset.x_train.flags.c_contiguous and dataset.x_test.flags.c_contiguous
    assert dataset.t_train.dtype == dataset.t_test.dtype == np.int64
    np.testing.assert_array_equal(dataset.x_train, expected["x_train"].reshape(6, 12))
    np.testing.assert_array_equal(dataset.x_test, expected["x_test"].reshape(2, 12))
    np.testing.assert_array_equal(dataset.t_train, expected["t_train"])
    np.testing.assert_array_equal(dataset.t_test, expected["t_test"])
    assert dataset.n_classes == 3 and dataset.class_names == ("0", "1", "2")


def test_npz(npz):
    dataset = load(npz())
    assert_is_example(dataset)
    assert dataset.image_shape == (3, 4)
    assert dataset.name == "mine.npz"


def test_npz_by_str_path_and_compressed(tmp_path):
    np.savez_compressed(tmp_path / "packed.npz", **example())
    assert_is_example(load(str(tmp_path / "packed.npz")))


def test_npz_under_any_name(npz, tmp_path):
    assert_is_example(load(npz().rename(tmp_path / "mine.data")))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8"])
def test_floats_become_float32_with_their_values(tmp_path, dtype):
    np.savez(tmp_path / "f.npz", **example(dtype))
    assert_is_example(load(tmp_path / "f.npz"), np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.uint64, ">i4"])
def test_labels_of_any_integer_type(npz, dtype):
    assert_is_example(load(npz(t_train=example()["t_train"].astype(dtype))))


def test_labels_as_a_column(npz):
    assert_is_example(load(npz(t_train=example()["t_train"][:, None])))


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_column_major_arrays_are_brought_into_row_order(tmp_path, shape):
    arrays = {role: np.asfortranarray(array) for role, array in example(shape=shape).items()}
    np.savez(tmp_path / "columns.npz", **arrays)
    assert_is_example(load(tmp_path / "columns.npz"))


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [((12,), None), ((3, 4), (3, 4)), ((3, 4, 1), (3, 4)), ((2, 2, 3), (2, 2, 3))],
)
def test_image_shapes(tmp_path, shape, image_shape):
    np.savez(tmp_path / "s.npz", **example(shape=shape))
    dataset = load(tmp_path / "s.npz")
    assert dataset.image_shape == image_shape
    assert_is_example(dataset.as_rows())
    assert dataset.x_train.shape == (6, *(shape if shape == (2, 2, 3) else (12,)))
    assert np.shares_memory(dataset.as_rows().x_train, dataset.x_train)
    if image_shape is None:
        with pytest.raises(DataError) as caught:
            dataset.as_images()
        assert str(caught.value) == (
            "s.npz: its rows of 12 numbers have no known height and width; reshape them, "
            "x_train.reshape(-1, height, width, channels)"
        )
    else:
        expected = example(shape=(*shape, 1)[:3])
        np.testing.assert_array_equal(dataset.as_images().x_train, expected["x_train"])
        np.testing.assert_array_equal(dataset.as_images().x_test, expected["x_test"])


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_that_come_first_are_told_of(tmp_path, channels):
    np.savez(tmp_path / "f.npz", **example(shape=(channels, 6, 5)))
    with pytest.warns(nnkit.DataWarning) as caught:
        load(tmp_path / "f.npz")
    (warning,) = caught
    assert warning.filename == __file__
    assert str(warning.message) == (
        f"{tmp_path / 'f.npz'}: x_train: images of shape (6, {channels}, 6, 5) are taken for "
        f"{channels}x6 pixels of 5 channels, but seem to have their channels first: save "
        f"x.transpose(0, 2, 3, 1), of shape (6, 6, 5, {channels})"
    )


def test_series_of_many_channels_are_no_images_with_one_in_front(tmp_path, recwarn):
    np.savez(tmp_path / "f.npz", **example(shape=(1, 128, 9)))
    assert load(tmp_path / "f.npz").image_shape == (1, 128, 9)
    assert not recwarn


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_keep_their_places(tmp_path, channels):
    arrays = example(shape=(5, 4, channels))
    np.savez(tmp_path / "c.npz", x=np.asfortranarray(arrays["x_train"]), y=arrays["t_train"])
    dataset = load(tmp_path / "c.npz")
    assert dataset.image_shape == (5, 4, channels)
    assert dataset.x_train.flags.c_contiguous and dataset.x_test.flags.c_contiguous
    both = np.concatenate([dataset.x_train, dataset.x_test])
    assert sorted(map(bytes, both)) == sorted(map(bytes, arrays["x_train"]))
    assert repr(dataset).startswith(
        f"Dataset('c.npz': 3 training and 3 test images of 5x4x{channels} uint8, 3 classes; "
    )


def test_a_class_only_the_test_set_has_is_counted(npz):
    assert load(npz(t_test=np.array([0, 7]))).n_classes == 8


def test_repr_is_short(npz):
    assert repr(load(npz())) == (
        "Dataset('mine.npz': 6 training and 2 test rows of 12 uint8, 3 classes)"
    )


def test_folder(folder):
    dataset = load(folder)
    assert_is_example(dataset)
    assert dataset.image_shape == (3, 4)
    assert dataset.name == "mine"


def test_folder_with_gzipped_files_and_other_names(folder):
    (folder / "train-images-idx3-ubyte").rename(folder / "train-images.idx3-ubyte")
    (folder / "t10k-images-idx3-ubyte").rename(folder / "test-images")
    labels = (folder / "t10k-labels-idx1-ubyte").read_bytes()
    (folder / "t10k-labels-idx1-ubyte").unlink()
    (folder / "test-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    (folder / "README.md").write_text("Not a data file.")
    assert_is_example(load(folder))


def test_the_unpacked_file_goes_before_its_gz(folder):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    assert_is_example(load(folder))


def test_folder_of_floats_and_ints(folder):
    arrays = example(np.float32)
    for role in ("x_train", "x_test"):
        (folder / NAMES[role]).write_bytes(encode(arrays[role]))
    (folder / NAMES["t_train"]).write_bytes(encode(arrays["t_train"].astype(np.int32)))
    assert_is_example(load(folder), np.float32)


def test_files_in_folders_of_their_own_names(folder):
    """As Kaggle's MNIST is unpacked: with files that have dots in their names beside, or not."""
    for name in NAMES.values():
        content = (folder / name).read_bytes()
        (folder / name).rename(folder / name.replace("-idx", ".idx"))
        (folder / name).mkdir()
        (folder / name / name).write_bytes(content)
    assert_is_example(load(folder))
    for name in NAMES.values():
        (folder / name.replace("-idx", ".idx")).unlink()
    assert_is_example(load(folder))
    (folder / NAMES["x_test"] / "test-images").write_bytes(b"")
    name = NAMES["x_test"]
    assert refusal(folder) == (
        f"{folder}: {name}/{name} and {name}/test-images could each be x_test; keep one"
    )


EMNIST = {
    "balanced": (0, 47, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
    "byclass": (0, 62, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    "bymerge": (0, 47, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
    "digits": (0, 10, "0123456789"),
    "letters": (1, 26, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "mnist": (0, 10, "0123456789"),
}


def write_emnist(folder, kind, first, classes):
    """Images lie on their sides in these files, and letters count from 1."""
    folder.mkdir(exist_ok=True)
    images = np.arange(classes * 12, dtype=np.uint16).astype(np.uint8).reshape(classes, 3, 4)
    labels = (np.arange(classes) + first).astype(np.uint8)
    for part in ("train", "test"):
        for what, array in (("images-idx3", images.transpose(0, 2, 1)), ("labels-idx1", labels)):
            content = gzip.compress(encode(array))
            (folder / f"emnist-{kind}-{part}-{what}-ubyte.gz").write_bytes(content)
    return images


@pytest.mark.parametrize("kind", EMNIST)
def test_emnist_is_turned_upright_and_has_its_characters_as_names(tmp_path, kind):
    first, classes, names = EMNIST[kind]
    images = write_emnist(tmp_path / "emnist", kind, first, classes)
    data = load(tmp_path / "emnist")
    assert data.image_shape == (3, 4)
    np.testing.assert_array_equal(data.x_train, images.reshape(classes, 12))
    np.testing.assert_array_equal(data.t_test, range(classes))
    assert data.class_names == tuple(names)
    assert data.note == f"emnist-{kind}, images turned upright"


def test_several_of_emnist_and_labels_it_has_not(tmp_path):
    write_emnist(tmp_path / "emnist", "digits", 0, 11)
    assert "its labels name 11 classes, but emnist-digits has 10" in refusal(tmp_path / "emnist")
    write_emnist(tmp_path / "emnist", "letters", 1, 26)
    assert refusal(tmp_path / "emnist") == (
        f"{tmp_path / 'emnist'}: has emnist-digits and emnist-letters; put the four files of one "
        "into a folder of its own"
    )


def test_two_candidates_in_a_folder(folder):
    (folder / "train-images-old").write_bytes(b"")
    assert refusal(folder) == (
        f"{folder}: train-images-idx3-ubyte and train-images-old could each be x_train; keep one"
    )


def test_missing_files_are_named(folder):
    (folder / NAMES["t_train"]).unlink()
    (folder / NAMES["x_test"]).unlink()
    assert refusal(folder) == (
        f"{folder}: lacks train-labels*, t10k-images or test-images* (IDX files, gzipped or not)"
    )


def test_empty_folder(tmp_path):
    assert "lacks train-images*, train-labels*" in refusal(tmp_path)


def test_a_damaged_file_in_a_folder_is_named(folder):
    path = folder / NAMES["x_test"]
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(folder).startswith(f"{path}: truncated")


def test_counts_that_differ_in_a_folder(folder):
    (folder / NAMES["t_train"]).write_bytes(encode(np.zeros(5, np.uint8)))
    message = refusal(folder)
    assert str(folder / NAMES["x_train"]) in message and str(folder / NAMES["t_train"]) in message
    assert "(6, 3, 4)" in message and "(5,)" in message


def test_unreadable_folder(folder, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert refusal(folder) == f"{folder}: cannot be read: Permission denied"


def test_missing_keys_are_named_with_what_is_there(npz):
    assert refusal(npz(t_test=None, x_test=None, y_test=np.zeros(2))) == (
        f"{npz(t_test=None, x_test=None, y_test=np.zeros(2))}: lacks x_test, and holds x_train, "
        "t_train, y_test; save it with np.savez(path, x_train=..., t_train=..., x_test=..., "
        "t_test=...), or without the last two"
    )


BAD = {
    "count": (
        {"t_train": np.zeros(5, int)},
        r"6 images, shape \(6, 3, 4\), but .*5 labels.*\(5,\)",
    ),
    "test count": ({"x_test": np.zeros((3, 3, 4), np.uint8)}, r"x_test has 3 images.*t_test has 2"),
    "size": ({"x_test": np.zeros((2, 5, 4), np.uint8)}, r"\(3, 4\), but .*\(5, 4\)"),
    "kind": ({"x_test": np.zeros((2, 3, 4))}, "x_train is uint8, but .*x_test is float32"),
    "1-D": ({"x_train": np.zeros(6, np.uint8)}, r"images have shape .* not \(6,\)"),
    "5-D": ({"x_train": np.zeros((6, 1, 1, 1, 1), np.uint8)}, r"not \(6, 1, 1, 1, 1\)"),
    "none": ({"x_train": np.zeros((0, 3, 4), np.uint8)}, r"nothing in images of shape \(0, 3, 4\)"),
    "no pixel": ({"x_train": np.zeros((6, 0, 4), np.uint8)}, r"nothing in .*\(6, 0, 4\)"),
    "int images": ({"x_train": np.zeros((6, 3, 4), int)}, r'not int64; .*\.astype\("uint8"\)'),
    "bool images": ({"x_train": np.zeros((6, 3, 4), bool)}, "not bool"),
    "text": ({"x_train": np.full((6, 3, 4), "a")}, "images are uint8 .* not <U1"),
    "complex": ({"x_train": np.zeros((6, 3, 4), complex)}, "holds complex128, which is neither"),
    "half labels": ({"t_train": np.array([0, 1, 0.5, 0, 0, 0])}, r"label 0.5 of image 2 is no"),
    "NaN labels": ({"t_train": np.full(6, np.nan)}, "label nan of image 0 is no class number"),
    "two-hot": ({"t_train": np.ones((6, 3), int)}, r"a single 1 among zeros; not \(6, 3\)"),
    "complex labels": ({"t_train": np.zeros(6, complex)}, "complex128, which is neither"),
    "bytes": ({"t_train": np.array([b"\xff"] * 6), "t_test": np.array([b"a", b"b"])}, "UTF-8"),
    "no labels": ({"t_train": np.zeros(0, int)}, r"not \(0,\)"),
    "scalar label": ({"t_train": np.array(1)}, r"not \(\)"),
    "negative": ({"t_train": np.array([0, 1, -1, 0, 0, -2])}, "label -1 of image 2 is no class"),
    "huge": ({"t_train": np.array([0, 1, 2, MAX_CLASSES, 0, 0])}, "label 100000 of image 3"),
    "uint64": ({"t_test": np.array([0, 2**64 - 1], np.uint64)}, "label 18446744073709551615"),
    "objects": ({"t_train": np.array([0, 1, 2, "x", 0, 0], object)}, "Python objects.*astype"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_arrays_that_do_not_fit_are_named_and_explained(npz, change, message):
    path = npz(**change)
    refused = refusal(path)
    assert str(path) in refused
    assert re.search(message, refused), refused


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_nan_and_infinite_images(tmp_path, value):
    arrays = example(np.float64)
    arrays["x_test"][1, 2, 3] = value
    np.savez(tmp_path / "n.npz", **arrays)
    assert refusal(tmp_path / "n.npz") == (
        f"{tmp_path / 'n.npz'}: x_test: 1 of 2 images hold NaN or infinite float32 values, the "
        "first is image 1"
    )


def test_text_file(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_text("x_train, t_train\n")
    assert refusal(path).startswith(
        f"{path}: neither a folder of images or IDX files, nor an .npz file"
    )


def test_empty_file(tmp_path):
    path = tmp_path / "mine.npz"
    path.touch()
    assert refusal(path) == f"{path}: is empty"


def test_truncated_npz(npz):
    path = npz()
    path.write_bytes(path.read_bytes()[:-100])
    assert "nor an .npz file" in refusal(path)


def test_a_zip_version_from_the_future(npz):
    path = npz()
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 255
    path.write_bytes(content)
    assert "nor an .npz file: zip file version" in refusal(path)


def test_unreadable_npz(npz, monkeypatch):
    path = npz()

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nnkit.data.npz.open_file", refuse)
    assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_more_than_half_of_the_free_memory_is_refused_with_both_numbers(npz, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 100)
    assert refusal(npz()).endswith(
        "x_train: its header says uint8 of shape (6, 3, 4): that takes 72 bytes, more than half "
        "of the 100 bytes of memory that are free; use fewer or smaller images"
    )


def test_a_header_that_claims_petabytes(npz, tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": (2**50,)}
    )
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(npz()) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, buffer.getvalue() if name == "x_train.npy" else source.read(name))
    assert "x_train: its header says uint8 of shape (1125899906842624,)" in refusal(path)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)
@given(st.data())
def test_a_mutated_npz_is_read_or_refused(npz, data):
    path = npz()
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        dataset = load(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert len(dataset.x_train) == len(dataset.t_train)


def test_an_unknown_name_lists_the_known_ones_and_suggests_one():
    message = refusal("fashion_mnist")
    assert message == (
        "'fashion_mnist' is no data set and no path (did you mean fashion-mnist?); choose mnist, "
        "fashion-mnist, digits, cifar10, emnist-letters, emnist-digits, emnist-balanced, "
        "emnist-byclass, emnist-bymerge, emnist-mnist, a folder with a folder of images for each "
        "class or with IDX files, an .npz file, or a table (.csv or .parquet)"
    )


@pytest.mark.parametrize("name", ["", "no/such/path.npz"])
def test_no_such_path(name):
    assert refusal(name).startswith(f"{name!r} is no data set and no path; choose mnist, ")


def test_a_path_object_is_never_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(Path("digits")).startswith("'digits' is no data set and no path")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").endswith("is not an ordinary file")
