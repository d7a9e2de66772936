"""Reading .npz files: damage that NumPy would not see, names and labels as people have them."""

import io
import zipfile

import numpy as np
import pytest

from nnkit.data import DataError, load

X = np.random.default_rng(0).integers(0, 256, (15, 3, 4), np.uint8)
T = np.arange(15) % 3
FOUR = {"x_train": X[:9], "t_train": T[:9], "x_test": X[9:], "t_test": T[9:]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def refusal(path):
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def npy(array, **changes):
    file = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape, **changes}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def write(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)


# ---------------------------------------------------------------------- damage


def test_a_header_that_claims_less_than_there_is(path):
    """NumPy reads one label for each image, and never compares the checksum."""
    x, t = np.zeros((3000, 1), np.uint8), np.arange(9000) % 3
    np.savez(path, x_train=x, t_train=t, x_test=x, t_test=t[:3000])
    content = path.read_bytes()
    at = content.index(b"(9000,)", content.index(b"t_train.npy"))
    path.write_bytes(content[:at] + b"(3000,)" + content[at + 7 :])
    with np.load(path) as archive:
        assert len(archive["t_train"]) == 3000
    assert refusal(path).endswith(
        "t_train: its header says int64 of shape (3000,), 24,000 bytes, but more follow"
    )


@pytest.mark.parametrize("names", [FOUR, {"x": X, "y": T}], ids=["four", "two"])
def test_no_flipped_bit_gives_other_arrays(path, names):
    np.savez(path, **names)
    want, content = load(path), path.read_bytes()
    for place in range(0, len(content), 13):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            got = load(path)
        except DataError:
            continue
        for role in FOUR:
            np.testing.assert_array_equal(getattr(got, role), getattr(want, role))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_wrong_checksum(path, save):
    save(path, **FOUR)
    content = bytearray(path.read_bytes())
    entry = content.index(b"t_test.npy", content.index(b"PK\x01\x02")) - 46
    content[entry + 16] ^= 1
    path.write_bytes(content)
    assert "t_test: cannot be read: Bad CRC-32" in refusal(path)


def test_a_member_lost_from_the_list_is_not_taken_for_one_that_never_was(path):
    """Without x_test and t_test a data set would be split."""
    np.savez(path, **FOUR)
    content = bytearray(path.read_bytes())
    entry = content.index(b"t_train.npy", content.index(b"PK\x01\x02")) - 46
    content[entry + 32 : entry + 34] = (2 * 46 + len("x_test.npyt_test.npy")).to_bytes(2, "little")
    path.write_bytes(content)
    assert refusal(path) == f"{path}: is damaged: there is more in it than it lists"


def test_a_member_counts_under_its_full_name(path):
    """`numpy.load` takes the wrong one of these."""
    members = [("t_train", npy(T[9:])), *((f"{k}.npy", npy(v)) for k, v in FOUR.items())]
    write(path, members)
    np.testing.assert_array_equal(load(path).t_train, T[:9])
    write(path, [(name.removesuffix(".npy"), content) for name, content in members[1:]])
    assert "lacks x_train, t_train, x_test, t_test, and holds nothing" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice(path):
    write(path, [("x.npy", npy(X)), ("y.npy", npy(T)), ("y.npy", npy(T[::-1]))])
    assert refusal(path) == f"{path}: has y.npy twice; save it anew with np.savez"


def test_objects_are_refused_unread(path):
    np.savez(path, x=X, y=np.array([print, 1, "a"], object))
    message = refusal(path)
    assert "y: holds Python objects, which nnkit does not read, as that can run code" in message
    assert '.astype("int64"), .astype(str)' in message


def test_a_kind_of_packing_that_could_take_any_memory(path):
    write(path, [("x.npy", npy(X)), ("y.npy", npy(T))], compression=zipfile.ZIP_LZMA)
    assert "compressed in a way that NumPy does not write" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY\x01\0\xff\xff", b"\x93NUMPY\x09\0" + bytes(50), npy(T, shape=(-15,))],
)
def test_a_member_that_is_no_array(path, content):
    write(path, [("x.npy", npy(X)), ("y.npy", content)])
    assert "y: cannot be read: " in refusal(path)


def test_what_a_terminal_would_obey_is_written_out(tmp_path):
    path = tmp_path / "a\x1b[2J\n\u202e.npz"
    write(path, [("x\x1b]0;\x07.npy", npy(X))])
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value).isprintable()
    assert r"a\x1b[2J\n\u202e.npz: lacks" in str(caught.value)
    assert r"and holds x\x1b]0;\x07;" in str(caught.value)


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "names",
    [
        "x_train y_train x_test y_test",
        "X_train y_train X_test y_test",
        "train_images train_labels test_images test_labels",
    ],
)
def test_names_that_others_give(path, names):
    np.savez(path, **dict(zip(names.split(), FOUR.values(), strict=True)))
    data = load(path)
    np.testing.assert_array_equal(data.x_test, X[9:].reshape(6, 12))
    np.testing.assert_array_equal(data.t_train, T[:9])
    assert data.note == ""


def test_arrays_that_are_not_used_are_named(path):
    np.savez(path, **FOUR, val_images=X, val_labels=T)
    assert "3 classes; val_images, val_labels not used)" in repr(load(path))


def test_two_names_for_the_same(path):
    np.savez(path, **FOUR, y_train=T[:9])
    assert refusal(path) == f"{path}: t_train and y_train could each be t_train; keep one"


def test_arrays_without_names(path):
    np.savez(path, X, T)
    assert refusal(path) == (
        f"{path}: lacks x_train, t_train, x_test, t_test, and holds arr_0, arr_1; save it with "
        "np.savez(path, x_train=..., t_train=..., x_test=..., t_test=...), or without the last two"
    )


@pytest.mark.parametrize(
    ("dtype", "largest", "remedy"),
    [
        ("int64", 255, 'convert them with .astype("uint8")'),
        ("uint16", 65535, 'convert 16 bits a pixel to 8 with (x // 257).astype("uint8")'),
        ("int32", 300, 'they reach from 0 to 300: divide them, x.astype("float32") / ...'),
    ],
)
def test_the_advice_for_other_dtypes_keeps_the_pixels(path, dtype, largest, remedy):
    x = np.zeros((4, 2, 2), dtype)
    x[0, 0, 0] = largest
    np.savez(path, x_train=x, t_train=T[:4], x_test=x, t_test=T[:4])
    assert refusal(path).endswith(f"images are uint8 (0..255) or float, not {dtype}; {remedy}")


# ---------------------------------------------------------------------- held out


@pytest.mark.parametrize("names", ["x_train y_train", "x t", "X y", "images labels", "data target"])
def test_without_images_to_test_with_a_fifth_of_each_class_is_held_out(path, names):
    x, t = np.arange(110, dtype=np.uint8)[:, None], np.repeat([0, 1, 2], [100, 9, 1])
    np.savez(path, **dict(zip(names.split(), (x, t), strict=True)))
    data = load(path)
    assert np.bincount(data.t_test, minlength=3).tolist() == [20, 1, 0]
    assert np.bincount(data.t_train).tolist() == [80, 8, 1]
    together = np.concatenate([data.x_train, data.x_test])[:, 0]
    assert sorted(together) == list(range(110))
    assert "1 in 5 of each class held out for testing" in repr(data)
    np.testing.assert_array_equal(load(path).x_test, data.x_test)
    assert (load(path, seed=1).x_test != data.x_test).any()
    # The same everywhere and for ever: a run may be resumed elsewhere.
    assert data.x_test[:5, 0].tolist() == [7, 8, 10, 21, 27]


def test_nothing_to_hold_out(path):
    np.savez(path, x=X[:3], y=T[:3])
    assert "no class has two images" in refusal(path)


def test_half_of_what_is_needed_to_test(path):
    np.savez(path, x_train=X, t_train=T, x_test=X)
    assert "lacks t_test, and holds x_train, t_train, x_test" in refusal(path)


# ---------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels",
    [T.astype(float), T[:, None], np.eye(3)[T], np.eye(3, dtype=bool)[T], T.astype(">u2")],
    ids=["float", "column", "one-hot", "bool one-hot", "big-endian"],
)
def test_labels_of_many_kinds(path, labels):
    np.savez(path, x_train=X, y_train=labels, x_test=X, y_test=T)
    data = load(path)
    np.testing.assert_array_equal(data.t_train, T)
    assert data.t_train.dtype == np.int64
    assert data.n_classes == 3


def test_one_hot_rows_say_how_many_classes_there_are(path):
    np.savez(path, x_train=X, y_train=np.eye(5)[T], x_test=X, y_test=T)
    assert load(path).n_classes == 5


def test_yes_and_no(path):
    np.savez(path, x_train=X, y_train=T > 0, x_test=X, y_test=T > 0)
    np.testing.assert_array_equal(load(path).t_train, T > 0)


@pytest.mark.parametrize("kind", ["U", "S"])
def test_text_names_the_classes(path, kind):
    names = np.array(["cat", "dog", "ant"])
    np.savez(path, x_train=X, y_train=names[T].astype(kind), x_test=X[:2], y_test=names[:2])
    data = load(path)
    assert data.class_names == ("ant", "cat", "dog")
    np.testing.assert_array_equal(data.t_train, (T + 1) % 3)
    np.testing.assert_array_equal(data.t_test, [1, 2])


def test_numbers_written_as_text_are_in_order_of_value(path):
    np.savez(path, x=X, y=np.array(["9", "10", "100"])[T])
    assert load(path).class_names == ("9", "10", "100")


def test_numbers_and_text(path):
    np.savez(path, x_train=X, y_train=T.astype(str), x_test=X, y_test=T)
    assert refusal(path) == (
        f"{path}: y_test has numbers, but {path}: y_train has text: convert both alike, with "
        ".astype(str)"
    )
