"""EMNIST's data sets by name, in files made in the format that they were published in."""

import gzip
import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from nnkit.cli import cli
from nnkit.data import DataError, available, catalogue, load, places
from nnkit.data.emnist import CLASSES
from nnkit.data.emnist_published import ARCHIVE, EMNIST
from tests.mirrors import serving

KINDS = {"letters": 26, "digits": 10, "balanced": 47, "byclass": 62, "bymerge": 47, "mnist": 10}
PER_CLASS = {"train": 2, "test": 1}


def arrays(kind, part):
    """Upright images and class numbers from 0."""
    labels = np.arange(KINDS[kind] * PER_CLASS[part]) % KINDS[kind]
    images = np.random.default_rng(KINDS[kind]).integers(0, 256, (len(labels), 28, 28), np.uint8)
    return images, labels


def encode(array):
    shape = np.array(array.shape, dtype=">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def contents(*kinds):
    """Images lie on their sides in these files, and letters count from 1."""
    files = {}
    for kind in kinds:
        for part in PER_CLASS:
            images, labels = arrays(kind, part)
            start, first = f"emnist-{kind}-{part}", int(kind == "letters")
            sideways = encode(images.transpose(0, 2, 1))
            files[f"{start}-images-idx3-ubyte.gz"] = gzip.compress(sideways, 1)
            files[f"{start}-labels-idx1-ubyte.gz"] = gzip.compress(encode(labels + first))
    return files


def packed(files):
    """The archive, in which all lie in a folder, with mapping files beside them."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("gzip/", b"")
        for name, content in {**files, "emnist-letters-mapping.txt": b"1 65 97\n"}.items():
            file.writestr(f"gzip/{name}", content)
    return archive.getvalue()


def place(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache folder and a data folder of its own, and no proxy."""
    monkeypatch.setattr(places, "user_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "nnkit" / "emnist"


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def publish(monkeypatch):
    """Let an archive, and three images of each class, be what was published."""

    def publish(content=b"", *mirrors):
        sha256 = hashlib.sha256(content).hexdigest()
        archive = replace(ARCHIVE, sha256=sha256, mirrors=mirrors)
        for kind, classes in KINDS.items():
            numbers = {f"n_{part}": classes * n for part, n in PER_CLASS.items()}
            small = replace(EMNIST[f"emnist-{kind}"], archive=archive, **numbers)
            monkeypatch.setitem(catalogue.KNOWN, small.name, small)
        return content

    publish()
    return publish


def assert_is_complete(dataset, kind):
    for part in PER_CLASS:
        images, labels = arrays(kind, part)
        x, t = getattr(dataset, f"x_{part}"), getattr(dataset, f"t_{part}")
        np.testing.assert_array_equal(x, images.reshape(-1, 784))
        np.testing.assert_array_equal(t, labels)
        assert (x.dtype, t.dtype) == (np.uint8, np.int64)
        assert x.flags.c_contiguous
    assert dataset.name == f"emnist-{kind}"
    assert dataset.image_shape == (28, 28)
    assert dataset.class_names == tuple(CLASSES[kind])
    assert dataset.n_classes == KINDS[kind]
    assert (dataset.preparation, dataset.note) == ("mnist", "")


def refusal(name):
    with pytest.raises(DataError) as caught:
        load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def location(name):
    return next(info.location for info in available() if info.name == name)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_read_out_of_the_archive(publish, data_dir, kind):
    place(data_dir / "emnist", {ARCHIVE.name: publish(packed(contents(*KINDS)))})
    assert_is_complete(load(f"emnist-{kind}"), kind)
    assert location(f"emnist-{kind}") == data_dir / "emnist" / ARCHIVE.name
    assert [path.name for path in data_dir.rglob("*")] == ["emnist", ARCHIVE.name]


@pytest.mark.parametrize("folder", ["emnist-letters", "emnist", "emnist/gzip"])
def test_four_unpacked_files(publish, data_dir, folder):
    kinds = ["letters"] if folder == "emnist-letters" else ["letters", "digits"]
    at = place(data_dir / folder, contents(*kinds))
    assert_is_complete(load("emnist-letters"), "letters")
    assert location("emnist-letters") == at
    assert location("emnist-balanced") is None
    (at / "emnist-letters-test-labels-idx1-ubyte.gz").unlink()
    assert refusal("emnist-letters").startswith(f"{at}: lacks t10k-labels or test-labels*")


def test_letters_are_from_a_to_z_and_their_labels_from_0(publish, data_dir):
    """As losses and class names need them; the files count from 1, as A is 1 in them."""
    place(data_dir / "emnist", contents("letters"))
    letters = load("emnist-letters")
    assert letters.t_train.min() == 0
    assert letters.class_names[letters.t_train[0]] == "A"
    assert letters.class_names[letters.t_train.max()] == "Z"
    files = contents("letters")
    name = "emnist-letters-test-labels-idx1-ubyte.gz"
    place(data_dir / "emnist", {**files, name: gzip.compress(encode(np.arange(26)))})
    assert "label -1.0 of image 0 is no class number" in refusal("emnist-letters")
    place(data_dir / "emnist", {**files, name: gzip.compress(encode(np.arange(26) + 2))})
    assert "its labels name 27 classes, but emnist-letters has 26" in refusal("emnist-letters")


def test_files_with_other_numbers_of_images_are_not_the_published_ones(data_dir):
    folder = place(data_dir / "emnist", contents("digits"))
    assert refusal("emnist-digits") == (
        f"{folder}: not the published emnist-digits: it has 20 + 10 images, not 240,000 + 40,000 "
        "of 28x28; get it again"
    )


def test_an_archive_that_is_not_the_published_one(publish, data_dir):
    folder = place(data_dir / "emnist", {ARCHIVE.name: packed(contents("digits"))})
    assert refusal("emnist-digits").startswith(
        f"{folder / ARCHIVE.name}: not the published {ARCHIVE.name}: its SHA-256 is "
    )
    publish((folder / ARCHIVE.name).read_bytes())
    assert_is_complete(load("emnist-digits"), "digits")
    assert refusal("emnist-letters") == (
        f"{folder / ARCHIVE.name}: lacks emnist-letters-train-images-idx3-ubyte.gz; get it again"
    )
    place(folder, {ARCHIVE.name: publish(b"no zip file")})
    assert refusal("emnist-digits") == (
        f"{folder / ARCHIVE.name}: cannot be read: File is not a zip file"
    )


def test_one_download_is_for_all(publish, cache):
    with serving() as server:
        mirror = server.mirror("good", {})
        server.mirror("good", {ARCHIVE.name: publish(packed(contents("digits", "mnist")), mirror)})
        assert_is_complete(load("emnist-digits"), "digits")
        assert_is_complete(load("emnist-mnist"), "mnist")
        assert server.downloads() == [f"/good/{ARCHIVE.name}"]
        assert [entry.name for entry in cache.iterdir()] == [ARCHIVE.name]


def test_where_it_cannot_be_downloaded(publish, cache):
    with serving() as server:
        publish(b"", mirror := server.mirror("empty", {}))
        assert refusal("emnist-letters") == (
            f"emnist-letters is not on this machine and cannot be downloaded: {mirror} "
            f"({ARCHIVE.name}: HTTP 404 Not Found). To place it by hand, put {ARCHIVE.name} into "
            f"{cache} or into $NNKIT_DATA_DIR/emnist"
        )


def test_trained_by_its_name(publish, data_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setattr(
        "nnkit.cli.fitting.learning_curves", lambda history, path, **_: path.touch()
    )
    place(data_dir / "emnist-letters", contents("letters"))
    done = CliRunner().invoke(cli, ["train", "emnist-letters", "--epochs", "1", "--hidden", "8"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "emnist-letters: 52 training and 26 test images of 28x28, 26 classes" in done.stdout
    done = CliRunner().invoke(cli, ["evaluate", "runs/emnist-letters", "--json"])
    assert [row["class"] for row in json.loads(done.stdout)["classes"]] == [*CLASSES["letters"]]


def test_what_was_published():
    assert re.fullmatch("[0-9a-f]{64}", ARCHIVE.sha256)
    for mirror in ARCHIVE.mirrors:
        assert re.fullmatch(r"https://\S+/", mirror)
    assert {name: len(CLASSES[dataset.kind]) for name, dataset in EMNIST.items()} == {
        f"emnist-{kind}": classes for kind, classes in KINDS.items()
    }
    for dataset in EMNIST.values():  # all but the two that follow how often letters are written
        if dataset.kind not in ("byclass", "bymerge"):
            assert dataset.n_train % KINDS[dataset.kind] == 0
            assert dataset.n_test % KINDS[dataset.kind] == 0
