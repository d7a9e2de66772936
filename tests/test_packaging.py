"""The wheel, the sdist, the editable install, and the Makefile's choice of extras."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

import nnkit

ROOT = Path(__file__).parents[1]
FILES = [
    *("pyproject.toml", "MANIFEST.in", "Makefile", ".pre-commit-config.yaml"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
]
FOLDERS = ["nnkit", "kernels", "tests", ".github"]
SOURCES = {".py", ".cu", ".cuh"}

USE_IT = """
import site, sys
site.addsitedir({folder!r})
sys.path.append({dependencies!r})
import importlib.resources
import nnkit, nnkit.kernels
print(nnkit.__file__)
kernels = importlib.resources.files("nnkit.kernels")
print(*sorted(file.name for file in kernels.joinpath("cuda").iterdir()))
"""


@dataclass
class Built:
    tree: Path
    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


def run(*command, cwd):
    done = subprocess.run(
        command, check=False, cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """Copy the sources, so that building leaves nothing behind in them."""
    copy = tmp_path_factory.mktemp("packaging") / "nnkit"
    copy.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    return copy


@pytest.fixture(scope="session")
def built(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    run(*build, out / "direct", "--wheel", ".", cwd=tree)
    run(*build, out / "through_sdist", ".", cwd=tree)
    (wheel,) = (out / "direct").glob("*.whl")
    (sdist,) = (out / "through_sdist").glob("*.tar.gz")
    (wheel_of_sdist,) = (out / "through_sdist").glob("*.whl")
    return Built(tree, wheel, sdist, wheel_of_sdist)


def package_files(tree):
    """Yield (path in the tree, path in the package) of all that belongs into the package."""
    for folder, package in (("nnkit", "nnkit"), ("kernels", "nnkit/kernels")):
        for file in (tree / folder).rglob("*"):
            path = file.relative_to(tree / folder)
            data = folder == "nnkit" and (path.parts[0] == "data" or "page" in path.parts)
            wanted = file.suffix in SOURCES or file.name == "py.typed" or data
            if file.is_file() and wanted and "__pycache__" not in path.parts:
                yield file.relative_to(tree).as_posix(), f"{package}/{path.as_posix()}"


def contents(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    return {name for name in names if ".dist-info/" not in name}


def test_wheel_holds_the_package_and_nothing_else(built):
    expected = {path for _, path in package_files(ROOT)}
    assert {"nnkit/py.typed", "nnkit/cli/__init__.py", "nnkit/kernels/__init__.py"} <= expected
    assert any(path.endswith(".cu") for path in expected)
    assert contents(built.wheel) == expected


def test_wheel_built_from_the_sdist_is_the_same(built):
    assert contents(built.wheel_of_sdist) == contents(built.wheel)


def test_sdist_holds_the_sources_once(built):
    with tarfile.open(built.sdist) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    assert {path for path, _ in package_files(ROOT)} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"} <= names
    left_out = "tests/", "nnkit/kernels/", ".github/", ".pre-commit"  # of use in a clone alone
    assert not [name for name in names if name.startswith(left_out)]


def test_metadata(built):
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(wheel.read(name).decode())
        folder = name.rpartition("/")[0]
        assert wheel.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert "nnkit = nnkit.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    assert (metadata["Name"], metadata["Version"]) == ("nnkit-learn", nnkit.__version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT AND CC-BY-4.0"
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    names = {line.partition(">=")[0] for line in needed}
    assert names == {"click", "numpy", "safetensors", "threadpoolctl", "tqdm"}
    extras = set(metadata.get_all("Provides-Extra"))
    others = {
        "bench",
        "dev",
        "docs",
        "mpi",
        "nvrtc",
        "onnx",
        "play",
        "plot",
        "sklearn",
        "table",
        "tensorboard",
    }
    assert extras == {"numba", "cuda12", "cuda13", *others}


def use_it(folder):
    """Import nnkit from a folder, in an interpreter that knows no other installation of it."""
    code = USE_IT.format(folder=str(folder), dependencies=sysconfig.get_path("purelib"))
    module, cuda_files = run(sys.executable, "-I", "-S", "-c", code, cwd=folder).splitlines()
    return Path(module), set(cuda_files.split())


def test_wheel_installs_and_imports(built, tmp_path):
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target")
    run(*pip, tmp_path, built.wheel, cwd=tmp_path)
    module, cuda_files = use_it(tmp_path)
    assert module == tmp_path / "nnkit" / "__init__.py"
    assert {file.name for file in (ROOT / "kernels/cuda").glob("*.cu*")} <= cuda_files


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
def test_editable_install_imports(tree, tmp_path, links):
    """Where Git makes no symbolic links, nnkit/kernels is missing or a one-line text file."""
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    if not links:
        (copy / "nnkit" / "kernels").unlink()
    code = "import setuptools.build_meta as b; print(b.build_editable('wheels'))"
    (copy / "wheels").mkdir()
    name = run(sys.executable, "-c", code, cwd=copy).splitlines()[-1]
    zipfile.ZipFile(copy / "wheels" / name).extractall(tmp_path / "site")
    (path_file,) = (tmp_path / "site").glob("*.pth")
    assert Path(path_file.read_text().strip()) == copy, "type checkers read paths, and run no hooks"
    module, _ = use_it(tmp_path / "site")
    assert module == copy / "nnkit" / "__init__.py"


def imports_of(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def test_nothing_imports_kernels_as_a_package_of_its_own():
    """From the root of the repository that would work, and make a second copy of each module."""
    files = [
        file
        for folder in ("nnkit", "kernels", "tests", "bench")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert ROOT / "nnkit/system.py" in files
    found = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports_of(file.read_text())
        if name.partition(".")[0] == "kernels"
    ]
    assert found == []


def test_imports_of_sees_every_form():
    source = "import os, kernels.cuda\nif os:\n    from kernels import table\nfrom . import kernels"
    assert list(imports_of(source)) == ["os", "kernels.cuda", "kernels"]


NVIDIA_SMI = """#!/bin/sh
case "$*" in
  *compute_cap*) printf '{capabilities}' ;;
  *) echo '| NVIDIA-SMI 580.65.06      Driver Version: 580.65.06      {cuda}     |' ;;
esac
"""


def make(folder, *arguments):
    """Run make on the project's Makefile with a folder of stand-in programs first on PATH."""
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "-s", "-f", ROOT / "Makefile", *arguments]
    environment = {**os.environ, "PATH": path, "MAKEFLAGS": ""}
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def stand_in(folder, name, script):
    program = folder / name
    program.write_text(script)
    program.chmod(0o755)


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@needs_make
@pytest.mark.parametrize(
    ("cuda", "capabilities", "train", "test"),
    [
        ("CUDA Version: 13.0", "9.0\\n", "numba,plot,cuda13", "dev,cuda13"),
        ("CUDA UMD Version: 13.1", "12.0\\n8.9\\n", "numba,plot,cuda13", "dev,cuda13"),
        ("CUDA Version: 13.0", "9.0\\n7.0\\n", "numba,plot,cuda12", "dev,cuda12"),
        ("CUDA Version: 12.4", "8.0\\n", "numba,plot,cuda12", "dev,cuda12"),
        ("CUDA Version: 11.8", "8.0\\n", "numba,plot", "dev,nvrtc"),
        ("CUDA Version: N/A", "8.0\\n", "numba,plot", "dev,nvrtc"),
    ],
)
def test_make_chooses_the_cuda_extra_that_fits(tmp_path, cuda, capabilities, train, test):
    stand_in(tmp_path, "nvidia-smi", NVIDIA_SMI.format(cuda=cuda, capabilities=capabilities))
    listed = f"train: {train}\nplay: {train},play\ntest: {test}\n"
    assert make(tmp_path, "extras").stdout == listed


@needs_make
def test_make_does_without_a_gpu_where_nvidia_smi_fails(tmp_path):
    stand_in(tmp_path, "nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    listed = "train: numba,plot\nplay: numba,plot,play\ntest: dev,nvrtc\n"
    assert make(tmp_path, "extras").stdout == listed


@needs_make
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("case $1 in -V) echo Python 3.10.9;; *) exit 1;; esac", "'mypython' is Python 3.10.9"),
        ("case $2 in *ensurepip*) exit 1;; esac", "'mypython' lacks the venv module"),
    ],
)
def test_make_says_what_python_lacks(tmp_path, script, message):
    stand_in(tmp_path, "mypython", f"#!/bin/sh\n{script}\n")
    (tmp_path / "pyproject.toml").touch()
    done = make(tmp_path, "train", "PYTHON=mypython", "CUDA_EXTRA=")
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / ".venv").exists()


@needs_make
def test_make_says_that_python_is_missing(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    done = make(tmp_path, "test", "PYTHON=no-such-python", "CUDA_EXTRA=")
    assert done.returncode != 0
    assert "No 'no-such-python' here: install Python 3.11 or newer" in done.stderr


@needs_make
def test_make_help_is_the_default_and_lists_the_targets(tmp_path):
    listed = make(tmp_path).stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == [
        *("help", "train", "play", "test", "test-large", "stress", "lint", "types", "format"),
        *("docs", "bench", "bench-compare", "bench-check", "extras", "clean"),
    ]


@needs_make
@pytest.mark.parametrize(
    ("system", "command"),
    [("", "source .venv/bin/activate"), ("Windows_NT", r".venv\Scripts\activate")],
)
def test_make_train_says_how_to_use_nnkit(tmp_path, system, command):
    """At the end, whatever the exit code; not in a shell where it is done."""
    (tmp_path / "pyproject.toml").touch()
    programs = tmp_path / ".venv" / ("Scripts" if system else "bin")
    programs.mkdir(parents=True)
    for ready in (".created", ".ready-train-cpu"):
        (tmp_path / ".venv" / ready).touch()
    stand_in(programs, "nnkit", "#!/bin/sh\necho nnkit $*\nexit 3\n")
    arguments = "train", "ARGS=digits", "CUDA_EXTRA=", f"OS={system}"
    done = make(tmp_path, *arguments)
    said = f"To use nnkit in this shell, and to run the examples: {command}"
    assert done.stdout.splitlines() == ["nnkit train digits", said]
    assert "Error 3" in done.stderr
    active = make(tmp_path, *arguments, f"VIRTUAL_ENV={tmp_path / '.venv'}")
    assert active.stdout == "nnkit train digits\n"


@needs_make
@pytest.mark.parametrize("code", [0, 1])
def test_make_train_compiles_ahead_once_it_is_set_up(tmp_path, code):
    """And trains, whatever came of that."""
    (tmp_path / "pyproject.toml").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".venv" / ".created").touch()
    stand_in(programs, "python", "#!/bin/sh\n")
    stand_in(programs, "nnkit", f"#!/bin/sh\necho nnkit $*\n[ $1 = train ] || exit {code}\n")
    said = [make(tmp_path, "train", "CUDA_EXTRA=", "OS=").stdout.splitlines() for _ in range(2)]
    first, again = ([line for line in lines if line.startswith("nnkit ")] for lines in said)
    assert (first, again) == (["nnkit warm --quiet", "nnkit train"], ["nnkit train"])


@needs_make
def test_make_play_sets_up_once_and_opens_the_page(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".venv" / ".created").touch()
    stand_in(programs, "python", "#!/bin/sh\necho python $*\n")
    stand_in(programs, "nnkit", "#!/bin/sh\necho nnkit $*\n")
    first, again = (
        make(tmp_path, "play", "ARGS=--port 9000", "CUDA_EXTRA=", "OS=").stdout for _ in range(2)
    )
    assert "install -q -e .[numba,plot,play]" in first
    assert first.endswith("nnkit play --port 9000\n")
    assert again == "nnkit play --port 9000\n"


@needs_make
@pytest.mark.parametrize(("system", "folder"), [("Windows_NT", "Scripts"), ("", "bin")])
def test_make_finds_the_programs_where_this_system_puts_them(tmp_path, system, folder):
    (tmp_path / "pyproject.toml").touch()
    listed = make(tmp_path, "-n", "lint", f"OS={system}", "CUDA_EXTRA=").stdout
    assert f".venv/{folder}/ruff check" in listed.splitlines()


def test_ci_runs_make_test():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text().endswith("\nmake test\nmake test-large\nexec make stress SHARE=0.1\n")
