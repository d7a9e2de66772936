"""Augmentation in training: which pictures a network sees, however a run is carried out."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit import augment
from nnkit.augment import Crop, Cutout, Flip, Rotate, Scale, Shift
from nnkit.training import streaming

ALL = [Shift(1), Flip(), Rotate(20), Scale(0.2), Cutout(2)]


class Watch(nnkit.Layer):
    """Keeps what it is given in training."""

    def __init__(self):
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(np.array(self.backend.to_numpy(x)))
        return x

    def backward(self, dy):
        return dy


@pytest.fixture
def data(rng):
    return rng.integers(0, 256, (22, 6, 5)).astype(np.uint8), rng.integers(0, 3, 22)


def network(backend, *first, seed=3, dtype="float32"):
    layers = nnkit.Flatten(), nnkit.Linear(30, 3)
    return nnkit.Sequential(*first, *layers, seed=seed, backend=backend, dtype=dtype)


def trained(backend, data, *first, epochs=3, **options):
    trainer = nnkit.Trainer(network(backend, *first))
    trainer.fit(*data, epochs, 8, **{"augment": ALL, **options})
    return trainer


def result(trainer):
    values = trainer.model.backend.to_numpy(trainer.model.flat.values)
    return np.array(values).tobytes(), trainer.history.step_loss


# ---------------------------------------------------------------------- what a network sees


def test_batches_are_those_of_apply(backend, data):
    """In each step other ones, of the examples in their order; bytes are 0..1 then."""
    x, _ = data
    watch = Watch()
    trained(backend, data, watch, epochs=2, compile=False, shuffle=False)
    assert [len(batch) for batch in watch.seen] == [8, 8, 6] * 2
    for step, batch in enumerate(watch.seen):
        rows = x[(step % 3) * 8 :][: len(batch)]
        want = augment.apply(rows, ALL, seed=3, step=step)
        np.testing.assert_allclose(batch, want, atol=1e-6)
        assert batch.std() > 0.1
    assert not np.array_equal(watch.seen[0], watch.seen[3])


def test_the_seed_decides(backend, data):
    seen = {}
    for name, seed in (("model's", None), ("same", 3), ("other", 4)):
        watch = Watch()
        trained(backend, data, watch, epochs=1, seed=seed, compile=False, shuffle=False)
        seen[name] = b"".join(batch.tobytes() for batch in watch.seen)
    assert seen["model's"] == seen["same"] != seen["other"]


def test_only_training_is_changed(backend, data, monkeypatch):
    changed = []
    operation = type(backend).augment
    monkeypatch.setattr(
        type(backend), "augment", lambda *given: changed.append(1) or operation(*given)
    )
    trainer = trained(backend, data, epochs=1, validation_data=data, compile=False)
    assert len(changed) == 3
    trainer.predict(data[0])
    found = trainer.evaluate(*data)["loss"]
    np.testing.assert_allclose(found, trainer.history.val_loss[-1], rtol=1e-6)
    assert len(changed) == 3
    nnkit.Trainer(network(backend)).fit(*data, 1, 8, compile=False)
    assert len(changed) == 3


def test_images_with_channels(backend, rng):
    x, t = rng.random((9, 4, 5, 3)).astype("f4"), rng.integers(0, 3, 9)
    watch = Watch()
    model = nnkit.Sequential(watch, nnkit.Flatten(), nnkit.Linear(60, 3), seed=1, backend=backend)
    nnkit.Trainer(model).fit(x, t, 1, 9, shuffle=False, augment=ALL, compile=False)
    np.testing.assert_allclose(watch.seen[0], augment.apply(x, ALL, seed=1), atol=1e-6)


# ---------------------------------------------------------------------- however it is carried out


@pytest.mark.parametrize("accumulate", [1, 2])
def test_captured_is_the_same_bit_for_bit(backend, data, captures, accumulate):
    plain = trained(backend, data, accumulate=accumulate, compile=False)
    assert not captures
    captured = trained(backend, data, accumulate=accumulate)
    assert captures
    assert result(captured) == result(plain)
    assert result(captured) != result(trained(backend, data, accumulate=accumulate, augment=None))


def test_each_picture_of_short_epochs_is_another(backend, rng):
    """Several of which are carried out in one go."""

    class Look(nnkit.Callback):
        def on_step_end(self, trainer):
            assert trainer.progress.step <= 2

    data = rng.random((16, 6, 5)).astype("f4"), rng.integers(0, 3, 16)
    together = trained(backend, data, epochs=9)
    apart = trained(backend, data, epochs=9, callbacks=[Look()])
    assert result(together) == result(apart)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(threads, rng, monkeypatch):
    pytest.importorskip("numba")
    data = rng.random((640, 28, 28)).astype("f4"), rng.integers(0, 3, 640)
    backend = nnkit.get_backend("numba")

    def run():
        layers = nnkit.Flatten(), nnkit.Linear(784, 3)
        trainer = nnkit.Trainer(nnkit.Sequential(*layers, seed=1, backend=backend))
        trainer.fit(*data, 2, 128, augment=ALL)
        return result(trainer)

    want = run()
    monkeypatch.setattr(backend, "threads", threads)
    assert run() == want


def test_streamed_data(backend, data, monkeypatch):
    want = result(trained(backend, data))
    monkeypatch.setattr(backend, "room", lambda: 0, raising=False)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 10 * 30)
    assert result(trained(backend, data)) == want


def test_dropout_is_what_it_would_be_without(backend, data):
    """The two draw from keys and counters of their own."""
    drops = []
    for augmented in (None, Shift(1)):
        dropout, watch = nnkit.Dropout(0.5), Watch()
        ones = np.ones_like(data[0], "f4"), data[1]
        trained(backend, ones, dropout, watch, augment=augmented, compile=False, shuffle=False)
        drops.append([batch != 0 for batch in watch.seen])
    for without, with_shift in zip(*drops, strict=True):
        assert not (with_shift & ~without).any()
        assert with_shift.sum() > 0.5 * without.sum()


# ---------------------------------------------------------------------- going on


class Stop(nnkit.Callback):
    def on_step_end(self, trainer):
        trainer.stop = len(trainer.history) == 1 and trainer.progress.step == 2


@pytest.mark.parametrize("how", ["file", "copy", "pickle"])
def test_resuming_draws_the_same_pictures(backend, data, tmp_path, how):
    want = result(trained(backend, data))
    trainer = trained(backend, data, callbacks=[Stop()])
    if how == "file":
        trainer.save(tmp_path / "run.safetensors")
        trainer = nnkit.Trainer.load(tmp_path / "run.safetensors", backend)
    elif how == "copy":
        trainer = copy.deepcopy(trainer)
    elif backend.name == "cupy":
        pytest.skip("a pickle finds a backend by its name")
    else:
        trainer = pickle.loads(pickle.dumps(trainer))
    assert trainer.augment == tuple(ALL)
    trainer.resume(*data)
    assert result(trainer) == want


def test_another_augmentation_for_the_rest_of_a_run(data):
    trainer = trained("numpy", data, callbacks=[Stop()], augment=None)
    trainer.augment = [Shift(1)]
    assert trainer.augment == (Shift(1),)
    trainer.resume(*data)
    with pytest.raises(TypeError, match=r"^augment must be such as nnkit.augment.Shift\(2\)"):
        trainer.augment = 3


def test_a_second_fit_forgets_the_augmentation(data):
    trainer = trained("numpy", data)
    trainer.fit(*data, 1, 8)
    assert trainer.augment == ()


def test_files_from_before(data, tmp_path, monkeypatch):
    """They do not say whether pictures are changed: they are not."""
    trainer = trained("numpy", data, augment=None)
    write = nnkit.checkpoint.write

    def without(path, tensors, config, extra):
        config.pop("augment")
        write(path, tensors, config, extra)

    monkeypatch.setattr(nnkit.checkpoint, "write", without)
    trainer.save(tmp_path / "old.safetensors")
    assert nnkit.Trainer.load(tmp_path / "old.safetensors", "numpy").augment == ()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (3, "augment cannot be 3"),
        ([3], "augment cannot have 3"),
        ([{"class": "Linear"}], "augment cannot have {'class': 'Linear'}"),
        ([{"class": ["Shift"]}], "augment cannot have {'class': ['Shift']}"),
        ([{"class": "Shift"}], "Shift has no pixels"),
        ([{"class": "Shift", "pixels": "2"}], "Shift: pixels cannot be '2'"),
        ([{"class": "Shift", "pixels": 0}], "Shift: pixels must be an integer of at"),
        ([{"class": "Shift", "pixels": 2, "a": 1}], "Shift knows no 'a'"),
        ([{"class": "Shift", "pixels": 2}, {"class": "Crop", "padding": 2}], "the same change"),
        ([{"class": "Rotate", "degrees": float("nan")}], "Rotate: degrees must be above 0"),
    ],
)  # fmt: skip
def test_damaged_files(data, tmp_path, monkeypatch, said, message):
    monkeypatch.setattr(augment, "config", lambda _: said)
    path = tmp_path / "run.safetensors"
    trained("numpy", data).save(path)
    monkeypatch.undo()
    with pytest.raises(nnkit.CheckpointError) as caught:
        nnkit.Trainer.load(path, "numpy")
    assert message in str(caught.value)


def test_a_run_that_no_longer_fits_its_images(data, tmp_path, monkeypatch):
    """A number that no kernel could follow is refused before one is called."""
    monkeypatch.setattr(augment, "config", lambda _: [{"class": "Shift", "pixels": 2**40}])
    path = tmp_path / "run.safetensors"
    trained("numpy", data).save(path)
    with pytest.raises(ValueError, match=r"^Shift\(pixels=1099511627776\) can leave nothing"):
        nnkit.Trainer.load(path, "numpy").resume(*data, epochs=9)


def test_replaced_in_the_middle_of_a_run(data):
    class Replace(nnkit.Callback):
        def on_step_end(self, trainer):
            trainer.augment = (Flip(),)

    with pytest.raises(RuntimeError, match=r"^trainer.augment was replaced in the middle of a run"):
        trained("numpy", data, callbacks=[Replace()])


# ---------------------------------------------------------------------- what is given


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (Shift, TypeError, "augment must be such as nnkit.augment.Shift(2), or a list of such, not "
         "the class Shift: write Shift()"),
        ("shift", TypeError, "augment must be such as nnkit.augment.Shift(2), or a list of such, "
         "not 'shift'"),
        ([Shift(2), 3], TypeError, "augment must be such as nnkit.augment.Shift(2), or a list of "
         "such, not 3"),
        ([Shift(2), Crop(1)], ValueError, "Shift(pixels=2) and Crop(padding=1) are the same "
         "change: give one of them"),
        (Shift(5), ValueError, "Shift(pixels=5) can leave nothing of images of 6x5 pixels: it must "
         "be less than 5"),
        ([Flip(), Cutout(7)], ValueError, "Cutout(size=7) can leave nothing of images of 6x5 "
         "pixels: it must be less than 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(data, given, error, message):
    trainer = nnkit.Trainer(network("numpy"))
    with pytest.raises(error) as caught:
        trainer.fit(*data, augment=given)
    assert str(caught.value) == message
    assert trainer.progress is None


@pytest.mark.parametrize(
    ("shape", "example"),
    [((784,), "28, 28"), ((30,), "height, width"), ((2, 3, 4, 5), "height, width")],
)
def test_what_is_no_image(shape, example):
    layers = nnkit.Flatten(), nnkit.Linear(int(np.prod(shape)), 2)
    trainer = nnkit.Trainer(nnkit.Sequential(*layers, backend="numpy"))
    with pytest.raises(ValueError) as caught:
        trainer.fit(np.zeros((4, *shape)), np.zeros(4, int), augment=Flip())
    assert str(caught.value) == (
        "augment takes images, (n, height, width) or (n, height, width, channels), but x has "
        f"shape {(4, *shape)}: give x.reshape(-1, {example}), to a model that begins with "
        f"Flatten(), or have it begin with Image({example})"
    )


def test_rows_of_pixels_before_an_image_layer(backend):
    x, t = np.random.default_rng(0).random((8, 36), np.float32), np.arange(8) % 2
    seen = []
    for given in (x, x.reshape(8, 6, 6)):
        layers = nnkit.Image(6, 6), nnkit.Conv2d(1, 2, 3), nnkit.Flatten(), nnkit.Linear(32, 2)
        model = nnkit.Sequential(*layers, seed=1, backend=backend)
        nnkit.Trainer(model).fit(given, t, 2, 4, augment=[Shift(1), Rotate(20)])
        seen.append(model.state()["3.weight"])
    np.testing.assert_array_equal(*seen)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Shift(0), ValueError, "Shift: pixels must be an integer of at least 1, not 0"),
        (lambda: Crop(1.5), ValueError, "Crop: padding must be an integer of at least 1, not 1.5"),
        (lambda: Flip(0), ValueError, "Flip: p must be above 0 and at most 1, not 0"),
        (lambda: Rotate(181), ValueError, "Rotate: degrees must be above 0 and at most 180, not "
         "181"),
        (lambda: Scale("x"), TypeError, "Scale: share must be a number that is above 0 and at most "
         "0.9, not 'x'"),
        (lambda: Cutout(-3), ValueError, "Cutout: size must be an integer of at least 1, not -3"),
        (lambda: Shift(pixel=2), TypeError, "Shift got an unexpected keyword argument 'pixel' (it "
         "takes pixels): did you mean pixels?"),
    ],
)  # fmt: skip
def test_options(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_values():
    assert repr(ALL) == (
        "[Shift(pixels=1), Flip(p=0.5), Rotate(degrees=20.0), Scale(share=0.2), Cutout(size=2)]"
    )
    assert Shift(np.int32(2)) == Shift(2) != Crop(2)
    with pytest.raises(AttributeError):
        Shift(2).pixels = 3


def test_the_guide_lists_all():
    """With their options, and what is written on the command line for them."""
    page = (Path(__file__).parents[1] / "docs/data.md").read_text("utf-8")
    rows = re.findall(r"^\| `([A-Z]\w+)\((.*?)\)` \| .* \| (`.*`) \|$", page, re.M)
    assert [name for name, *_ in rows] == [*augment.AUGMENTATIONS]
    for name, options, written in rows:
        cls = augment.AUGMENTATIONS[name]
        assert str(inspect.signature(cls)).partition(":")[0] == f"({options.partition('=')[0]}"
        for text in re.findall(r"`(.*?)`", written):
            pytest.importorskip("click")
            (read,) = importlib.import_module("nnkit.cli.augmenting").read(None, None, text)
            assert type(read) is cls


# ---------------------------------------------------------------------- to look at


def test_apply(rng):
    x = rng.random((4, 6, 6))
    assert augment.apply(x, Flip(1)).tolist() == x[:, :, ::-1].tolist()
    assert augment.apply(x, Crop(2)).tolist() == augment.apply(x, [Shift(2)]).tolist()
    assert augment.apply(x, ALL, seed=1).tolist() == augment.apply(x, ALL[::-1], seed=1).tolist()
    assert augment.apply(x, ALL, seed=1).tolist() != augment.apply(x, ALL, seed=2).tolist()
    assert augment.apply(x, ALL, step=1).tolist() != augment.apply(x, ALL, step=2).tolist()
    assert augment.apply(x, []).tolist() == x.tolist()
    assert augment.apply(x, Flip()).dtype == np.float64
    white = augment.apply(np.full((1, 2, 2), 255, np.uint8), Flip())
    assert (white.dtype, white.tolist()) == (np.dtype("f4"), [[[1, 1], [1, 1]]])
    assert augment.apply(np.ones((1, 2, 2), np.int64), Flip()).dtype == np.float32


def test_a_turned_picture_is_learned():
    """Of bars that lie in training and stand in testing, those that were turned tell."""
    rng = np.random.default_rng(0)
    t = np.arange(200) % 2
    lying = np.zeros((200, 9, 9), np.float32)
    for i, kind in enumerate(t):  # long or short
        half = (4, 1)[kind]
        lying[i, rng.integers(3, 6), 4 - half : 5 + half] = 1
    standing = lying.transpose(0, 2, 1)
    right = {}
    for name, changes in (("plain", None), ("turned", Rotate(90))):
        layers = nnkit.Flatten(), nnkit.Linear(81, 32), nnkit.ReLU(), nnkit.Linear(32, 2)
        trainer = nnkit.Trainer(nnkit.Sequential(*layers, seed=0, backend="numpy"))
        trainer.fit(lying, t, 20, augment=changes)
        right[name] = trainer.evaluate(standing, t)["accuracy"]
    assert right["turned"] > 0.95 > right["plain"]
