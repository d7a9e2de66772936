"""Kernels are compiled before a training begins, by several processes, and none twice."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import config, event

import nnkit
from nnkit.backends import get_backend
from nnkit.backends.contract import Update
from nnkit.backends.numba import ahead, helpers, messages, planning
from nnkit.backends.numba.planning import Need
from nnkit.kernels import compiling
from nnkit.kernels.numba.codegen.jit import kernel
from nnkit.kernels.numba.codegen.signatures import signature_of
from nnkit.training.steps import CaptureWarning


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Where kernels that are made from now on are kept, helpers' too; any is worth a helper."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "WORTH_HELP", 1)
    monkeypatch.setattr(ahead, "usable_cores", lambda: 2)
    return tmp_path


@pytest.fixture
def compiled():
    """Names of what this process compiles."""
    names: list[str] = []

    class Listener(event.Listener):
        def on_start(self, event):
            names.append(event.data["dispatcher"].py_func.__name__)

        def on_end(self, event):
            """Nobody asks."""

    with event.install_listener("numba:compile", Listener()):
        yield names


COUNTERS = np.zeros(3, np.int64)


def needs(number: int, name: str = "advance") -> list[Need]:
    """Make kernels of our own, for which a helper compiles one that it knows."""

    def one(i: int) -> Need:
        made = kernel(lambda x: x + 1, str(i))
        made.py_func.__qualname__ = f"one_{i}"
        made._cache = type(made._cache)(made.py_func, str(i))  # a file for each
        return Need(made, signature_of((i,)), name, (COUNTERS, 1, 1, 1))

    return [one(i) for i in range(number)]


def files(folder: Path, name: str) -> list[str]:
    return [path.name for path in folder.rglob("*.nbc") if path.name.startswith(name)]


def wait_until(true, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# ---------------------------------------------------------------------- a training


SCRIPT = """
import json
import sys

import numpy as np
from numba.core import event

import nnkit
from nnkit.backends.numba import ahead, helpers
from nnkit.kernels.numba.codegen.cache import is_kernel

helped, planned, compiled = [], [], []
ahead.usable_cores = lambda: 2
ahead.can_start = lambda: HELP


class Listener(event.Listener):
    def on_start(self, event):
        if is_kernel(event.data["dispatcher"]):
            compiled.append(event.data["dispatcher"])

    def on_end(self, event):
        pass


event.register("numba:compile", Listener())


def compile_ahead(needs, threads, original=ahead.compile_ahead):
    planned.append([*needs])
    before = len(compiled)
    original(needs, threads)
    planned.append(before)


class Helper(ahead.Helper):
    def __init__(self, left):
        super().__init__(left)
        helped.append(self)


ahead.compile_ahead, ahead.Helper = compile_ahead, Helper
rng = np.random.default_rng(1)
x, t = rng.standard_normal((2, 40, 3))
layers = nnkit.LayerNorm(3), nnkit.Tanh()  # products would take half of the time
model = nnkit.Sequential(*layers, seed=0, backend="numba")
trainer = nnkit.Trainer(model, nnkit.MeanSquaredError(), nnkit.SGD(0.1))
history = trainer.fit(x, t, 3, batch_size=10)
needs, before = planned
print(
    json.dumps(
        {
            "loss": [value.hex() for value in history.step_loss],
            "weights": [p.value.tobytes().hex() for p in model.parameters()],
            "needs": len(needs),
            "met": sum({*n.function.overloads} >= {n.signature} for n in needs),
            "versions": sum(len(f.overloads) for f in {n.function for n in needs}),
            "before": [f.py_func.__name__ for f in compiled[:before]],
            "compiled": len(compiled[before:]),
            "helped": sum(helper.done for helper in helped),
        }
    )
)
"""


def trained(folder: Path, help: bool = True, **environment: str) -> dict:
    """Train a small network in a process of its own, whose program is a file."""
    program = folder / "program.py"
    program.write_text(SCRIPT.replace("HELP", str(help)))
    kept = {"NUMBA_CACHE_DIR": str(folder / "kept"), "NNKIT_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()  # the helper does not run the program
    return json.loads(line)


def test_each_kernel_of_a_training_is_planned_and_compiled_once(folder):
    cold = trained(folder)
    assert cold["needs"] == cold["met"] == cold["versions"] > 6
    assert cold["before"] == []
    assert cold["helped"] > 0
    assert cold["compiled"] + cold["helped"] == cold["needs"]
    warm = trained(folder)
    assert (warm["needs"], warm["compiled"], warm["before"], warm["helped"]) == (0, 0, [], 0)
    assert (warm["loss"], warm["weights"]) == (cold["loss"], cold["weights"])
    alone = trained(folder / "kept", help=False)
    assert (alone["helped"], alone["compiled"]) == (0, alone["needs"])
    assert (alone["loss"], alone["weights"]) == (cold["loss"], cold["weights"])


def test_planning_compiles_and_computes_nothing(compiled):
    backend, plan = get_backend("numba"), planning.Plan()
    x, out = np.ones((2, 2)), np.ones((2, 3))
    backend._planned(lambda: backend.matmul(x, np.ones((2, 3)), out), plan)
    update = Update(np.ones(1), COUNTERS)
    backend._planned(lambda: backend.sgd(x[0], x[1], None, update, 0.0, False), plan)
    backend._planned(lambda: backend.advance(COUNTERS, 1, 1, 1), plan)
    assert {noted[0] for noted in plan._calls.values()} <= {"matmul", "sgd", "advance"}
    assert compiled == []
    assert (out == 1).all() and (x == 1).all() and not COUNTERS.any()


def unfilled(shape, dtype):
    """An array of what nobody should compute with."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)


class Half(nnkit.Layer):
    """Says that it can be captured, and gives the next layer what no kernel takes."""

    capturable = True

    def __init__(self):
        self.seen = []

    def forward(self, x):
        self.seen.append(float(x.max()))
        return x[:, ::2]

    def backward(self, dy):
        dx = np.zeros((len(dy), 2 * dy.shape[1]), dy.dtype)
        dx[:, ::2] = dy
        return dx

    def output_shape(self, shape):
        return (shape[0] // 2,)


def test_a_layer_of_the_users_sees_numbers_alone(monkeypatch):
    """And as often as before: for the outputs' shape, in each step, and where it is captured."""
    monkeypatch.setattr(get_backend("numba"), "empty", unfilled)
    half = Half()
    model = nnkit.Sequential(
        nnkit.Linear(4, 8), half, nnkit.BatchNorm1d(4), nnkit.Linear(4, 3), backend="numba", seed=0
    )
    x, t = np.random.default_rng(0).random((12, 4), np.float32), np.arange(12) % 3
    with pytest.warns(CaptureWarning):
        nnkit.Trainer(model).fit(x, t, 2, 4, scale=1, progress=False)
    assert np.isfinite(half.seen).all()
    assert len(half.seen) <= 1 + 6 + 2
    assert np.isfinite(model[2].running_var).all()


def test_what_has_no_kernel_ends_a_plan():
    """It is not carried out either, which would be on arrays that nobody has filled."""
    backend, out = get_backend("numba"), np.ones((2, 3), np.float32)
    wide = np.zeros((2, 6), np.float32)[:, ::2]
    backend.prepare(lambda: backend.add(wide, wide, out))
    assert (out == 1).all()


def test_a_fault_is_told_once():
    def fail():
        raise ZeroDivisionError("my fault")

    with pytest.raises(ZeroDivisionError) as caught:
        get_backend("numba").rehearse(fail)
    assert caught.value.__context__ is None


def test_only_the_first_fit_of_a_trainer_plans(monkeypatch):
    planned = []
    monkeypatch.setattr(type(get_backend("numba")), "prepare", lambda _, step: planned.append(step))
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(4, 3), backend="numba"))
    for _ in range(2):
        trainer.fit(np.ones((8, 4)), np.arange(8) % 3, 1, 4, scale=1, progress=False)
    assert len(planned) == 1


# ---------------------------------------------------------------------- helpers


def test_a_helper_finds_the_kernel_and_puts_it_on_disk(folder):
    wanted = needs(3)
    helper = helpers.Helper(deque(ahead._by_file(wanted)))
    helper.start()
    wait_until(lambda: helper.done == 3)
    helper.join(10)
    assert not helper.is_alive() and not helper.busy
    assert len(files(folder, "counters.advance")) == 1
    assert files(folder, "test_ahead") == [], "it knows nothing of ours"


def test_who_listens_hears_of_all_kernels(monkeypatch):
    monkeypatch.setattr(helpers, "PROGRAM", TAKES_ONE)
    heard = []

    class Listener:
        def begin(self):
            heard.append("begin")

        def end(self):
            heard.append("end")

    with compiling.told(Listener()):
        ahead.compile_ahead(needs(5), 2)
    assert heard.count("end") == 5


TAKES_ONE = "import os; os.read(0, 9999); os.write(1, b'.'); os.read(0, 9999)"
BROKEN = {
    "ends at once": "raise SystemExit(1)",
    "ends when it has got one": TAKES_ONE,
    "never answers": "import time; time.sleep(60)",
    "never ends": f"{TAKES_ONE}; import time; time.sleep(60)",
    "talks": "while True: print('.' * 99)",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_helper_stops_nobody(how, monkeypatch):
    monkeypatch.setattr(helpers, "PROGRAM", BROKEN[how])
    monkeypatch.setattr(ahead, "PATIENCE_SECONDS", 0.3)
    wanted = needs(6)
    start = time.monotonic()
    ahead.compile_ahead(wanted, 2)
    assert time.monotonic() - start < 20
    assert [need.function(1) for need in wanted] == [2] * 6
    assert not [thread for thread in threading.enumerate() if thread.name == "nnkit-helper"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (("executable",), "/no/such/python"),
        (("executable",), None),
        (("executable",), "/usr/bin/true"),
        (("frozen",), True),
        (("path",), ["/no/such/folder"]),
    ],
)
def test_no_other_python(name, value, monkeypatch):
    monkeypatch.setattr(sys, *name, value, raising=False)
    wanted = needs(4)
    ahead.compile_ahead(wanted, 2)
    monkeypatch.undo()
    assert [need.function(1) for need in wanted] == [2] * 4


@pytest.mark.parametrize(("cores", "threads"), [(1, 2), (2, 1)])
def test_one_core_or_thread_needs_no_helper(cores, threads, monkeypatch):
    monkeypatch.setattr(ahead, "usable_cores", lambda: cores)
    monkeypatch.setattr(ahead, "Helper", None)
    ahead.compile_ahead(needs(4), threads)


def test_few_kernels_need_no_helper(monkeypatch):
    monkeypatch.setattr(ahead, "WORTH_HELP", 10**6)
    monkeypatch.setattr(ahead, "Helper", None)
    ahead.compile_ahead(needs(4), 2)


def test_nothing_is_missing_where_nothing_can_be_kept(monkeypatch):
    from nnkit.kernels.numba.codegen import cache

    (need,) = needs(1)
    assert cache.is_missing(need.function, need.signature)
    monkeypatch.setattr(need.function, "_cache", cache.NoCache())
    assert not cache.is_missing(need.function, need.signature)


def test_what_fails_to_compile_is_left_to_its_user(monkeypatch):
    monkeypatch.setattr(helpers, "PROGRAM", BROKEN["ends at once"])
    wrong = kernel(lambda x: x.no_such_thing, "wrong")
    ahead.compile_ahead([Need(wrong, signature_of((1,)), "", ()), *needs(2)], 2)
    with pytest.raises(Exception, match="no_such_thing"):
        wrong(1)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are looked for by signals")
def test_a_helper_does_not_outlive_who_asked(folder):
    program = """
        import collections, os, time
        from nnkit.backends.numba import helpers
        helper = helpers.Helper(collections.deque())
        helper._next = lambda: time.sleep(60)
        helper.start()
        while not helper.busy:
            time.sleep(0.01)
        print(helper._process.pid, flush=True)
        os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    helper = int(done.stdout)

    def gone():
        try:
            os.kill(helper, 0)
        except ProcessLookupError:
            return True
        return "Z" in (Path("/proc") / str(helper) / "stat").read_text().split()[2:3]

    wait_until(gone)


def test_arrays_go_to_a_helper_without_their_numbers():
    a, update = np.ones((1000, 1000), np.float32), Update(np.ones(1), COUNTERS, 0.5)
    fixed = np.ones(3)
    fixed.flags.writeable = False
    text = messages.write(("x", (a, a.T, update, None, 3, fixed)))
    assert len(text) < 1000
    name, (b, transposed, again, nothing, three, same) = messages.read(io.BytesIO(text))
    assert (name, nothing, three, again.weight_decay) == ("x", None, 3, 0.5)
    assert (b.shape, b.dtype, b.flags.c_contiguous) == (a.shape, a.dtype, True)
    assert transposed.flags.f_contiguous and not transposed.flags.c_contiguous
    assert (again.counters.dtype, same.flags.writeable) == (np.int64, False)


# ---------------------------------------------------------------------- layers of others


class Looks(nnkit.layers.Layer):
    """Looks at the numbers that it is given."""

    def forward(self, x):
        if abs(x).max() > 1e6:
            raise ValueError("nobody has computed these")
        return x

    def backward(self, dy):
        return dy


def fitted(monkeypatch, *layers) -> None:
    """Train on arrays that hold large numbers until something is computed."""
    model = nnkit.Sequential(nnkit.Linear(2, 2), *layers, seed=0, backend="numba")
    monkeypatch.setattr(model.backend, "empty", lambda shape, dtype: np.full(shape, 1e9, dtype))
    x = np.ones((4, 2))
    trainer = nnkit.Trainer(model, nnkit.MeanSquaredError())
    history = trainer.fit(x, x, 2, batch_size=2)
    assert len(history) == 2


def test_a_layer_that_looks_at_numbers_sees_them(monkeypatch):
    monkeypatch.setattr(Looks, "capturable", True)
    fitted(monkeypatch, Looks())


@pytest.mark.filterwarnings("ignore::nnkit.training.CaptureWarning")
def test_layers_that_cannot_be_captured_are_not_planned(monkeypatch):
    monkeypatch.setattr(get_backend("numba"), "_planned", None)
    fitted(monkeypatch, Looks())
