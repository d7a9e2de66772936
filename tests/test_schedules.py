"""Learning-rate schedules: their factors, and what training makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnkit
from nnkit import schedules
from nnkit.schedules import Constant, Cosine, ExponentialDecay, OneCycle, StepDecay, Warmup


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(), [1] * 10),
        (StepDecay(3, 0.5), [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
        (  # ExponentialLR(gamma=exp(-1 / 4))
            ExponentialDecay(4),
            [
                1,
                0.778800783071,
                0.606530659713,
                0.472366552741,
                0.367879441171,
                0.28650479686,
                0.223130160148,
                0.17377394345,
                0.135335283237,
                0.105399224562,
            ],
        ),
        (
            Cosine(),
            [
                1,
                0.975528258148,
                0.904508497187,
                0.793892626146,
                0.654508497187,
                0.5,
                0.345491502813,
                0.206107373854,
                0.095491502813,
                0.024471741852,
            ],
        ),
        (
            Cosine(end=0.1),
            [
                1,
                0.977975432333,
                0.914057647469,
                0.814503363532,
                0.689057647469,
                0.55,
                0.410942352531,
                0.285496636468,
                0.185942352531,
                0.122024567667,
            ],
        ),
        (
            OneCycle(),
            [
                0.04,
                0.52,
                1,
                0.950484632013,
                0.81174565395,
                0.611262021936,
                0.388741978064,
                0.18825834605,
                0.049519367987,
                4e-06,
            ],
        ),
        (
            OneCycle(rise=0.5, divide=10, final_divide=100),
            [
                0.1,
                0.231801948466,
                0.55,
                0.868198051534,
                1,
                0.90460398869,
                0.65485398869,
                0.34614601131,
                0.09639601131,
                0.001,
            ],
        ),
        (Warmup(4), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]),  # LinearLR(1 / 4, total_iters=3)
        (
            Warmup(4, Cosine()),
            [0.25, 0.5, 0.75, 1, 1, 0.933012701892, 0.75, 0.5, 0.25, 0.066987298108],
        ),
    ],
    ids=repr,
)
def test_factors_are_those_of_pytorch(schedule, factors):
    """PyTorch 2.13.0, torch.optim.lr_scheduler, over ten updates."""
    got = [schedule(update, 10) for update in range(10)]
    np.testing.assert_allclose(got, factors, rtol=0, atol=2e-12)


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("schedule", [Cosine(), OneCycle(), Warmup(2, OneCycle())], ids=repr)
def test_short_runs(schedule, total):
    assert all(0 <= schedule(update, total) <= 1 for update in range(total))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), "StepDecay: every must be an integer of at least 1, not 0"),
        (lambda: ExponentialDecay(0), "ExponentialDecay: scale must be positive, not 0"),
        (lambda: Warmup(0), "Warmup: updates must be an integer of at least 1, not 0"),
        (lambda: OneCycle(rise=1), "OneCycle: rise must be above 0 and below 1, not 1"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(),
        StepDecay(3),
        ExponentialDecay(2.5),
        Cosine(0.1),
        OneCycle(0.2),
        Warmup(3),
        Warmup(3, Warmup(2, Cosine())),
    ],
    ids=repr,
)
def test_what_a_checkpoint_keeps(schedule):
    assert schedules.build(schedules.config(schedule)) == schedule


# ---------------------------------------------------------------------- in training


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 50)
    x = rng.normal(size=(50, 6)).astype("f")
    x[np.arange(50), t] += 3
    return x, t


def make_trainer(backend, lr=0.1, momentum=0.0):
    model = nnkit.Sequential(nnkit.Linear(6, 3), backend=backend, seed=0, dtype="float64")
    return nnkit.Trainer(model, optimizer=nnkit.SGD(lr, momentum))


def weights(trainer):
    return np.array(trainer.model.backend.to_numpy(trainer.model.flat.values))


@pytest.mark.parametrize("compile", [True, False])
def test_each_update_has_its_rate(backend, data, compile):
    """Two epochs of seven steps, the last of them smaller, as in a loop by hand."""
    schedule = OneCycle()
    trainer = make_trainer(backend)
    trainer.fit(*data, epochs=2, batch_size=8, shuffle=False, schedule=schedule, compile=compile)
    other, loss = make_trainer(backend), nnkit.SoftmaxCrossEntropy()
    x, t = data
    for update in range(14):
        rows = slice(update % 7 * 8, min(50, update % 7 * 8 + 8))
        other.optimizer.lr = 0.1 * schedule(update, 14)
        y = other.model(x[rows])
        with nnkit.use_backend(backend):
            loss(y, t[rows])
        other.model.backward(loss.backward())
        other.optimizer.step(other.model)
    np.testing.assert_allclose(weights(trainer), weights(other), rtol=1e-12)
    assert trainer.optimizer.lr == 0.1


def test_captured_or_not_is_the_same_bit_for_bit(backend, data):
    results = []
    for compile in (True, False):
        trainer = make_trainer(backend, momentum=0.9)
        trainer.fit(*data, epochs=3, batch_size=8, schedule=Warmup(5, Cosine()), compile=compile)
        results.append(weights(trainer).tobytes())
    assert results[0] == results[1]


def test_lr_may_change_under_a_schedule(backend, data):
    class Halve(nnkit.Callback):
        def on_epoch_end(self, trainer):
            trainer.optimizer.lr /= 2

    halved, plain = make_trainer(backend), make_trainer(backend)
    halved.fit(*data, 2, 8, schedule=Constant(), callbacks=[Halve()])
    plain.fit(*data, 2, 8, schedule=lambda update, total: 1.0 if update < 7 else 0.5)
    assert weights(halved).tobytes() == weights(plain).tobytes()


def test_the_next_run_has_no_schedule(backend, data):
    """Nor has a loop by hand, wherever the last run has stopped."""
    rate = []
    for schedule in (lambda update, total: 0.0, None):
        trainer = make_trainer(backend)
        trainer.fit(*data, 1, 8, schedule=schedule)
        before = weights(trainer)
        trainer.model.backward(0 * trainer.model(data[0]) + 1)
        trainer.optimizer.step(trainer.model)
        rate.append(np.abs(weights(trainer) - before).max())
        before = weights(trainer)
        trainer.fit(*data, 1, 8)
        assert (weights(trainer) != before).any()
    assert rate[0] == pytest.approx(rate[1])


class StopAt(nnkit.Callback):
    """End training after so many steps."""

    def __init__(self, steps):
        self.left = steps

    def on_step_end(self, trainer):
        self.left -= 1
        trainer.stop = self.left == 0


@pytest.mark.parametrize("steps", [3, 7, 11])
def test_stop_save_load_resume_is_bit_for_bit(backend, data, tmp_path, steps):
    whole, part = make_trainer(backend, momentum=0.9), make_trainer(backend, momentum=0.9)
    history = whole.fit(*data, epochs=3, batch_size=8, schedule=OneCycle())
    part.fit(*data, epochs=3, batch_size=8, schedule=OneCycle(), callbacks=[StopAt(steps)])
    part.save(tmp_path / "run.safetensors")
    again = nnkit.Trainer.load(tmp_path / "run.safetensors", backend=backend)
    assert again.schedule == OneCycle()
    assert again.resume(*data).step_loss == history.step_loss
    assert weights(again).tobytes() == weights(whole).tobytes()


def test_a_schedule_of_ones_own_is_given_again(data, tmp_path):
    def third(update, total):
        return 1 / 3

    whole, part = make_trainer("numpy"), make_trainer("numpy")
    whole.fit(*data, 2, 8, schedule=third)
    part.fit(*data, 2, 8, schedule=third, callbacks=[StopAt(9)])
    part.save(tmp_path / "run.safetensors")
    again = nnkit.Trainer.load(tmp_path / "run.safetensors", backend="numpy")
    with pytest.raises(ValueError, match=r"schedule third, which .* give it to resume\(schedule="):
        again.resume(*data)
    again.resume(*data, schedule=third)
    assert weights(again).tobytes() == weights(whole).tobytes()


@pytest.mark.parametrize("factor", [-0.5, math.nan, math.inf])
def test_factors_that_are_no_factors(data, factor):
    with pytest.raises(ValueError, match=f"but it gives {factor} for update 5 of 7"):
        make_trainer("numpy").fit(*data, 1, 8, schedule=lambda u, total: factor if u == 5 else 1)
