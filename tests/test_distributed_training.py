"""Several ranks train the network that one process does."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nnkit
from nnkit import Trainer, layers
from nnkit.distributed.contract import RankError
from nnkit.training.callbacks import Callback
from nnkit.training.streaming import Feed
from tests.ranks import on_ranks


def mlp(*between, seed=1, dtype="float64", backend="numpy"):
    stack = layers.Linear(12, 16), layers.ReLU(), *between, layers.Linear(16, 3)
    return nnkit.Sequential(*stack, seed=seed, dtype=dtype, backend=backend)


def frozen():
    model = mlp()
    model[0].frozen = True
    return model


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 12)), rng.integers(0, 3, 50)


def trained(communicator, data, model=None, optimizer=None, loss=None, **options):
    chosen = optimizer() if optimizer else nnkit.Adam(0.01, weight_decay=0.01)
    trainer = Trainer(model or mlp(), loss, chosen, communicator)
    trainer.fit(*data, **{"epochs": 4, "batch_size": 16, "progress": False} | options)
    return trainer


def figures(trainer):
    return {k: v for k, v in trainer.history.to_dict().items() if k != "seconds"}


def check_alike(size, work, rtol=1e-9):
    """Have ranks do what one process does, and compare all that was recorded, and parameters."""
    alone = work(None)
    found = on_ranks(size, work)
    for each in found:
        np.testing.assert_allclose(each.history.step_loss, alone.history.step_loss, rtol)
        assert figures(each).keys() == figures(alone).keys()
        for name, values in figures(alone).items():
            np.testing.assert_allclose(figures(each)[name], values, rtol, err_msg=name)
        assert figures(each) == figures(found[0])
        for name, value in alone.model.state().items():
            np.testing.assert_allclose(each.model.state()[name], value, 1e-7, 1e-12)
            np.testing.assert_array_equal(each.model.state()[name], found[0].model.state()[name])


CASES = {
    "even": {"batch_size": 25},
    "uneven": {},
    "a last batch of one": {"batch_size": 7},
    "a last batch of three": {"batch_size": 47},
    "in order": {"shuffle": False},
    "accumulate": {"accumulate": 3, "batch_size": 8},
    "schedule": {"schedule": nnkit.schedules.Cosine()},
    "clip_norm": {"optimizer": lambda: nnkit.SGD(0.5, momentum=0.9, clip_norm=0.1)},
    "class weights": {"class_weight": {0: 1, 1: 5}},
    "split": {"validation_split": 0.2},
    "step by step": {"compile": False},
}


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_the_same_network(case, size, data):
    check_alike(size, lambda ranks: trained(ranks, data, **CASES[case]))


def test_frozen_layers(data):
    check_alike(2, lambda ranks: trained(ranks, data, frozen()))


@pytest.mark.parametrize("size", [2, 4])
def test_dropout(size, data):
    check_alike(size, lambda ranks: trained(ranks, data, mlp(layers.Dropout(0.4)), batch_size=47))


def images(model_of, ranks, rng_seed=3, **options):
    rng = np.random.default_rng(rng_seed)
    x, t = rng.standard_normal((22, 6, 6, 1)), rng.integers(0, 3, 22)
    return trained(ranks, (x, t), model_of(), **{"batch_size": 8, "epochs": 3} | options)


def convolutional(*behind, dtype="float64", backend="numpy"):
    """A small network that draws and normalises."""
    stack = layers.Conv2d(1, 4, 3, bias=False), *behind, layers.Dropout2d(0.3), layers.Flatten()
    return nnkit.Sequential(*stack, layers.Linear(64, 3), seed=2, dtype=dtype, backend=backend)


CHANGES = [nnkit.augment.Shift(1), nnkit.augment.Flip(), nnkit.augment.Rotate(10)]


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("batch_size", [25, 16, 47])
def test_batch_normalisation(batch_size, size, data):
    def work(ranks):
        return trained(ranks, data, mlp(layers.BatchNorm1d(16)), batch_size=batch_size)

    check_alike(size, work)


def test_gradients_alone_may_be_sent_in_16_bits(data):
    """However wide a normalisation is: its statistics hold numbers of rows."""

    def work(ranks):
        trained(ranks, data, mlp(layers.BatchNorm1d(16)), batch_size=25, epochs=1, compile=False)
        return ranks.reductions, ranks.compressed

    gradients = mlp(layers.BatchNorm1d(16)).flat.grads.size
    assert on_ranks(2, work) == [(6, [gradients] * 2)] * 2


def test_batch_normalisation_of_each_rank_alone(data):
    """Running averages are those of rank 0 where anything is evaluated or kept."""

    def work(ranks):
        model = mlp(layers.BatchNorm1d(16, sync=False))
        trainer = trained(ranks, data, model, validation_data=data, batch_size=25)
        return figures(trainer), trainer.model.state()["2.running_mean"].tolist()

    first, second = on_ranks(2, work)
    assert first == second


def test_a_rank_needs_rows_enough_of_its_own(data):
    message = (
        "BatchNorm1d(num_features=16, eps=1e-05, momentum=0.1, sync=False) needs batches of at "
        "least 2 rows in training, but 50 examples in batches of 16 end with one of 2, of which a "
        "rank has 1: choose another batch_size"
    )

    def work(ranks):
        with pytest.raises((ValueError, RankError)) as caught:
            trained(ranks, data, mlp(layers.BatchNorm1d(16, sync=False)))
        return str(caught.value)

    assert message in on_ranks(2, work)


def test_a_rank_needs_an_image_of_its_own():
    """Found at the start, not in an epoch's last step."""
    message = (
        "BatchNorm2d(num_features=4, eps=1e-05, momentum=0.1, sync=False) needs batches of at "
        "least 1 row in training, but 22 examples in batches of 7 end with one of 1, of which a "
        "rank has 0: choose another batch_size"
    )

    def work(ranks):
        norm = layers.BatchNorm2d(4, sync=False)
        with pytest.raises((ValueError, RankError)) as caught:
            images(lambda: convolutional(norm), ranks, batch_size=7)
        return str(caught.value)

    assert message in on_ranks(2, work)


@pytest.mark.parametrize("size", [2, 4])
def test_pictures_that_are_changed_at_random(size):
    def model_of():
        return convolutional(layers.BatchNorm2d(4), layers.ReLU())

    check_alike(size, lambda ranks: images(model_of, ranks, augment=CHANGES))


def test_sample_weights_and_validation_with_weights(data, rng):
    weights = rng.random(50)
    options = {"sample_weight": weights, "validation_data": (*data, weights)}
    check_alike(4, lambda ranks: trained(ranks, data, **options))


def test_a_hundred_steps(data):
    def work(ranks):
        return trained(ranks, data, epochs=25, optimizer=lambda: nnkit.SGD(0.1))

    alone, (first, second) = work(None), on_ranks(2, work)
    assert len(alone.history.step_loss) == 100
    assert first.history.step_loss == second.history.step_loss
    np.testing.assert_allclose(first.history.step_loss, alone.history.step_loss, 1e-10)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_validation_of_fewer_examples_than_ranks(rows, data):
    few = data[0][:rows], data[1][:rows]
    metrics = {"mean": lambda t, y: float((t == y).mean())}
    check_alike(4, lambda ranks: trained(ranks, data, validation_data=few, metrics=metrics))


def test_evaluation_and_answers(data):
    def work(ranks):
        trainer = trained(ranks, data, epochs=1)
        metrics = {"own": nnkit.Metric(lambda t, y: float(np.std(y)), of="probabilities")}
        found = trainer.evaluate(*data, batch_size=7, metrics=metrics)
        return found, trainer.predict(data[0]), trainer.predict_proba(data[0], 5)

    (found, labels, proba), others = work(None), on_ranks(4, work)
    for each in others:
        assert each[0] == others[0][0]
        assert each[0] == pytest.approx(found, rel=1e-12)
        np.testing.assert_array_equal(each[1], labels)
        np.testing.assert_allclose(each[2], proba, 1e-12)


def test_metrics_of_training_data(data):
    metrics = {"right": lambda t, y: float((t == y).mean())}
    check_alike(2, lambda ranks: trained(ranks, data, metrics=metrics))


@pytest.mark.parametrize("loss", ["mse", "huber", "sigmoid_cross_entropy"])
def test_losses_of_each_output(loss, data):
    x, t = data
    check_alike(2, lambda ranks: trained(ranks, (x, np.eye(3)[t]), loss=loss))


def test_a_memory_map_is_read_in_parts(data, tmp_path, monkeypatch):
    monkeypatch.setattr("nnkit.training.streaming.BLOCK_BYTES", 1 << 10)
    x, t = np.float32(data[0]), data[1]
    np.save(tmp_path / "x.npy", x)

    read = []

    def copy(feed, block):
        read.append(len(feed._order[block * feed.rows : (block + 1) * feed.rows]))
        return copy_of(feed, block)

    copy_of = Feed._copy
    monkeypatch.setattr(Feed, "_copy", copy)

    def work(ranks):
        stored = np.load(tmp_path / "x.npy", mmap_mode="r")
        return trained(ranks, (stored, t), accumulate=2)

    work(None)
    assert sum(read) == 200
    read.clear()
    on_ranks(2, work)
    assert sum(read) == 200
    check_alike(2, work)


def test_batches_of_somebody_else(data):
    x, t = data
    batches = [(x[i : i + 16], t[i : i + 16]) for i in range(0, 50, 16)]
    check_alike(2, lambda ranks: trained(ranks, (batches,), batch_size=None))


def test_batches_that_come_in_another_order_on_a_rank(data):
    class Shuffled:
        def __init__(self, rank):
            self.epoch, self.rank = 0, rank

        def __iter__(self):
            rng = np.random.default_rng(self.epoch * self.rank)
            self.epoch += 1
            order = rng.permutation(50)
            return iter([(data[0][order[i : i + 10]], data[1][order[i : i + 10]]) for i in (0, 10)])

    def work(ranks):
        told = "^rank 1 has other training data than rank 0: "
        with pytest.raises(ValueError, match=told):
            trained(ranks, (Shuffled(ranks.rank),), batch_size=None)

    on_ranks(2, work)


def test_early_stopping_and_callbacks_of_all_ranks(data, rng):
    noise = rng.standard_normal((20, 12)), rng.integers(0, 3, 20)

    class Seen(Callback):
        def __init__(self):
            self.losses = []

        def on_step_end(self, trainer):
            self.losses.append(trainer.running()["loss"])

    def work(ranks):
        seen = Seen()
        callbacks = [nnkit.EarlyStopping(patience=2), seen, nnkit.ReduceOnPlateau(patience=1)]
        trainer = trained(ranks, data, epochs=40, validation_data=noise, callbacks=callbacks)
        trainer.seen = seen.losses, trainer.optimizer.lr, callbacks[0].best_epoch
        return trainer

    check_alike(2, work)
    alone, (first, second) = work(None), on_ranks(2, work)
    assert 0 < len(alone.history) < 40
    assert first.seen == second.seen
    assert first.seen[1:] == alone.seen[1:]
    np.testing.assert_allclose(first.seen[0], alone.seen[0], 1e-9)


def test_one_rank_stops_all_after_the_same_step(data):
    class Stop(Callback):
        def __init__(self, rank):
            self.rank, self.steps = rank, 0

        def on_step_end(self, trainer):
            self.steps += 1
            trainer.stop |= self.rank == 1 and self.steps == 6

    def work(ranks):
        trainer = trained(ranks, data, callbacks=[Stop(ranks.rank)])
        return trainer.progress.epoch, trainer.progress.step, trainer.stop

    assert on_ranks(2, work) == [(1, 2, True)] * 2


def test_ranks_that_call_other_methods(data):
    x, t = data[:2]

    class Evaluate(Callback):
        def on_epoch_end(self, trainer):
            if trainer.ranks.rank == 0:
                trainer.evaluate(x, t)

    def in_a_callback(ranks):
        trained(ranks, data, callbacks=[Evaluate()])

    def by_name(ranks):
        trainer = trained(ranks, data)
        trainer.predict(x) if ranks.rank else trainer.evaluate(x, t)

    for work, method in ((in_a_callback, "fit"), (by_name, "predict")):

        def error(ranks, work=work):
            with pytest.raises(RuntimeError) as raised:
                work(ranks)
            return str(raised.value)

        message = (
            f"rank 1 calls {method} while rank 0 calls evaluate: all ranks must call the same "
            "methods in the same order, and a callback that says on_every_rank = False none of them"
        )
        assert on_ranks(2, error) == [message] * 2


def test_one_rank_decides_how_many_steps_are_made_at_once(data):
    """Hooks that only one rank has are called there; the others make the same steps."""

    class Steps(Callback):
        calls = 0

        def on_step_end(self, trainer):
            self.calls += 1

    def work(ranks):
        steps = Steps()
        trained(ranks, data, callbacks=[steps] if ranks.rank == 1 else [])
        return steps.calls

    assert on_ranks(2, work) == [0, 16]


@pytest.mark.parametrize("size", [2, 3])
def test_captured(size, backend, data):
    """With sums over ranks between tapes: the same bits as step by step, near to one process."""

    def work(ranks, compile=True):
        between = layers.BatchNorm1d(16), layers.Dropout(0.2)
        model = mlp(*between, dtype="float32", backend=backend)
        options = {"accumulate": 2, "batch_size": 8, "compile": compile, "epochs": 3}
        return trained(ranks, data, model, **options)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = on_ranks(size, work)
    of_graphs = backend.name == "cupy"  # in which there are no calls of the host
    assert [each.category for each in told] == [nnkit.training.CaptureWarning] * of_graphs
    for each in [*found, *on_ranks(size, lambda ranks: work(ranks, compile=False))]:
        assert each.history.step_loss == found[0].history.step_loss
    alone = work(None).history.step_loss
    np.testing.assert_allclose(found[0].history.step_loss, alone, 1e-4)
