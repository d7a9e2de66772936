"""Random networks, trained in ways that must come to the same: see `make stress`.

A failure names its seed, and ``--hypothesis-seed=N`` repeats it.
"""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

import nnkit
from nnkit.backends.contract import UPDATES
from nnkit.losses import LOSS_CLASSES
from nnkit.optimizers import OPTIMIZERS
from tests.stress.random_changes import CHANGES, KEPT, PASSING
from tests.stress.random_networks import (
    BEFORE_LOSS,
    CONTAINERS,
    EXPORTED,
    FITTING,
    LOSS_VALUES,
    OPTIMIZER_VALUES,
    SIZES,
    TARGETS,
    WIDTHS,
    Make,
    any_schedule,
    augmentations,
    flattening,
    losses,
    optimizers,
    shape_behind,
    stacks,
    targets,
    trained,
)
from tests.stress.share import SHARE, share_of

pytest.importorskip("numba")

PARTS = [(dtype, rank) for dtype in ("float64", "float32") for rank in (1, 2, 3)]
"""Tests that share the examples, for as many processes."""

Place = tuple[str, int]
"""("update", i) or ("epoch", i): where a run is when so many have been made."""


@dataclass(frozen=True)
class Case:
    """A run: all that decides about its result but the backend and how it is carried out."""

    layers: tuple[Make, ...]
    loss: Make
    optimizer: Make
    shape: tuple[int, ...]
    dtype: str
    seed: int = 0
    fuse: bool = True
    batch_size: int = 2
    batches: int = 1
    """Full batches in an epoch."""
    rest: int = 0
    """Examples in a smaller last one."""
    accumulate: int = 1
    epochs: int = 2
    shuffle: bool = True
    validation: bool = False
    image_bytes: bool = False
    soft: bool = False
    weighted: bool = False
    schedule: Make | None = None
    augment: tuple[Make, ...] = ()
    frozen: tuple[int, ...] = ()
    first: bool = False
    """Whether the trainer has had a run of another batch size before."""
    changes: tuple[tuple[Place, str, int], ...] = ()
    snapshot: tuple[Place, str] | None = None
    """Where a copy of the trainer is made, and how, which then goes on by itself."""

    @property
    def examples(self) -> int:
        return self.batches * self.batch_size + self.rest

    @property
    def updates(self) -> int:
        """Updates in an epoch."""
        return -(-(self.batches + (self.rest > 0)) // self.accumulate)

    def model(self, backend: str, fuse: bool) -> nnkit.Sequential:
        layers = [make() for make in self.layers]
        model = nnkit.Sequential(
            *layers, seed=self.seed, dtype=self.dtype, backend=backend, fuse=fuse
        )
        for i, parameter in enumerate(model.parameters()):
            parameter.frozen = i in self.frozen
        return model

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        shape = self.examples, *self.shape
        x = rng.integers(0, 256, shape, np.uint8) if self.image_bytes else rng.normal(size=shape)
        outputs = shape_behind(self.layers, self.shape)[0]
        return x, targets(self.loss.cls, rng, self.examples, outputs, self.soft)

    def weights(self) -> np.ndarray | None:
        """How much each example counts."""
        rng = np.random.default_rng(self.seed)
        return rng.uniform(0.1, 3, self.examples) if self.weighted else None


# ------------------------------------------------------------------ drawing


@st.composite
def cases(draw: Any, dtype: str, rank: int) -> Case:
    """Any run of a network for inputs of this rank."""
    flag = st.booleans()
    large = 1 if draw(st.integers(0, 19)) else 20  # enough for a team of threads
    sizes = draw(st.tuples(*map(st.sampled_from, SIZES[rank])))
    shape = (*sizes[:-1], large * sizes[-1]) if rank < 3 else sizes
    layers = draw(stacks(shape, 4, 2))
    behind = shape_behind(layers, shape)
    layers += flattening(behind)
    width = shape_behind(layers, shape)[0]
    if not layers or draw(flag):
        layers += (Make(nnkit.Linear, (width, large * draw(st.sampled_from(WIDTHS)))),)
    if rank > 1:  # what comes behind `Flatten`
        layers += draw(stacks(shape_behind(layers, shape), 3, 1))
    loss = draw(losses())
    layers += BEFORE_LOSS.get(loss.cls.__name__, ())

    model = nnkit.Sequential(*(make() for make in layers), seed=0, backend="numpy")
    walked = [layer for _, layer in model.walk()]
    least = max(layer.least_rows for layer in walked)
    if any(isinstance(layer, nnkit.BatchNorm2d) for layer in walked):
        least = 2  # images may be of one pixel
    batch_size = large * draw(st.sampled_from([4, 2, 3, 7] if least > 1 else [2, 1, 3, 7]))
    batches = draw(st.integers(1, 4))
    rests = [0, *range(least, batch_size)]
    rest = draw(st.sampled_from(rests)) if large == 1 else rests[-1]
    case = Case(
        layers,
        loss,
        draw(optimizers()),
        shape,
        dtype,
        seed=draw(st.integers(0, 2**16)),
        fuse=draw(flag),
        batch_size=batch_size,
        batches=batches,
        rest=rest,
        accumulate=draw(st.integers(1, 3)),
        epochs=draw(st.integers(1, 4)),
        shuffle=draw(flag),
        validation=draw(flag),
        image_bytes=draw(flag),
        soft=draw(flag),
        weighted=draw(flag),
        schedule=draw(st.none() | any_schedule()),
        augment=draw(augmentations(shape)),
        frozen=tuple(draw(st.lists(st.integers(0, 7), max_size=2))),
        first=draw(flag),
    )
    every_step = draw(flag)
    epoch = st.tuples(st.just("epoch"), st.integers(1, case.epochs))
    update = st.tuples(st.just("update"), st.integers(1, case.epochs * case.updates))
    place = epoch | update if every_step else epoch
    snapshot = draw(st.none() | st.tuples(epoch | update, st.sampled_from([*WAYS])))
    named = [change.__name__ for change in (*KEPT, *(() if snapshot else PASSING))]
    change = st.tuples(place, st.sampled_from(named), st.integers(0, 2**16))
    changes = tuple(sorted(draw(st.lists(change, max_size=6))))
    return Case(**{**vars(case), "changes": changes, "snapshot": snapshot})


# ------------------------------------------------------------------ training


def place_of(trainer: nnkit.Trainer) -> Place:
    progress = trainer.progress
    updates = -(-progress.steps // progress.accumulate)
    return "update", progress.epoch * updates + -(-progress.step // progress.accumulate)


class AfterEpochs(nnkit.Callback):
    """Makes a case's changes. `record` has the figures that they have read."""

    def __init__(self, case: Case, record: list[float]) -> None:
        self.case, self.record = case, record

    def on_epoch_end(self, trainer: nnkit.Trainer) -> None:
        self.at(("epoch", trainer.progress.epoch), trainer)

    def at(self, place: Place, trainer: nnkit.Trainer) -> None:
        for where, name, number in self.case.changes:
            if where == place:
                found = CHANGES[name](trainer, np.random.default_rng(number))
                if found is not None:
                    self.record.append(float(found))


class AfterUpdates(AfterEpochs):
    def on_step_end(self, trainer: nnkit.Trainer) -> None:
        self.at(place_of(trainer), trainer)


class Snapshot(AfterUpdates):
    """Copies the trainer at one place. If it is the trainer itself, the run ends there."""

    copied: nnkit.Trainer | None = None
    so_far = 0

    def at(self, place: Place, trainer: nnkit.Trainer) -> None:
        where, way = self.case.snapshot
        if place == where:
            self.copied, self.so_far = WAYS[way](trainer), len(self.record)
            self.copied.data = trainer.data
            trainer.stop = self.copied is trainer


def through_a_file(trainer: nnkit.Trainer) -> nnkit.Trainer:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        trainer.save(path)
        return nnkit.Trainer.load(path, trainer.model.backend)


WAYS: dict[str, Callable[[nnkit.Trainer], nnkit.Trainer]] = {
    "file": through_a_file,
    "itself": lambda trainer: trainer,
    "deepcopy": copy.deepcopy,
    "pickle": lambda trainer: pickle.loads(pickle.dumps(trainer)),
}


def changing(case: Case, record: list[float]) -> list[nnkit.Callback]:
    """Callbacks for the changes; none where there are none, so that epochs may be joined."""
    if not case.changes:
        return []
    every = any(kind == "update" for (kind, _), _, _ in case.changes)
    return [(AfterUpdates if every else AfterEpochs)(case, record)]


def start(case: Case, backend: str, fuse: bool, nudge: int) -> nnkit.Trainer:
    """Make the trainer; a `nudge` above 0 changes each weight by a rounding of 1."""
    model = case.model(backend, fuse)
    if nudge:
        rng, eps = np.random.default_rng(nudge), np.finfo(case.dtype).eps
        for p in model.parameters():
            p.value = p.to_numpy() + eps * rng.choice([-1, 1], p.shape)
    trainer = nnkit.Trainer(model, case.loss(), case.optimizer())
    trainer.data = case.data()
    return trainer


def train(
    case: Case, backend: str, compile: bool = True, fuse: bool | None = None, nudge: int = 0
) -> dict[str, np.ndarray]:
    """Carry out the run, and return all that it leaves."""
    trainer = start(case, backend, case.fuse if fuse is None else fuse, nudge)
    record: list[float] = []
    with np.errstate(invalid="ignore"):  # OpenBLAS multiplies what lies beside small matrices, too
        fit(case, trainer, compile, changing(case, record))
        return outcome(trainer, record)


def fit(case: Case, trainer: nnkit.Trainer, compile: bool, callbacks: list[Any]) -> None:
    x, t = trainer.data
    scale = 1 / 255 if case.image_bytes else None
    if case.first:
        trainer.fit(x, t, 1, case.examples, scale=scale, compile=compile)
    trainer.fit(
        *(x, t, case.epochs, case.batch_size),
        validation_data=(x, t) if case.validation else None,
        sample_weight=case.weights(),
        scale=scale,
        shuffle=case.shuffle,
        callbacks=callbacks,
        schedule=None if case.schedule is None else case.schedule(),
        augment=[make() for make in case.augment],
        accumulate=case.accumulate,
        compile=compile,
    )


def train_copied(case: Case) -> list[dict[str, np.ndarray]]:
    """Carry out the run with a copy made in between; what copy and original leave at the end."""
    trainer = start(case, "numba", case.fuse, 0)
    record: list[float] = []
    snapshot = Snapshot(case, record)
    fit(case, trainer, True, [*changing(case, record), snapshot])
    copied, so_far = snapshot.copied, record[: snapshot.so_far]
    if copied is trainer:
        results, so_far = [], record
    else:
        results = [outcome(trainer, record)]
    x, t = copied.data
    validation = (x, t) if case.validation else None
    again = {"validation_data": validation, "sample_weight": case.weights()}
    copied.resume(x, t, **again, callbacks=changing(case, so_far))
    return [*results, outcome(copied, so_far)]


def outcome(trainer: nnkit.Trainer, record: list[float]) -> dict[str, np.ndarray]:
    """Weights, averages, state of the optimizer, history, answers."""
    trainer.optimizer.attach(trainer.model)  # makes what an option set last needs
    slots, counters = trainer.optimizer.state()
    figures = {k: v for k, v in trainer.history.state().items() if k != "seconds"}
    return {
        **{f"model {name}": array for name, array in trainer.model.state().items()},
        **{
            f"{slot} {i}": array for slot, arrays in slots.items() for i, array in enumerate(arrays)
        },
        "counters": counters[UPDATES:],  # where in an epoch it is belongs to a run
        **figures,
        "record": np.array(record),
        "outputs": trainer.predict_proba(trainer.data[0]),
    }


# ------------------------------------------------------------------ comparing


def assert_same_bits(got: dict[str, np.ndarray], want: dict[str, np.ndarray], what: str) -> None:
    assert got.keys() == want.keys(), what
    other = [name for name in want if got[name].tobytes() != want[name].tobytes()]
    worst = {name: float(np.abs(got[name] - want[name]).max()) for name in other}
    assert not other, f"{what}: {worst}"


def distance(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> float:
    """Largest difference, relative to the largest number of the same kind."""
    assert got.keys() == want.keys()
    sizes: dict[str, float] = {}
    for name, array in want.items():
        kind = name.partition(" ")[0]
        sizes[kind] = max(sizes.get(kind, 1e-3), float(np.abs(array).max(initial=0)))
    furthest = 0.0
    for name, array in want.items():
        if "accuracy" not in name:  # of two answers that are equally good
            difference = float(np.abs(got[name] - array).max(initial=0))
            furthest = max(furthest, difference / sizes[name.partition(" ")[0]])
    return furthest


def assert_close(case: Case, got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    """Assert that roundings alone tell two results apart.

    Each layer of each update may add some. Where more has come of them, because an input was close
    to a kink or the network enlarges all differences, roundings of the first weights must have had
    as much effect.
    """
    for name in ("counters", "model counters"):
        assert (got[name] == want[name]).all()
    layers = repr(case.layers).count("(")
    steps = case.epochs * (case.batches + 1)
    tolerance = 30 * layers * steps * float(np.finfo(case.dtype).eps)
    far = distance(got, want)
    if far > tolerance:
        event("ill-conditioned")
        spread = max(distance(train(case, "numpy", nudge=i), want) for i in range(1, 9))
        assert far <= 10 * spread, f"{far:.1e} apart, roundings make {spread:.1e}"


# ------------------------------------------------------------------ the tests


def test_every_class_is_drawn() -> None:
    wanted = {cls for cls in EXPORTED if isinstance(cls, type) and trained(cls)}
    assert wanted == {*FITTING[1], *FITTING[2], *FITTING[3]}
    assert {*CONTAINERS} <= {*EXPORTED}
    assert TARGETS.keys() == LOSS_CLASSES.keys()
    for cls in LOSS_CLASSES.values():
        assert {*cls.options} <= LOSS_VALUES.keys()
    for cls in OPTIMIZERS.values():
        assert {*cls.options} <= OPTIMIZER_VALUES.keys()


@pytest.mark.filterwarnings("ignore:.* trains badly", "ignore:.* nothing is learned")
@pytest.mark.parametrize(("dtype", "rank"), PARTS)
@settings(
    max_examples=share_of(2000, 24) // len(PARTS),
    derandomize=not SHARE,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=[*HealthCheck],
)
@given(data=st.data())
def test_random_networks(dtype: str, rank: int, data: Any) -> None:
    """The same bits captured or not, in one go or with a copy between; close on NumPy, unfused."""
    case = data.draw(cases(dtype, rank))
    captured = train(case, "numba")
    assert all(np.isfinite(array).all() for array in captured.values())
    assert_same_bits(captured, train(case, "numba", compile=False), "captured or not")
    if case.snapshot is not None:
        for result in train_copied(case):
            assert_same_bits(result, captured, "with a copy between or not")
    numpy = train(case, "numpy")
    assert_close(case, captured, numpy)
    assert_close(case, train(case, "numba", fuse=not case.fuse), numpy)
