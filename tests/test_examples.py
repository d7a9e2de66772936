"""The examples: they run on each backend, print what they promise, and are short enough to read."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnkit.backends import BackendUnavailableError, get_backend
from tests.conftest import BACKENDS

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DRAWING = [path for path in EXAMPLES if "--plot" in path.read_text("utf-8")]
LINES = 60
OUTPUTS = ROOT / "docs" / "outputs"
"""What `python docs/record.py` has recorded."""

PROMISED = {
    "01_perceptron": [r"0  0 \| +0 +1 +0", r"0  1 \| +0 +1 +1", r"1  1 \| +1 +0 +1"],
    "02_perceptron_learning": [r"AND: learned", r"NAND: learned", r"OR: learned", r"XOR: not"],
    "03_xor": [r"14 of the 16", r"1  0 \| +1 +1 \| +1", r"1  1 \| +0 +1 \| +0"],
    "04_activations": [r"0\.11920292 0\.73105858 0\.95257413", r"sigmoid' is at most 0\.25"],
    "05_linear_collapse": [r"1\.5\^3 x = 3\.375 x: +\[-6\.75 +3\.375 10\.125\]"],
    "06_three_layers": [r"at once: \[0\.31682\d+ +0\.69627\d+\]"],
    "07_softmax": [r"plain +\[nan nan nan\]", r"9\.99954600e-01 4\.53978686e-05 2\.06106005e-09"],
    "08_losses": [r"squares 0\.0975, cross-entropy 0\.510825", r"squares 0\.5975"],
    "09_numerical_gradient": [r"0\.36281009", r"gradients agree"],
    "10_gradient_descent": [r"full batch +20", r"mini-batch +200 .* 2\.96\d", r"on-line +4000"],
    "11_xor_central_differences": [r"0 XOR 0 = 0", r"0 XOR 1 = 1", r"1 XOR 0 = 1", r"1 XOR 1 = 0"],
    "12_backpropagation": [r"0\.09907 0\.79761 0\.39714 0\.59265", r"0\.09916 0\.79783"],
    "13_xor_backpropagation": [r"0 XOR 0 = 0", r"0 XOR 1 = 1", r"1 XOR 0 = 1", r"1 XOR 1 = 0"],
    "14_vanishing_gradients": [r"30 +\d\.\de-20 +.* \d\.\de-01"],
    "15_dying_relu": [r"300 more, .* 2\d of 30 +0\.0e\+00", r"300 more, .*e-\d\d +[789]\d\.\d%"],
    "16_optimizers": [r"SGD +\(-6\.3[34], -1\.80\) \(-5\.73,  1\.62\)", r"Adam"],
    "17_schedules": [r"constant +@{20} +\d", r"one cycle", r"cosine .* 9\d\.\d%"],
    "18_initial_weights": [r"deviation 0\.01 .*\|@ {9}\| 0\.000", r"He +\|"],
    "19_batch_normalisation": [r"0\.001 +1\d\.\d% +[89]\d\.\d%"],
    "20_regularisation": [r"as it is +80 +9\d\.\d%", r"L1 .* [3-9]\d\.\d%\n", r"dropout 0\.5"],
    "21_digits": [r"of +1: 9\d\.\d% right", r"of 100: 9\d\.\d% right"],
    "22_own_layer": [r"gradients agree", r"9\d\.\d% of the points"],
    "23_save_and_resume": [r"stopped after 2 epochs and 8 steps", r"bit for bit: True"],
    "24_convolution_by_hand": [
        r"1\*2 \+ 2\*0 \+ 3\*1 \+ .* \+ 1\*2 = 15\n",
        r"4x4: 2x2, the same from the layer: True\n +15 +16\n +6 +15\n",
        r"bias 3: .* True\n +18 +19\n +9 +18\n",
        r"padding 1: .* True\n +7 +12 +10 +2\n +4 +15 +16 +10\n +10 +6 +15 +6\n +8 +10 +4 +3\n",
        r"stride 2: 3x3, .* True\n +15 +17 +15\n +17 +15 +17\n +15 +17 +15\n",
        r"\(28 \+ 2\*2 - 5\) // 3 \+ 1 = 10",
    ],
    "25_im2col": [r"1 2 4 5\n +2 3 5 6", r"\(90, 75\)", r"rounding: True", r"dy: True\n.*dy: True"],
    "26_pooling": [
        r"2x2\n +2 +3\n +4 +2\n",
        r"0 +10 +0 +0\n +0 +0 +0 +20\n +0 +0 +0 +40\n +0 +30 +0 +0\n",
        r"1 +1\.5\n +2\.25 +1\n",
        r"1 of 6 pixels, but 3 of 4",
    ],
    "27_edges": [
        r"\n   \.\.##\.\.\.\.\.\.==\.\.\.\.\.\.\.\.\n",
        r"\n   \.\.\.########\.{9}\n   \.\.\.########\.\.\.\+\.{5}\n",
        r"inside the square 0, at its left edge 4, on the slope 4\.24",
    ],
    "28_filters": [
        r"before: .* right;(.*\n){4}.* 30% on average",
        r"epochs: 9[678]\.\d% right;(.*\n){4}.* 4\d% on average",
    ],
    "29_saliency": [
        r"a 5, taken for 5",
        r"times it: True",
        r"the most salient: [567]\d\.\d%\n.*the least salient: 9[4-7]\.\d%\n.*any: 9[0-4]\.\d%",
    ],
    "30_lenet": [r"\(10, 10, 16\) +2,400 +240,000", r"61,706 par", r"of today +21,386 .* 9\d\.\d%"],
    "31_simple_conv_net": [
        r"\(n, 2, 2, 30\)",
        r"as they are +9.* +9.*%",
        r"left +[45].*% +[5-7]",
    ],
    "32_deep_conv_net": [
        r"5x5 +6,400 +4,608",
        r"padding=2\) +14x14",
        r"123,552",
        r"8 .* [89]\d\.\d%",
    ],
    "33_vgg": [r"304,682", r"1 +[89]\d\.\d% +[4-8]\d\.\d%"],
    "34_resnet": [r"al +272,186 .*(99|100)\.\d% +[89]\d\.\d%\n", r"plain +269,434 .* [78]\d\.\d%"],
}
"""What each example must print, as regular expressions."""
LONG = {"20_regularisation", "30_lenet", "32_deep_conv_net", "33_vgg", "34_resnet"}
"""They train for seconds on NumPy, and for less with compiled kernels: on those, if there are."""
COMPILED = "numba" in BACKENDS and importlib.util.find_spec("numba") is not None


def home(example):
    """Name the backend that an example always runs on, and draws on if it can."""
    return "numba" if COMPILED and example in LONG else "numpy"


def runs_on(example, backend):
    return backend != "numpy" or home(example) == "numpy"


RUN_ALL = """
import contextlib, io, json, pathlib, runpy, sys, traceback
printed = {}
for path, *options in json.loads(sys.argv[1]):
    path = pathlib.Path(path)
    sys.argv, out = [str(path), *options], io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except Exception:
            traceback.print_exc(file=out)
    printed[path.stem] = out.getvalue()
print(json.dumps(printed))
"""
"""One process for all examples: a compiled backend is loaded once."""


def run(*arguments, backend, cwd):
    """Run Python as a user does; return what it prints."""
    environment = {
        **os.environ,
        "NNKIT_BACKEND": backend,
        "NNKIT_DATA_DIR": str(cwd),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(cwd / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        check=False, capture_output=True, text=True, timeout=600, cwd=cwd, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the examples on a backend, once: the folder, and what each has printed.

    At home they also draw. Elsewhere they do not, as a user would run them.
    """

    @functools.cache
    def run_all(backend):
        folder = tmp_path_factory.mktemp(backend)
        draw = [path for path in DRAWING if home(path.stem) == backend]
        draw = draw if importlib.util.find_spec("matplotlib") else []
        jobs = [
            [str(path), *(["--plot", f"{path.stem}.png"] if path in draw else [])]
            for path in EXAMPLES
            if runs_on(path.stem, backend)
        ]
        return folder, json.loads(run("-c", RUN_ALL, json.dumps(jobs), backend=backend, cwd=folder))

    return run_all


@pytest.mark.parametrize(
    ("backend", "example"),
    [(backend, name) for backend in BACKENDS for name in PROMISED if runs_on(name, backend)],
)
def test_example_prints_what_it_promises(backend, example, ran):
    """On a backend that really works; simulated, it would take minutes."""
    if backend == "numba" and not COMPILED:
        pytest.skip("Numba is not installed")
    try:
        get_backend(backend)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    printed = ran(backend)[1][example]
    for pattern in PROMISED[example]:
        assert re.search(pattern, printed), f"{pattern} is not in:\n{printed}"


WORDS = re.compile(r"[A-Za-z]{3,}")


@pytest.mark.parametrize("example", PROMISED)
def test_the_documentation_shows_what_it_prints(example, ran):
    """Word by word; of numbers those that it promises, since the rest depends on the machine."""
    recorded = (OUTPUTS / f"{example}.txt").read_text("utf-8")
    printed = ran(home(example))[1][example]
    assert WORDS.findall(recorded) == WORDS.findall(printed), "record it: python docs/record.py"
    for pattern in PROMISED[example]:
        assert re.search(pattern, recorded), f"{pattern} is not in:\n{recorded}"


def test_the_documentation_shows_each_example_and_no_other():
    names = {path.stem for path in EXAMPLES}
    assert {path.stem for path in OUTPUTS.glob("*.txt")} == names
    assert {path.stem for path in OUTPUTS.glob("*.png")} == {path.stem for path in DRAWING}


def test_every_promise_is_of_an_example():
    assert set(PROMISED) == {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_begins_with_its_subject(example):
    text = example.read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    assert text.startswith('"""')


@pytest.mark.parametrize("example", DRAWING, ids=lambda path: path.stem)
def test_example_draws(example, ran):
    pytest.importorskip("matplotlib")
    folder, printed = ran(home(example.stem))
    drawn = folder / f"{example.stem}.png"
    assert drawn.is_file(), printed[example.stem]
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_the_learners_path_lists_every_example_and_files_that_exist():
    page = (ROOT / "docs" / "learners.md").read_text("utf-8")
    rows = re.findall(r"^\| .* \| \[`(.*)`\].* \| \[`(.*)`\].* \|$", page, re.MULTILINE)
    assert [example for example, _ in rows] == [path.name for path in EXAMPLES]
    assert [path for _, path in rows if not (ROOT / path).is_file()] == []
