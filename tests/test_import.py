"""`import nnkit`, and training on the NumPy backend, need no third-party package but NumPy."""

import subprocess
import sys
import textwrap

import pytest

ONLY_NUMPY = """
import sys

class OnlyNumPy:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package not in sys.stdlib_module_names and package not in {"numpy", "nnkit"}:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)
        return None

sys.meta_path.insert(0, OnlyNumPy())
"""


def run(code):
    """Run code in a fresh interpreter and return what it prints; fail with its stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_block_works():
    code = """
        try:
            import click
        except ModuleNotFoundError as error:
            print(error)
    """
    assert run(ONLY_NUMPY + textwrap.dedent(code)) == "No module named 'click' (blocked)"


def test_import_needs_only_numpy():
    assert run(ONLY_NUMPY + "import nnkit; print(nnkit.__name__)") == "nnkit"


def test_training_needs_only_numpy():
    code = """
        import numpy as np
        import nnkit

        model = nnkit.Sequential(nnkit.Linear(4, 8), nnkit.ReLU(), nnkit.Linear(8, 3), seed=0)
        trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.SGD(0.1))
        x = np.random.default_rng(0).standard_normal((32, 4)).astype(np.float32)
        trainer.fit(x, np.arange(32) % 3, epochs=2, batch_size=8, seed=0)
        print(model.backend.name)
    """
    assert run(ONLY_NUMPY + textwrap.dedent(code)).splitlines()[-1] == "numpy"


def test_import_loads_no_third_party_module_but_numpy():
    code = """
        import sys

        before = set(sys.modules)
        import nnkit

        loaded = {
            name.partition(".")[0]
            for name in set(sys.modules) - before
            if getattr(sys.modules[name], "__file__", None)
        }
        print(*sorted(loaded - sys.stdlib_module_names))
    """
    assert run(code) == "nnkit numpy"


@pytest.mark.parametrize(
    "name", ["load", "CheckpointError", "checkpoint", "data", "models", "schedules"]
)
def test_what_is_imported_later_is_there(name):
    """Each in a process of its own, where nothing else can have imported it."""
    code = f"import nnkit; print(nnkit.{name})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_there():
    import nnkit

    with pytest.raises(AttributeError, match="module 'nnkit' has no attribute 'nonsense'"):
        _ = nnkit.nonsense
