"""`import nnkit`, and training on the NumPy backend, need no third-party package but NumPy."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import nnkit

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


OPTIONAL = [
    *("cupy", "joblib", "jax", "matplotlib", "mlflow", "narwhals", "numba", "onnx", "onnxruntime"),
    *(
        "pandas",
        "PIL",
        "polars",
        "pyarrow",
        "scipy",
        "sklearn",
        "starlette",
        "tensorboardX",
        "torch",
    ),
    *("uvicorn", "wandb", "websockets"),
]
"""Libraries that nnkit works with, and does without."""


def test_no_package_needs_an_optional_library_to_be_imported():
    """But for what stands for a library, and files that are imported where one is used."""
    root = Path(nnkit.__file__).parent
    files = [*root.glob("*.py"), *root.rglob("__init__.py")]
    parts = {file.relative_to(root).with_suffix("").parts for file in files}
    names = {".".join(("nnkit", *part)).removesuffix(".__init__") for part in parts}
    names -= {"nnkit.__main__", "nnkit.sklearn"}
    assert {"nnkit.data", "nnkit.plotting", "nnkit.cli", "nnkit.backends.cupy"} <= names
    code = f"""
        import importlib, sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {OPTIONAL}:
                    raise AssertionError(f"{{each}} imports {{name}}")

        sys.meta_path.insert(0, Absent())
        for each in {sorted(names)}:
            importlib.import_module(each)
    """
    run(code)


@pytest.mark.parametrize(
    "code", ["from nnkit import system", "import nnkit; system = nnkit.system"]
)
def test_any_module_can_be_imported_from_nnkit(code):
    """Also one whose name is like another's, in a process where nothing has imported it."""
    assert run(f"{code}; print(system.__name__)") == "nnkit.system"


@pytest.mark.parametrize(
    "name", ["load", "CheckpointError", "checkpoint", "data", "models", "schedules"]
)
def test_what_is_imported_later_is_there(name):
    """Each in a process of its own, where nothing else can have imported it."""
    code = f"import nnkit; print(nnkit.{name})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'nnkit' has no attribute 'nonsense'"):
        _ = nnkit.nonsense
