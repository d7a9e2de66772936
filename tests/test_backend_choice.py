"""Choosing a backend: by NNKIT_BACKEND, by `set_backend`, by `use_backend`, and what goes wrong."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit.backends import NAMES, choosing, status
from tests.device import simulator

ROOT = Path(nnkit.__file__).parents[1]
needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="Numba is not installed"
)
needs_cupy = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="CuPy is not installed"
)

CPU = ["numpy", pytest.param("numba", marks=needs_numba)]
SHOW = "import nnkit; print(nnkit.current_backend().name)"


def run(code: str, variable: str | None = None, without: str = "", **environment: str) -> str:
    """Run code in a fresh Python, with the modules in `without` not to be found; return its output.

    An exception's type and message are printed, so that both can be tested.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    environment.pop("NNKIT_BACKEND", None)
    if variable is not None:
        environment["NNKIT_BACKEND"] = variable
    program = (
        f"import sys\nfor name in {without.split()!r}: sys.modules[name] = None\n"
        f"try:\n    exec({code!r})\n"
        "except Exception as error:\n    print(f'{type(error).__name__}: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestVariable:
    @pytest.mark.parametrize("value", ["numpy", " NumPy "])
    def test_names_the_backend(self, value):
        assert run(SHOW, value) == "numpy"

    @needs_numba
    def test_numba(self):
        assert run(SHOW, "numba") == "numba"

    @pytest.mark.parametrize("value", [None, "", "  ", "auto"])
    def test_auto_without_anything_is_numpy(self, value):
        assert run(SHOW, value, without="numba cupy") == "numpy"

    @needs_numba
    @pytest.mark.parametrize("value", [None, "auto"])
    def test_auto_without_a_gpu_is_numba(self, value):
        assert run(SHOW, value, without="cupy") == "numba"

    @needs_numba
    @needs_cupy
    def test_auto_with_cupy_but_no_gpu_is_numba(self):
        assert run(SHOW, CUDA_VISIBLE_DEVICES="") == "numba"

    @pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable()))
    def test_auto_is_cupy_where_a_gpu_works(self):
        code = f"from tests.device import fake_cupy; fake_cupy.install(); {SHOW}"
        assert run(code, "auto") == "cupy"

    def test_is_read_once(self):
        code = "import os, nnkit; nnkit.current_backend(); os.environ['NNKIT_BACKEND'] = 'nonsense'"
        assert run(f"{code}; {SHOW}", "numpy") == "numpy"

    def test_is_not_read_before_it_is_needed(self):
        assert run("import nnkit; nnkit.set_backend('numpy'); print('fine')", "nonsense") == "fine"

    def test_unknown_name(self):
        message = run(SHOW, "jax", without="numba cupy")
        assert message == (
            "ValueError: NNKIT_BACKEND=jax: unknown backend 'jax': "
            "choose one of numpy, numba, cupy or auto (available here: numpy)"
        )

    def test_one_that_cannot_work_here_is_not_replaced(self):
        message = run(SHOW, "numba", without="numba")
        assert message.startswith("BackendUnavailableError: NNKIT_BACKEND=numba: ")


class TestUnavailable:
    """The message says what is missing and what to do about it."""

    def test_no_numba(self):
        message = run("import nnkit; nnkit.set_backend('numba')", without="numba")
        assert message.startswith("BackendUnavailableError: the numba backend is not available: ")
        assert "pip install numba" in message
        assert "\n" not in message

    def test_no_cupy(self):
        message = run("import nnkit; nnkit.set_backend('cupy')", without="cupy")
        assert message.startswith("BackendUnavailableError: the cupy backend is not available: ")
        assert "cupy-cuda12x" in message
        assert "cupy-cuda13x" in message
        assert "\n" not in message

    @needs_cupy
    def test_no_gpu(self):
        message = run("import nnkit; nnkit.set_backend('cupy')", CUDA_VISIBLE_DEVICES="")
        assert message.startswith("BackendUnavailableError: the cupy backend is not available: ")
        assert "driver" in message or "GPU" in message
        assert "\n" not in message

    def test_a_failure_is_not_remembered_as_the_choice(self):
        code = """
import nnkit
nnkit.set_backend("numpy")
try:
    nnkit.set_backend("numba")
except nnkit.BackendUnavailableError:
    print(nnkit.current_backend().name)
"""
        assert run(code, without="numba") == "numpy"

    def test_status_gives_the_reasons(self):
        code = """
from nnkit.backends import available_backends, status
print(available_backends(), sorted(status()), status()["numpy"])
print(status()["numba"])
"""
        first, second = run(code, without="numba cupy").splitlines()
        assert first == "['numpy'] ['cupy', 'numba', 'numpy'] None"
        assert "pip install numba" in second

    def test_numpy_alone_trains(self):
        code = """
import nnkit, numpy as np
backend = nnkit.get_backend("auto")
print(backend.name, backend.activation("relu", backend.asarray([-1.0, 2.0])).tolist())
"""
        assert run(code, without="numba cupy") == "numpy [0.0, 2.0]"


BROKEN = {
    "ValueError": "raise ValueError('numpy.dtype size changed\\nExpected 96 from C header')",
    "AttributeError": "import numpy; numpy.no_such_name",
    "SystemError": "raise SystemError('initialization failed')",
    "Warning": "raise DeprecationWarning('of its own')",
    "Panic": "class Panic(BaseException): pass\nraise Panic('as of a library written in Rust')",
    "ImportError": "try: raise OSError('libc.so: no such file')\n"
    "except OSError as e: raise ImportError('Failed to import') from e",
}
"""What the import of an optional library may fail with, and code that does."""


class TestBrokenLibraries:
    """One that cannot be imported, whatever it raises, is as good as none; `info` says why."""

    @pytest.fixture
    def broken(self, tmp_path):
        def make(code: str, library: str = "cupy") -> dict[str, str]:
            folder = tmp_path / library
            folder.mkdir()
            (folder / "__init__.py").write_text(code)
            return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

        return make

    @pytest.mark.parametrize("name", BROKEN)
    def test_cupy(self, broken, name):
        code = "from nnkit.cli import cli; cli(['info'], standalone_mode=False)"
        shown = run(f"{SHOW}\n{code}", "auto", without="numba", **broken(BROKEN[name]))
        first, *info = shown.splitlines()
        assert first == "numpy"
        reason = " ".join(line.strip() for line in info)
        shown_name = {"ImportError": "OSError", "Warning": "DeprecationWarning"}.get(name, name)
        assert f"CuPy is installed but cannot be imported: {shown_name}: " in reason
        assert "Expected 96" not in reason

    @pytest.mark.parametrize("name", BROKEN)
    def test_numba(self, broken, name):
        environment = broken(BROKEN[name], "numba")
        code = f"{SHOW}; from nnkit.backends import status; print(status()['numba'])"
        first, reason = run(code, "auto", without="cupy", **environment).splitlines()
        assert first == "numpy"
        assert reason.startswith("the numba backend is not available: ")

    @pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt"])
    def test_but_who_wants_to_stop_does(self, broken, name):
        code = f"try:\n    {SHOW}\nexcept {name}:\n    print('stopped')"
        assert run(code, "auto", without="numba", **broken(f"raise {name}")) == "stopped"

    @pytest.mark.parametrize(
        "attributes",
        [
            {
                "__path__": ["/home/me/cupy"],
                "__file__": None,
            },  # an empty folder, where there is no CuPy
            {"__file__": "/home/me/cupy"},
        ],
    )
    def test_what_is_no_cupy(self, attributes):
        code = (
            "import sys, types\nmodule = sys.modules['cupy'] = types.ModuleType('cupy')\n"
            f"vars(module).update({attributes!r})\n"
            f"{SHOW}\nfrom nnkit.backends import status\nprint(status()['cupy'])"
        )
        assert run(code, "auto", without="numba").splitlines() == [
            "numpy",
            "the cupy backend is not available: what is found as cupy is not CuPy: "
            "rename or remove /home/me/cupy",
        ]

    @pytest.mark.parametrize("error", ["AttributeError('x')", "ValueError('x')", "TypeError('x')"])
    def test_a_gpu_that_fails_in_any_way(self, error):
        code = (
            "from nnkit.backends import cupy, status\n"
            f"def fail(): raise {error}\n"
            "cupy.create = fail\n"
            f"{SHOW}\nprint(status()['cupy'])"
        )
        first, reason = run(code, "auto", without="numba").splitlines()
        assert first == "numpy"
        assert reason == f"the cupy backend is not available: {error.partition('(')[0]}: x"


class TestSetBackend:
    def test_returns_and_keeps_it(self):
        chosen = nnkit.set_backend("numpy")
        assert chosen.name == "numpy"
        assert nnkit.current_backend() is chosen

    def test_takes_a_backend_object(self, backend):
        assert nnkit.set_backend(backend) is backend
        assert nnkit.current_backend() is backend

    def test_is_for_all_threads(self, backend):
        nnkit.set_backend(backend)
        assert in_thread(nnkit.current_backend) is backend

    def test_unknown_name_changes_nothing(self):
        before = nnkit.current_backend()
        with pytest.raises(ValueError, match="unknown backend 'torch': choose one of numpy, numba"):
            nnkit.set_backend("torch")
        assert nnkit.current_backend() is before

    def test_unknown_name_lists_what_works_here(self):
        with pytest.raises(ValueError, match=r"available here: numpy") as caught:
            nnkit.get_backend("nympy")
        for name in nnkit.available_backends():
            assert name in str(caught.value).partition("available here")[2]


class TestUseBackend:
    def test_nests_and_restores(self, backend):
        outer = nnkit.set_backend("numpy")
        with nnkit.use_backend(backend) as first:
            assert nnkit.current_backend() is first is backend
            with nnkit.use_backend("numpy") as second:
                assert nnkit.current_backend() is second is outer
            assert nnkit.current_backend() is backend
        assert nnkit.current_backend() is outer

    def test_restores_after_an_exception(self, backend):
        outer = nnkit.set_backend("numpy")
        with pytest.raises(ZeroDivisionError), nnkit.use_backend(backend):
            raise ZeroDivisionError
        assert nnkit.current_backend() is outer

    def test_unknown_name_enters_nothing(self):
        before = nnkit.current_backend()
        with pytest.raises(ValueError, match="unknown backend"), nnkit.use_backend("nope"):
            raise AssertionError("the block must not run")
        assert nnkit.current_backend() is before

    def test_wins_over_set_backend_inside(self, backend):
        with nnkit.use_backend(backend):
            nnkit.set_backend("numpy")
            assert nnkit.current_backend() is backend
        assert nnkit.current_backend().name == "numpy"

    def test_is_for_its_own_thread(self, backend):
        outer = nnkit.set_backend("numpy")
        with nnkit.use_backend(backend):
            assert in_thread(nnkit.current_backend) is outer

    def test_threads_do_not_meet(self, backend):
        """Two threads, each within its own block at the same time."""
        numpy = nnkit.set_backend("numpy")
        both_inside, seen = threading.Barrier(2, timeout=10), {}

        def work(name, chosen):
            with nnkit.use_backend(chosen):
                both_inside.wait()
                seen[name] = nnkit.current_backend()
                both_inside.wait()

        threads = [threading.Thread(target=work, args=pair) for pair in ((0, backend), (1, numpy))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == {0: backend, 1: numpy}


def in_thread(f):
    """Call f in another thread and return its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(f()))
    thread.start()
    thread.join()
    return results[0]


class TestGetBackend:
    def test_is_made_once(self):
        for name in nnkit.available_backends():
            assert nnkit.get_backend(name) is nnkit.get_backend(name)

    def test_passes_an_object_through(self, backend):
        assert nnkit.get_backend(backend) is backend

    def test_none_is_the_current_one(self, backend):
        with nnkit.use_backend(backend):
            assert nnkit.get_backend() is backend

    def test_auto_is_the_best_available(self):
        assert nnkit.get_backend("auto").name == nnkit.available_backends()[-1]

    def test_available_backends_are_those_without_a_reason(self):
        reasons = status()
        assert tuple(reasons) == NAMES
        assert nnkit.available_backends() == [n for n, reason in reasons.items() if reason is None]
        assert reasons["numpy"] is None


class TestSeveralBackendsInOneProcess:
    def test_each_works_beside_the_others(self, backend):
        """Their arrays meet only on the host."""
        numpy, x = nnkit.get_backend("numpy"), np.linspace(-3, 3, 12).reshape(3, 4)
        one = numpy.softmax(numpy.asarray(x))
        other = backend.softmax(backend.asarray(x))
        again = numpy.softmax(numpy.asarray(x))
        assert numpy.owns(one)
        assert backend.owns(other)
        np.testing.assert_allclose(backend.to_numpy(other), one, rtol=1e-13)
        assert np.array_equal(one, again)
        assert numpy.owns(backend.to_numpy(other))

    def test_numpy_arrays_are_moved(self, backend):
        moved = backend.asarray(np.arange(3.0))
        assert backend.owns(moved)
        assert backend.to_numpy(moved).tolist() == [0, 1, 2]

    @pytest.mark.parametrize("name", CPU)
    def test_an_array_of_cupy_is_refused_on_the_cpu(self, backend, name):
        """Every backend's array is tried: those of the CPU are NumPy arrays, and welcome."""
        array, cpu = backend.asarray(np.arange(3.0)), nnkit.get_backend(name)
        if backend.name != "cupy":
            assert cpu.asarray(array) is array
            return
        assert not cpu.owns(array)
        with pytest.raises(
            TypeError, match=rf"^a CuPy array was given to the {name} backend: "
        ) as e:
            cpu.asarray(array)
        assert "model.to('cupy')" in str(e.value)
        assert "array.get()" in str(e.value)


def test_what_auto_chooses_is_logged(caplog, monkeypatch):
    def load(name):
        if name != "numpy":
            raise nnkit.BackendUnavailableError(f"the {name} backend is not available: why")
        return nnkit.backends.numpy.NumpyBackend()

    monkeypatch.setattr(choosing, "_load", load)
    with caplog.at_level("INFO", "nnkit"):
        nnkit.get_backend("auto")
    assert caplog.messages == [
        *(f"the {name} backend is not available: why" for name in ("cupy", "numba")),
        "the numpy backend is chosen",
    ]
