"""Copies and pickles: each trains on like the original, and shares nothing with it."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import pytest

import nnkit
from tests.values import network, values

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
WAYS = {"deepcopy": copy.deepcopy} | {
    f"pickle {p}": lambda thing, p=p: pickle.loads(pickle.dumps(thing, p)) for p in PROTOCOLS
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
one_of_each = pytest.mark.parametrize("way", [copy.deepcopy, WAYS["pickle 5"]], ids=["copy", "5"])


def everything(trainer):
    slots, counters = trainer.optimizer.state()
    arrays = [array.tobytes() for each in slots.values() for array in each]
    return values(trainer.model), arrays, counters.tobytes(), trainer.history.step_loss


OPTIMIZERS = [
    lambda: nnkit.SGD(0.1, 0.9, nesterov=True, clip_norm=0.5),
    lambda: nnkit.Adam(0.01, l1=0.001),
    lambda: nnkit.RMSProp(0.01),
]


@every_way
def test_a_trained_trainer(backend, data, way):
    trainer = nnkit.Trainer(network(backend), optimizer=OPTIMIZERS[0]())
    trainer.fit(*data, 2, 8)
    twin = way(trainer)
    before = everything(trainer)
    twin.fit(*data, 2, 8)
    assert everything(trainer) == before
    trainer.fit(*data, 2, 8)
    assert everything(twin) == everything(trainer) != before
    assert twin.model.backend is backend


class CopyAt(nnkit.Callback):
    def __init__(self, way, step):
        self.way, self.left, self.copied = way, step, None

    def on_step_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            self.copied = self.way(trainer)


@one_of_each
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("step", [2, 4, 5])  # 4 is the last of an epoch
def test_a_trainer_in_the_middle_of_a_run(backend, data, way, optimizer, step, small):
    if small and step != 2:
        pytest.skip("slow on the simulator")
    trainer = nnkit.Trainer(network(backend), optimizer=optimizer())
    callback = CopyAt(way, step)
    options = {"validation_data": data, "schedule": nnkit.schedules.Cosine()}
    trainer.fit(*data, 3, 8, callbacks=[callback], **options)
    callback.copied.resume(*data, validation_data=data)
    assert everything(callback.copied) == everything(trainer)
    assert callback.copied.history.val_loss == trainer.history.val_loss
    assert not callback.copied.model.training


def train_more(trainer, data):
    trainer.fit(*data, 2, 8)
    return everything(trainer)


def test_in_another_process(backend, data, simulated):
    if simulated:
        pytest.skip("there is no simulator in the other process")
    trainer = nnkit.Trainer(network(backend), optimizer=OPTIMIZERS[1]())
    trainer.fit(*data, 1, 8)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        theirs = pool.apply(train_more, (trainer, data))
    assert theirs == train_more(trainer, data)


@one_of_each
def test_modes_frozen_parameters_and_options(backend, way):
    model = network(backend).train()
    model[1].eval()
    model[0].frozen = True
    model[3].p = 0.9
    twin = way(model)
    assert [x.training for _, x in twin.walk()] == [x.training for _, x in model.walk()]
    assert [p.frozen for p in twin.parameters()] == [p.frozen for p in model.parameters()]
    assert twin.config() == model.config()
    assert len(twin.runs()) == 1
    twin[3].p, twin[0].frozen = 0.1, False
    twin.flat.values[...] = 7
    twin[1].running_mean[...] = 7
    assert model[3].p == 0.9
    assert model[0].frozen
    assert all((array != 7).all() for array in model.state().values())


@one_of_each
def test_an_optimizer_alone_serves_another_model(backend, data, way):
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.01))
    callback = CopyAt(lambda trainer: way((trainer.model, trainer.optimizer)), 6)
    trainer.fit(*data, 2, 8, callbacks=[callback], schedule=nnkit.schedules.Cosine())
    model, optimizer = callback.copied
    model.train()
    for arrays in optimizer.state()[0].values():
        assert any(array.any() for array in arrays)
    model.backward(model(data[0]))
    optimizer.step(model)
    assert (backend.to_numpy(optimizer._rates) == 0.01).all()
    with pytest.raises(ValueError, match="Adam serves another model: make a new one"):
        optimizer.step(network(backend).eval())
    with pytest.raises(ValueError, match=r"Adam has a state .* for parameters of other shapes"):
        way(optimizer).step(nnkit.Sequential(nnkit.Linear(6, 8), backend=backend))


def test_one_state_given_to_two_optimizers(backend, data):
    first = nnkit.Trainer(network(backend))
    first.fit(*data, 1, 8)
    state = first.optimizer.state()
    others = [nnkit.Trainer(network(backend)) for _ in range(2)]
    for trainer in others:
        trainer.optimizer.restore(state)
        trainer.fit(*data, 1, 8)
    assert everything(others[0]) == everything(others[1])
    assert state[1][1] == first.optimizer.state()[1][1] == 4
