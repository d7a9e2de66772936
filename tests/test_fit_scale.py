"""What is scaled on its way into a network, and that the network remembers it."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

import nnkit
from nnkit.checkpoint import CheckpointError
from nnkit.layers.inputs import Inputs

N = 40


def network(features, backend="numpy", **options):
    return nnkit.Sequential(nnkit.Linear(features, 2), seed=0, backend=backend, **options)


def fitted(x, backend="numpy", **options):
    model = nnkit.Sequential(nnkit.Flatten(), *network(x[0].size), seed=0, backend=backend)
    trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(1e-4))
    trainer.fit(x, np.arange(len(x)) % 2, 1, 8, **options)
    return trainer


def outputs(trainer, x):
    return trainer.predict_proba(x)


@pytest.fixture
def images(rng):
    x = rng.integers(0, 256, (N, 4, 4), np.uint8)
    x[0, 0, 0] = 255
    return x


def test_images_of_bytes_are_scaled_whatever_their_shape(backend, images):
    expected = outputs(fitted(images.astype("f") / np.float32(255), backend), images)
    for x in (images, images.reshape(N, 16), images[..., None]):
        trainer = fitted(x, backend)
        assert trainer.model.inputs == Inputs(bytes_scaled=True, low=0, high=1)
        np.testing.assert_allclose(outputs(trainer, x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "high"),
    [((N, 2), 2), ((N, 20), 2), ((N, 2), 256), ((N, 4, 4), 2)],
    ids=["the gates", "one-hot columns", "two columns", "black and white"],
)
def test_bytes_that_are_no_images_are_numbers(backend, rng, shape, high):
    x = rng.integers(0, high, shape, np.uint8)
    bytes_, reals = fitted(x, backend), fitted(x.astype("f"), backend)
    np.testing.assert_array_equal(outputs(bytes_, x), outputs(reals, x.astype("f")))
    assert bytes_.model.inputs == Inputs(bytes_scaled=False, low=x.min(), high=x.max())


def test_xor_of_bytes_is_learned(backend):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.uint8)
    layers = nnkit.Linear(2, 8), nnkit.Tanh(), nnkit.Linear(8, 2)
    model = nnkit.Sequential(*layers, seed=0, backend=backend)
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(0.05))
    trainer.fit(x, [0, 1, 1, 0], 60)
    assert trainer.predict(x).tolist() == [0, 1, 1, 0]


class TestMemory:
    """One and the same network, given the same pixels in another form."""

    def test_fitted_on_bytes_and_given_reals(self, images):
        trainer = fitted(images)
        reals = images.astype("f") / np.float32(255)
        np.testing.assert_allclose(outputs(trainer, images), outputs(trainer, reals), rtol=1e-5)

    @pytest.mark.parametrize("dtype", ["int64", "float32"])
    def test_fitted_on_unscaled_pixels_and_given_bytes(self, images, dtype):
        with pytest.warns(nnkit.DataWarning):
            trainer = fitted(images.astype(dtype))
        expected = outputs(trainer, images.astype(dtype))
        np.testing.assert_array_equal(outputs(trainer, images), expected)
        x = trainer.model.backend.to_numpy(trainer.model(images))
        np.testing.assert_array_equal(x.argmax(axis=1), expected.argmax(axis=1))

    def test_fitted_on_reals_up_to_one_and_given_bytes(self, images):
        trainer = fitted(images / 255)
        expected = outputs(trainer, images / 255)
        np.testing.assert_allclose(outputs(trainer, images), expected, rtol=1e-5)

    def test_a_dark_image_is_scaled_too(self, images):
        trainer = fitted(images)
        dark = np.ones((1, 4, 4), np.uint8)
        np.testing.assert_allclose(outputs(trainer, dark), outputs(trainer, dark / 255), rtol=1e-6)

    def test_validation_data(self, images):
        t = np.arange(N) % 2
        model = nnkit.Sequential(nnkit.Flatten(), *network(16), seed=0, backend="numpy")
        trainer = nnkit.Trainer(model)
        reals = images.astype("f") / np.float32(255)
        history = trainer.fit(images, t, 1, 8, validation_data=(reals, t))
        assert history.val_loss[0] == pytest.approx(trainer.evaluate(images, t)["loss"], rel=1e-5)

    def test_another_fit_scales_as_the_first(self, images):
        t = np.arange(N) % 2
        trainer = fitted(images)
        for x in (images, images / 255, images):
            trainer.fit(x, t, 1, 8)
            assert trainer.model.inputs == Inputs(bytes_scaled=True, low=0, high=1)

    def test_a_fit_with_a_scale_starts_anew(self, images):
        with pytest.warns(nnkit.DataWarning, match="say scale=1/255"):
            trainer = fitted(images.astype(int))
        with pytest.warns(nnkit.DataWarning, match="say scale=1/255"):
            trainer.fit(images, np.arange(N) % 2, 1, 8)
        assert trainer.model.inputs == Inputs(bytes_scaled=False, low=0, high=255)
        trainer.fit(images, np.arange(N) % 2, 1, 8, scale=1 / 255)
        assert trainer.model.inputs == Inputs(scale=1 / 255, low=0, high=1)

    @pytest.mark.parametrize("make", [np.zeros_like, np.ones_like])
    def test_a_try_on_zeros_or_ones_tells_nothing(self, images, make):
        trainer = fitted(make(images))
        assert trainer.model.inputs == Inputs()
        trainer.fit(images, np.arange(N) % 2, 1, 8)
        assert trainer.model.inputs == Inputs(bytes_scaled=True, low=0, high=1)

    def test_the_range_grows(self, rng):
        x = rng.normal(size=(N, 16))
        trainer = fitted(x)
        trainer.fit(5 * x, np.arange(N) % 2, 1, 8)
        assert trainer.model.inputs.high == pytest.approx(5 * x.max())
        trainer.predict(20 * x)

    def test_a_model_inside_has_it_too(self, images):
        encoder = nnkit.Sequential(nnkit.Flatten(), nnkit.Linear(16, 4), seed=0, backend="numpy")
        model = nnkit.Sequential(nnkit.Sequential(encoder), nnkit.Linear(4, 2), backend="numpy")
        nnkit.Trainer(model).fit(images.astype(int), np.arange(N) % 2, 1, 8, scale=1 / 255)
        np.testing.assert_array_equal(encoder(images.astype(int)), model[:1](images.astype(int)))
        other = nnkit.Sequential(encoder, nnkit.Linear(4, 3), backend="numpy")
        assert other.inputs == encoder.inputs == Inputs(scale=1 / 255, low=0, high=1)

    def test_a_refused_fit_changes_nothing(self, images):
        trainer = fitted(images)
        with pytest.raises(ValueError, match="labels must be"):
            trainer.fit(images.astype(int), np.full(N, 9), 1, 8, scale=1 / 255)
        assert trainer.model.inputs.bytes_scaled

    @pytest.mark.parametrize("scale", [None, 0.5])
    def test_copies_files_and_slices_keep_it(self, images, tmp_path, scale):
        trainer = fitted(images, scale=scale)
        model, path = trainer.model, tmp_path / "run"
        assert model.inputs != Inputs()
        trainer.save(path)
        other = nnkit.Sequential(nnkit.Flatten(), *network(16), seed=1, backend="numpy")
        other.load_weights(path)
        loaded = nnkit.Trainer.load(path, "numpy").model, nnkit.load(path, "numpy")
        copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model[:1]
        for each in (*loaded, *copies, other):
            assert each.inputs == model.inputs
        assert model[1:].inputs == Inputs()

    def test_a_resumed_run_scales_as_before(self, images):
        class Stop(nnkit.Callback):
            def on_step_end(self, trainer):
                trainer.stop = trainer.progress.step == 2

        t, results = np.arange(N) % 2, []
        for callbacks in ([], [Stop()]):
            trainer = nnkit.Trainer(network(16))
            x = images.reshape(N, 16)
            trainer.fit(x, t, 2, 8, scale=0.01, callbacks=callbacks)
            trainer.resume(x, t)
            results.append(trainer.history.step_loss)
        assert results[0] == results[1]


class TestScale:
    @pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
    def test_it_decides_whatever_the_dtype(self, backend, images, dtype):
        trainer = fitted(images.astype(dtype), backend, scale=1 / 255)
        expected = fitted(images / 255, backend)
        assert trainer.model.inputs == Inputs(scale=1 / 255, low=0, high=1)
        np.testing.assert_allclose(
            outputs(trainer, images), outputs(expected, images / 255), rtol=1e-5
        )

    def test_one_is_none(self, images):
        trainer = fitted(images, scale=1)
        assert (trainer.model.inputs.scale, trainer.model.inputs.high) == (1, 255)

    def test_it_is_kept_by_another_fit(self, images):
        trainer = fitted(images.astype(int), scale=1 / 255)
        trainer.fit(images.astype(int), np.arange(N) % 2, 1, 8)
        assert trainer.model.inputs.scale == 1 / 255

    @pytest.mark.parametrize("scale", [0, -1])
    def test_it_is_positive(self, images, scale):
        with pytest.raises(ValueError, match=f"scale must be positive, not {scale}"):
            fitted(images, scale=scale)

    def test_scalars_of_numpy_are_numbers(self, images):
        trainer = fitted(images, scale=np.float32(1 / 255), validation_split=np.float32(0.2))
        assert trainer.model.inputs.scale == float(np.float32(1 / 255))
        assert type(trainer.progress.validation_split) is float

    @pytest.mark.parametrize("scale", ["1/255", True, np.nan, np.float32(np.inf), 10**400])
    def test_it_is_a_number(self, images, scale):
        with pytest.raises(ValueError, match="scale must be a number, not"):
            fitted(images, scale=scale)


class TestLoopsByHand:
    def test_the_first_number_above_one_decides(self, images):
        model = nnkit.Sequential(nnkit.Identity(), backend="numpy", seed=0)
        dark = np.ones((2, 4, 4), np.uint8)
        assert model(dark).max() == 1
        assert model.inputs == Inputs()
        assert model(images).max() == 1
        assert model(dark).max() == np.float32(1 / 255)

    def test_numbers_that_are_no_bytes_decide_nothing(self, images):
        model = nnkit.Sequential(nnkit.Identity(), backend="numpy", seed=0)
        model(3 * np.ones((2, 4, 4)))
        model(images.astype(int))
        assert model.inputs == Inputs()
        assert model(images).max() == 1

    def test_a_fitted_model_is_not_changed(self, images):
        model = fitted(images / 255).model
        before = model.inputs
        model(images * 3.0)
        assert model.inputs == before


class TestWarnings:
    def test_pixels(self, images):
        message = (
            r"^x looks like images with pixels from 0 to 255, which networks learn badly from: "
            r"say scale=1/255 \(scale=1 if they are to be taken as they are\)$"
        )
        for dtype in ("int64", "uint16", "float32"):
            with pytest.warns(nnkit.DataWarning, match=message) as caught:
                fitted(images.astype(dtype))
            assert [each.filename for each in caught] == [__file__]

    @pytest.mark.parametrize(
        "x",
        [
            np.tile([0, 16, 3, 5.0], (N, 16)),
            np.tile([0.5, 200, 3, 5], (N, 16)),
            np.tile([-200, 200, 3, 5], (N, 16)),
            np.tile([200, 30, 1], (N, 3)),
            np.tile([1000, 200, 3, 5], (N, 16)),
        ],
        ids=["counts", "measures", "differences", "few columns", "prices"],
    )
    def test_none_of_what_is_no_pixels(self, x):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted(x)

    def test_bytes_that_are_probably_no_pixels(self, rng):
        x = rng.integers(0, 17, (N, 64), np.uint8)
        message = (
            "x is of uint8 and looks like image bytes, .* but no number is above 16: say scale"
        )
        with pytest.warns(nnkit.DataWarning, match=message):
            trainer = fitted(x)
        assert trainer.model.inputs.bytes_scaled
        x[-1, -1] = 17
        fitted(x)
        fitted(x // 2, scale=1 / 16)

    def test_none_where_scale_was_said(self, images):
        fitted(images.astype(int), scale=1)

    def test_data_far_from_those_fitted_on(self, images):
        trainer = fitted(images)
        message = (
            "x reaches from 0 to 255, but the model was fitted on numbers from 0 to 1: scale both "
            "in the same way"
        )
        with pytest.warns(nnkit.DataWarning, match=message):
            trainer.evaluate(images.astype(int), np.arange(N) % 2)
        with pytest.warns(nnkit.DataWarning, match=message):
            trainer.predict(images.astype("f"))
        with pytest.warns(nnkit.DataWarning, match="validation x reaches from 0 to 255"):
            t = np.arange(N) % 2
            trainer.fit(images, t, 1, 8, validation_data=(images.astype(int), t))

    @pytest.mark.parametrize("dtype", ["uint8", "int64"])
    def test_images_that_are_scaled_twice(self, images, dtype):
        trainer, t = fitted(images.astype(dtype), scale=1 / 255), np.arange(N) % 2
        reals = images / 255
        uses = (
            lambda: trainer.evaluate(reals, t),
            lambda: trainer.predict(reals[:1]),
            lambda: trainer.fit(reals, t, 1, 8),
        )
        for use in uses:
            with pytest.warns(nnkit.DataWarning, match=r"x reaches from .* to 0\.0039"):
                use()
        trainer.fit(reals, t, 1, 8, scale=1)
        trainer.evaluate(reals, t)

    def test_none_of_dark_images(self, images):
        trainer = fitted(images, scale=1 / 255)
        for dark in (images[:2] * 0, images[:2] // 128, images[:9] // 100):
            trainer.predict(dark)

    def test_bytes_of_zeros_and_ones_for_a_model_of_images(self, images):
        trainer = fitted(images)
        trainer.predict(images > 127)
        with pytest.warns(nnkit.DataWarning, match=r"x reaches from 0 to 0\.0039"):
            trainer.predict((images > 127).astype(np.uint8))

    @pytest.mark.parametrize("dtype", ["uint8", "int64"])
    def test_targets_that_are_not_scaled_with_x(self, images, dtype):
        x = images.astype(dtype)
        rows = x.reshape(N, 16)
        options = {} if dtype == "uint8" else {"scale": 1 / 255}

        def fit(x, t, **options):
            model = nnkit.Sequential(nnkit.Flatten(), nnkit.Linear(16, 16), backend="numpy")
            nnkit.Trainer(model, "mse", nnkit.SGD(1e-6)).fit(x, t, 1, **options)

        with pytest.warns(nnkit.DataWarning, match=r"targets are taken .* say fit\(x, t / 255\)"):
            fit(x, rows, **options)
        fit(x, rows / 255, **options)
        fit(x, rows // 128, **options)
        fit(rows / 255, rows / 255)
        fit(rows, rows, scale=1)

    def test_scaled_pixels_for_a_model_fitted_on_unscaled_ones(self, images):
        trainer = fitted(images, scale=1)
        trainer.predict(images)
        trainer.model.inputs = Inputs(bytes_scaled=False, low=0, high=255)
        with pytest.warns(nnkit.DataWarning, match="x reaches from 0 to 1, but .* from 0 to 255"):
            trainer.predict(images / 255)

    def test_none_of_outliers_and_of_single_rows(self, rng):
        x = rng.normal(size=(N, 16))
        trainer = fitted(x)
        trainer.predict(3 * x)
        trainer.predict(0 * x[:1])

    def test_none_of_rows_with_low_counts(self, rng):
        x = rng.poisson(2, (N, 16))
        x[0, 0] = 1000
        trainer = fitted(x)
        trainer.predict(x[1:])
        trainer.predict(x[1:2])

    @pytest.mark.parametrize("kind", ["standardised", "counts", "one-hot", "bytes", "reals"])
    def test_none_in_a_loop_of_fits(self, rng, images, kind):
        x = {
            "standardised": rng.normal(size=(N, 16)),
            "counts": rng.poisson(3, (N, 16)),
            "one-hot": np.eye(16, dtype=np.uint8)[rng.integers(0, 16, N)],
            "bytes": images,
            "reals": images / 255,
        }[kind]
        t = np.arange(N) % 2
        trainer = fitted(x)
        before = trainer.model.inputs
        trainer.fit(x, t, 1, 8)
        trainer.fit(x, t, 1, 8, validation_split=0.5)
        trainer.evaluate(x, t)
        trainer.predict(x[:1])
        assert trainer.model.inputs == before
        trainer.fit(x[: N // 2], t[: N // 2], 1, 8)


@pytest.mark.parametrize(
    "inputs",
    [{"scale": "much"}, {"scale": -1}, {"bytes_scaled": "yes"}, {"high": 1e999}, {"factor": 2}, 3],
)
def test_a_damaged_file(tmp_path, monkeypatch, inputs):
    model = network(2)
    monkeypatch.setattr(model, "config", lambda: {**type(model).config(model), "inputs": inputs})
    model.save(tmp_path / "model")
    for read in (nnkit.load, network(2).load_weights):
        with pytest.raises(CheckpointError, match="its model cannot be"):
            read(tmp_path / "model")
