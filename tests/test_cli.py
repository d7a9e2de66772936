import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

import nnkit
from nnkit import data
from nnkit.cli import cli, interruption
from nnkit.cli.command import Nnkit, _unread
from nnkit.cli.fitting import _device
from nnkit.files import locking
from nnkit.images import read_image
from nnkit.progress import ProgressBar
from nnkit.schedules import Cosine
from nnkit.training import Trainer

COMMANDS = ["train", "evaluate", "predict", "plot", "export", "bench", "info", "datasets", "warm"]
CHECKPOINT = "model.safetensors"
TINY = ("--epochs", 2, "--batch-size", 16, "--hidden", "8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on NumPy, with no data set at hand but digits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def tiny(folder, monkeypatch):
    """An .npz of the user's own, 48 images of 4x4, of three classes; its curves are not drawn."""

    def touch(history, path, **_):
        path.touch()

    monkeypatch.setattr("nnkit.cli.fitting.learning_curves", touch)
    return make_npz(folder / "tiny.npz")


@pytest.fixture
def drawn(folder):
    """The same, and its curves are drawn."""
    return make_npz(folder / "tiny.npz")


def make_npz(path, **changes):
    rng = np.random.default_rng(0)
    t = np.arange(60) % 3
    x = rng.integers(0, 60, (60, 4, 4), dtype=np.uint8)
    x[np.arange(60), t] += 150
    arrays = {"x_train": x[:48], "t_train": t[:48], "x_test": x[48:], "t_test": t[48:]}
    np.savez(path, **(arrays | changes))
    return path


def run(*arguments):
    """Run the command line in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def nnkit_ok(*arguments):
    """Run a command that must succeed, and return what it prints."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def error(*arguments, code=1):
    """Run a command that must fail, and return the one line that it says about it."""
    result = run(*arguments)
    assert result.exit_code == code
    assert result.stderr.startswith("nnkit: error: ")
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("nnkit: error: ").rstrip("\n")


def usage_error(command, *arguments):
    message = error(command, *arguments, code=2)
    hint = f" (see nnkit {command} --help)"
    assert message.endswith(hint)
    return message.removesuffix(hint)


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def parameters(path):
    tensors = load_file(path)
    del tensors["history.seconds"]
    return {name: array.tobytes() for name, array in tensors.items()}


# ---------------------------------------------------------------------- help


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself_with_examples(command, flag):
    text = nnkit_ok(command, flag)
    assert text.startswith(f"Usage: nnkit {command} ")
    examples = text.partition("\nExamples:\n")[2].splitlines()
    assert examples
    assert all("nnkit " in line for line in examples)


@pytest.mark.parametrize("group", [(), ("plot",)])
def test_lists_of_commands_say_what_each_does_to_the_end(group):
    listed = nnkit_ok(*group).partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert listed
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


def commands(command, name=("nnkit",)):
    yield " ".join(name), command
    for inner, found in getattr(command, "commands", {}).items():
        yield from commands(found, (*name, inner))


def test_every_command_and_option_is_explained_in_a_sentence():
    """Defaults follow it, in brackets."""
    for name, command in commands(cli):
        assert command.help.strip().partition("\n")[0].endswith("."), name
        for option in (each for each in command.params if isinstance(each, click.Option)):
            text = (option.help or "").partition("  [default: ")[0]
            assert re.fullmatch(r"[A-Z].*\.", text), f"{name} {option.opts}: {option.help}"


def test_exit_codes_are_those_of_the_documentation():
    """Each has tests of its own, below."""
    page = (Path(__file__).parents[1] / "docs/cli.md").read_text("utf-8")
    codes = re.findall(r"^\| (\d[^|]*) \|", page, re.M)
    assert codes == ["0", "1", "2", "128 + n"]
    docstring = " ".join(Nnkit.__doc__.split())
    assert re.findall(r"(?<![\w+] )\b(\d+(?: \+ n)?): ", docstring) == codes


def test_nnkit_alone_lists_the_commands():
    assert nnkit_ok() == nnkit_ok("--help")
    for command in COMMANDS:
        assert f"\n  {command} " in nnkit_ok()


def test_version():
    assert nnkit_ok("--version") == f"nnkit {nnkit.__version__}\n"


def test_help_loads_nothing_heavy():
    code = """
import sys
from nnkit.cli import main
try:
    main()
finally:
    heavy = {"numba", "cupy", "matplotlib", "onnx", "PIL", "tqdm", "urllib.request"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# ---------------------------------------------------------------------- train


@pytest.mark.parametrize(("threads", "told"), [("1", "1 CPU thread"), ("3", "3 CPU threads")])
def test_what_is_said_of_threads(monkeypatch, threads, told):
    monkeypatch.setenv("NNKIT_NUM_THREADS", threads)
    text = nnkit_ok("train", "digits", "--hidden", "none", "--epochs", 1)
    assert f"backend    numpy on {told}\n" in text


def test_training_on_digits_works_and_leaves_its_results():
    text = nnkit_ok("train", "digits", "--epochs", 4)
    assert "data       digits: 1,442 training and 355 test images of 8x8, 10 classes" in text
    assert "network    64-256-128-10, ReLU, 50,826 parameters, float32" in text
    assert "backend    numpy on " in text
    history = json.loads(Path("runs/digits/history.json").read_text())
    assert len(history["loss"]) == 4
    assert history["val_accuracy"][-1] > 0.9
    assert f"\ntest accuracy {history['val_accuracy'][-1]:.2%} after " in text
    assert Path("runs/digits/learning-curves.png").read_bytes().startswith(b"\x89PNG")
    for name in (CHECKPOINT, "history.json", "learning-curves.png"):
        assert str(Path("runs/digits", name)) in text


def test_without_a_terminal_there_is_one_plain_line_per_epoch(tiny):
    text = nnkit_ok("train", tiny, *TINY)
    lines = [line for line in text.splitlines() if line.startswith("epoch ")]
    assert [line.split("   ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("test loss" in line and "/s" in line for line in lines)
    assert "\r" not in text


def test_quiet_prints_the_result_only(tiny):
    lines = nnkit_ok("train", tiny, *TINY, "--quiet").splitlines()
    assert [line.split()[0] for line in lines] == ["test", "saved"]


def test_the_gpu_is_named(monkeypatch):
    runtime = SimpleNamespace(
        getDevice=lambda: 1, getDeviceProperties=lambda i: {"name": f"GPU number {i}".encode()}
    )
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cupy.cuda", SimpleNamespace(runtime=runtime))
    assert _device(SimpleNamespace(name="cupy"), alone=True) == "GPU number 1"


def test_small_data_sets_get_more_epochs_of_smaller_batches(monkeypatch, tiny):
    monkeypatch.setattr("nnkit.cli.runs.SMALL", 48)
    nnkit_ok("train", tiny, "--batch-size", 48, "--out", "large")
    monkeypatch.setattr("nnkit.cli.runs.SMALL", 49)
    nnkit_ok("train", tiny, "--out", "small")
    large, small = (Trainer.load(f"{name}/{CHECKPOINT}").progress for name in ("large", "small"))
    assert (large.epochs, small.epochs, small.batch_size) == (5, 20, 32)


def test_options_reach_the_network_and_its_training(tiny):
    settings = "--hidden 7,5 --activation tanh --dropout 0.25 --dtype float64 --seed 11"
    training = "--optimizer adamw --lr 0.01 --weight-decay 0.1 --epochs 3 --batch-size 9"
    nnkit_ok("train", tiny, *settings.split(), *training.split(), "--schedule", "constant")
    trainer = Trainer.load(f"runs/tiny/{CHECKPOINT}")
    assert [repr(layer) for layer in trainer.model] == [
        "Linear(in_features=16, out_features=7, bias=True)",
        "Tanh()",
        "Dropout(p=0.25)",
        "Linear(in_features=7, out_features=5, bias=True)",
        "Tanh()",
        "Dropout(p=0.25)",
        "Linear(in_features=5, out_features=3, bias=True)",
    ]
    assert (trainer.model.dtype, trainer.model.seed) == (np.float64, 11)
    optimizer = trainer.optimizer
    assert isinstance(optimizer, nnkit.AdamW)
    assert (optimizer.lr, optimizer.weight_decay) == (0.01, 0.1)
    progress = trainer.progress
    assert (progress.epochs, progress.batch_size, progress.seed) == (3, 9, 11)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", {"class": "SGD", "lr": 0.1, "momentum": 0, "weight_decay": 0}),
        ("momentum", {"class": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0}),
        ("adagrad", {"class": "AdaGrad", "lr": 0.01, "weight_decay": 0}),
        ("rmsprop", {"class": "RMSProp", "lr": 0.001, "weight_decay": 0}),
        ("adam", {"class": "Adam", "lr": 0.001, "weight_decay": 0}),
        ("adamw", {"class": "AdamW", "lr": 0.001, "weight_decay": 0.01}),
    ],
)
def test_optimizers_have_sensible_defaults(tiny, name, expected):
    nnkit_ok("train", tiny, "--optimizer", name, "--epochs", 1)
    config = Trainer.load(f"runs/tiny/{CHECKPOINT}").optimizer.config()
    assert config | expected == config


def test_augmentation_is_a_part_of_the_run(tiny):
    """Resumed without the option, too; what is evaluated are rows, as without it."""
    changes = "--augment", "shift=1, flip=0.2,rotate=10"
    text = nnkit_ok("train", tiny, *TINY, *changes, "--out", "part")
    assert "\naugmented  Shift(pixels=1), Flip(p=0.2), Rotate(degrees=10.0)\n" in text
    trainer = Trainer.load(f"part/{CHECKPOINT}")
    assert repr(trainer.augment) == "(Shift(pixels=1), Flip(p=0.2), Rotate(degrees=10.0))"
    assert repr(trainer.model[0]) == "Flatten()"
    constant = "--schedule", "constant"
    for out, epochs in (("whole", 4), ("resumed", 2)):
        nnkit_ok("train", tiny, *TINY, *changes, *constant, "--epochs", epochs, "--out", out)
    text = nnkit_ok("train", "--resume", f"resumed/{CHECKPOINT}", "--epochs", 4)
    assert "\naugmented  Shift(pixels=1)" in text
    assert parameters(f"resumed/{CHECKPOINT}") == parameters(f"whole/{CHECKPOINT}")
    accuracy = Trainer.load(f"whole/{CHECKPOINT}").history.val_accuracy[-1]
    assert f"accuracy  {accuracy:.2%}" in nnkit_ok("evaluate", f"whole/{CHECKPOINT}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("shift", "'shift' is none of the changes, which are such as shift=2, crop=4, flip, "
         "rotate=10, scale=0.1, cutout=8"),
        ("shift=2,", "'' is none of the changes, which are such as shift=2, crop=4, flip, "
         "rotate=10, scale=0.1, cutout=8"),
        ("rotate=x", "'x' in 'rotate=x' is no number"),
        ("shift=1.5", "Shift: pixels must be an integer of at least 1, not 1.5"),
        ("shift=1,crop=2", "Shift(pixels=1) and Crop(padding=2) are the same change: give one of "
         "them"),
    ],
)  # fmt: skip
def test_changes_that_are_none(given, message):
    whole = f"Invalid value for '--augment': {message}"
    assert usage_error("train", "digits", "--augment", given) == whole


def test_augmentation_that_the_images_do_not_allow(folder, tiny):
    message = error("train", tiny, "--augment", "shift=4")
    assert message.startswith("Shift(pixels=4) can leave nothing of images of 4x4 pixels")
    rows = np.zeros((9, 16), np.uint8)
    np.savez("rows.npz", x_train=rows, t_train=np.arange(9), x_test=rows, t_test=np.arange(9))
    assert error("train", "rows.npz", "--augment", "flip") == (
        "--augment changes images, which rows.npz has not"
    )
    assert not Path("runs").exists()


def test_no_hidden_layer(tiny):
    nnkit_ok("train", tiny, "--hidden", "none", "--epochs", 1)
    assert len(nnkit.load(f"runs/tiny/{CHECKPOINT}")) == 1


@pytest.mark.parametrize(
    ("options", "schedule"),
    [((), Cosine()), (("--schedule", "cosine"), Cosine()), (("--schedule", "constant"), None)],
)
def test_the_learning_rate_follows_a_schedule(tiny, options, schedule):
    text = nnkit_ok("train", tiny, *TINY, "--lr", 0.1, *options)
    assert f"learning rate 0.1 ({'cosine' if schedule else 'constant'})" in text
    assert Trainer.load(f"runs/tiny/{CHECKPOINT}").schedule == schedule


def test_the_same_seed_gives_the_same_run(tiny):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        nnkit_ok("train", tiny, *TINY, "--dropout", 0.5, "--seed", seed, "--out", out)
    a, b, c = (parameters(f"{out}/{CHECKPOINT}")["model.0.weight"] for out in "abc")
    assert a == b
    assert a != c


def test_no_other_run_is_overwritten(tiny):
    for name in ("tiny", "tiny-2", "tiny-3"):
        assert str(Path("runs", name, CHECKPOINT)) in nnkit_ok("train", tiny, *TINY)
    assert names("runs") == ["tiny", "tiny-2", "tiny-3"]


def test_a_folder_with_a_run_in_it_is_refused(tiny):
    nnkit_ok("train", tiny, *TINY, "--out", "my run")
    before = parameters(f"my run/{CHECKPOINT}")
    assert error("train", tiny, *TINY, "--out", "my run") == (
        "my run has a run already: choose another folder, or continue it with "
        "--resume 'my run/model.safetensors'"
    )
    assert parameters(f"my run/{CHECKPOINT}") == before


def test_an_existing_folder_without_a_run_is_used(tiny, folder):
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")
    nnkit_ok("train", tiny, *TINY, "--out", "out")
    assert (folder / "out" / "notes.txt").read_text() == "mine"
    assert (folder / "out" / CHECKPOINT).exists()


@pytest.fixture
def no_mnist(monkeypatch):
    """MNIST can neither be found nor downloaded."""

    def load(name, **options):
        if name == "mnist":
            raise data.DataError(
                "mnist is not on this machine and cannot be downloaded: no network"
            )
        return data.load(name, **options)

    monkeypatch.setattr("nnkit.cli.checkpoints.load", load)


def test_without_data_and_without_mnist_it_says_why_not_and_takes_digits(no_mnist, monkeypatch):
    info = next(info for info in data.available() if info.name == "mnist")
    for location, first in (
        (None, "nnkit: mnist is not on this machine: trying to download it\n"),
        (Path("somewhere"), ""),
    ):
        known = (replace(info, location=location),)
        monkeypatch.setattr("nnkit.cli.runs.available", lambda known=known: known)
        result = run("train", "--epochs", 1)
        assert result.exit_code == 0
        assert result.stderr == first + (
            "nnkit: training on digits instead: mnist is not on this machine and cannot be "
            "downloaded: no network\n"
        )
        assert "data       digits: " in result.stdout


def test_a_named_data_set_is_never_replaced(no_mnist):
    assert error("train", "mnist").startswith("mnist is not on this machine and cannot be ")
    assert not Path("runs").exists()


def test_without_data_it_is_mnist(monkeypatch):
    mnist = replace(data.load("digits"), name="mnist")
    asked = []
    monkeypatch.setattr("nnkit.cli.checkpoints.load", lambda name, **_: asked.append(name) or mnist)
    assert run("train", "--epochs", 1).exit_code == 0
    assert asked == ["mnist"]
    assert Path("runs/mnist", CHECKPOINT).exists()


# ---------------------------------------------------------------------- train --resume


class Kill:
    """Send this process a signal when training has come to one step."""

    def __init__(self, monkeypatch, epoch, step, signum=signal.SIGINT, times=1):
        self.at, self.signum, self.times = (epoch, step), signum, times
        monkeypatch.setattr(ProgressBar, "on_step_end", self, raising=False)

    def __call__(self, trainer):
        if (trainer.progress.epoch, trainer.progress.step) == self.at:
            for _ in range(self.times):
                os.kill(os.getpid(), self.signum)


@pytest.fixture
def python_signals():
    """Ctrl-C raises KeyboardInterrupt, even where the suite runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
SIGNALS += [(signal.SIGHUP, 129)] if hasattr(signal, "SIGHUP") else []
RUN = ("--epochs", 3, "--batch-size", 16, "--hidden", "8", "--dropout", 0.3, "--seed", 5)


def test_one_epoch_is_no_epochs(tiny):
    text = nnkit_ok("train", tiny, "--epochs", 1, "--batch-size", 16)
    assert ", 1 epoch of 3 steps, batch 16, " in text


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
@pytest.mark.parametrize(
    ("epoch", "step", "where"),
    [(0, 1, "epoch 1 of 3, after 1 of 3 steps"), (1, 2, "epoch 2 of 3, after 2 of 3 steps"),
     (1, 3, "epoch 3 of 3, after 0 of 3 steps")],
)  # fmt: skip
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    tiny, monkeypatch, python_signals, signum, code, epoch, step, where
):
    nnkit_ok("train", tiny, *RUN, "--out", "whole")
    with monkeypatch.context() as patch:
        Kill(patch, epoch, step, signum)
        result = run("train", tiny, *RUN, "--out", "in two")
    assert result.exit_code == code
    assert result.stderr == (
        f"nnkit: stopped in {where}; saved in two/{CHECKPOINT}\n"
        f"nnkit: to continue: nnkit train --resume 'in two/{CHECKPOINT}'\n"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    text = nnkit_ok("train", "--resume", f"in two/{CHECKPOINT}")
    assert parameters(f"in two/{CHECKPOINT}") == parameters(f"whole/{CHECKPOINT}")
    histories = [json.loads(Path(d, "history.json").read_text()) for d in ("in two", "whole")]
    for history in histories:
        del history["seconds"]
    assert histories[0] == histories[1]
    assert "epoch 3/3" in text
    assert not Path("runs").exists()


def test_a_signal_in_the_last_step_finishes_the_run(tiny, monkeypatch, python_signals):
    Kill(monkeypatch, 1, 3)
    nnkit_ok("train", tiny, *TINY)
    assert Path("runs/tiny/learning-curves.png").exists()


def test_a_second_signal_ends_at_once(tiny, monkeypatch, python_signals):
    Kill(monkeypatch, 1, 2, times=2)
    result = run("train", tiny, *RUN)
    assert (result.exit_code, result.stderr) == (130, "nnkit: interrupted\n")
    assert Trainer.load(f"runs/tiny/{CHECKPOINT}").progress.epoch == 1


def test_interrupted_before_there_is_anything_to_save(tiny, monkeypatch, python_signals):
    Kill(monkeypatch, 0, 1, times=2)
    result = run("train", tiny, *RUN)
    assert (result.exit_code, result.stderr) == (130, "nnkit: interrupted\n")
    assert names("runs") == []


def test_a_signal_that_is_ignored_stays_ignored(tiny, monkeypatch, python_signals):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Kill(monkeypatch, 0, 1)
    nnkit_ok("train", tiny, *RUN)


def test_more_epochs_continue_a_finished_run(tiny):
    for epochs, out in ((5, "whole"), (2, "extended")):
        options = (*RUN, "--epochs", epochs, "--schedule", "constant", "--out", out)
        nnkit_ok("train", tiny, *options)
    nnkit_ok("train", "--resume", f"extended/{CHECKPOINT}", "--epochs", 5)
    assert parameters(f"extended/{CHECKPOINT}") == parameters(f"whole/{CHECKPOINT}")


def test_a_finished_run_needs_more_epochs(tiny):
    nnkit_ok("train", tiny, *TINY)
    path = Path("runs/tiny", CHECKPOINT)
    expected = f"{path} has done 2 of 2 epochs: to go on, give --epochs with more than 2"
    assert error("train", "--resume", path) == expected
    assert error("train", "--resume", path, "--epochs", 1) == expected
    assert path.exists()


@pytest.mark.parametrize("option", ["--lr", "--seed", "--out", "--hidden", "--schedule"])
def test_a_run_keeps_its_settings(option):
    value = "constant" if option == "--schedule" else 1
    message = usage_error("train", "--resume", "some/file", option, value)
    assert message == f"{option} cannot be given with --resume: a run keeps its settings"


def test_data_that_changed_are_refused(tiny):
    nnkit_ok("train", tiny, *TINY)
    make_npz(tiny, t_train=np.zeros(48, np.int64))
    assert error("train", "--resume", f"runs/tiny/{CHECKPOINT}", "--epochs", 3) == (
        f"runs/tiny/{CHECKPOINT} was trained on other images or labels than {tiny} has now"
    )


def test_data_that_moved_can_be_named(tiny, folder):
    nnkit_ok("train", tiny, *TINY)
    moved = tiny.rename(folder / "moved.npz")
    message = error("train", "--resume", f"runs/tiny/{CHECKPOINT}", "--epochs", 3)
    assert message.startswith(f"'{tiny}' is no data set and no path")
    nnkit_ok("train", moved, "--resume", f"runs/tiny/{CHECKPOINT}", "--epochs", 3)


def test_data_are_found_from_another_folder(tiny, folder, monkeypatch):
    nnkit_ok("train", "tiny.npz", *TINY)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    nnkit_ok("train", "--resume", f"../runs/tiny/{CHECKPOINT}", "--epochs", 3)
    nnkit_ok("evaluate", f"../runs/tiny/{CHECKPOINT}")


def network(*widths, **options):
    layers = [nnkit.Linear(a, b) for a, b in pairwise(widths)]
    return nnkit.Sequential(*layers, seed=0, backend="numpy", **options)


def test_a_checkpoint_of_the_python_interface_needs_its_data_named(tiny):
    dataset = data.load(tiny)
    trainer = Trainer(network(16, 3))
    trainer.fit(dataset.x_train, dataset.t_train, epochs=1, batch_size=16)
    trainer.save("mine")
    expected = "mine does not say which data it was trained on: name it, as DATA"
    assert error("train", "--resume", "mine", "--epochs", 2) == expected
    assert error("evaluate", "mine") == expected
    nnkit_ok("train", tiny, "--resume", "mine", "--epochs", 2)
    assert Trainer.load("mine").progress.epoch == 2


def test_a_network_that_was_never_trained_cannot_be_resumed(tiny):
    Trainer(network(16, 3)).save("mine")
    assert error("train", tiny, "--resume", "mine") == (
        "mine holds a network that was never trained: there is no run to resume"
    )
    network(16, 3).save("mine")
    message = error("train", tiny, "--resume", "mine")
    assert message.startswith("mine holds a model without a training state")


def test_a_run_goes_on_where_it_was_if_nothing_else_is_asked_for(tiny, monkeypatch):
    nnkit_ok("train", tiny, *TINY)
    monkeypatch.delenv("NNKIT_BACKEND")
    asked = []

    def get_backend(name):
        asked.append(name)
        if name == "cupy":
            raise nnkit.BackendUnavailableError("there is no GPU")
        return nnkit.use_backend("numpy").__enter__()

    monkeypatch.setattr("nnkit.cli.runs.get_backend", get_backend)
    resume = ("train", "--resume", f"runs/tiny/{CHECKPOINT}", "--epochs")
    nnkit_ok(*resume, 3)
    nnkit_ok(*resume, 4, "--backend", "numba")
    assert asked == ["numpy", "numba"]

    trainer = Trainer.load(f"runs/tiny/{CHECKPOINT}")
    trainer.save(f"runs/tiny/{CHECKPOINT}", **{**trainer.extra, "backend": "cupy"})
    result = run(*resume, 5)
    assert (result.exit_code, asked[2:]) == (0, ["cupy", None])
    assert result.stderr == "nnkit: there is no GPU; continuing without it\n"


# ---------------------------------------------------------------------- what can go wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "Invalid value for '--epochs': 0 is not in the range x>=1."),
        (["--lr", "-1"], "Invalid value for '--lr': -1.0 is not in the range x>0."),
        (["--dropout", "1"], "Invalid value for '--dropout': 1.0 is not in the range 0<=x<1."),
        (
            ["--hidden", "8,x"],
            "Invalid value for '--hidden': '8,x' is neither widths such as 256,128 nor none",
        ),
        (
            ["--hidden", "0"],
            "Invalid value for '--hidden': '0' is neither widths such as 256,128 nor none",
        ),
        (
            ["--backend", "abacus"],
            "Invalid value for '--backend': 'abacus' is not one of 'numpy', 'numba', 'cupy', "
            "'auto'.",
        ),
        (["second"], "Got unexpected extra argument (second)"),
    ],
)
def test_wrong_usage(options, message):
    assert usage_error("train", "digits", *options) == message
    assert names(".") == []


def test_unknown_commands_and_options():
    assert error("fly", code=2).startswith("No such command 'fly'")
    assert usage_error("train", "--speed", "9").startswith("No such option")
    assert usage_error("predict", "a") == "Missing argument 'FILE...'."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "mnits"],
            "'mnits' is no data set and no path (did you mean mnist?); choose mnist, "
            "fashion-mnist, digits, cifar10, emnist-letters, emnist-digits, emnist-balanced, "
            "emnist-byclass, emnist-bymerge, emnist-mnist, a folder with a folder of images for "
            "each class or with IDX files, an .npz file, or a table (.csv or .parquet)",
        ),
        (
            ["train", "digits", "--batch-size", "2000"],
            "--batch-size 2000 is more than the 1,442 training images",
        ),
        (["train", "digits", "--lr", "nan"], "Adam: lr must be at least 0 and finite, not nan"),
        (["train", "--resume", "none"], "there is no checkpoint none"),
        (["evaluate", "none"], "there is no checkpoint none"),
        (["predict", "none", "a.png"], "there is no checkpoint none"),
    ],
)
def test_errors_in_one_line(arguments, message):
    assert error(*arguments) == message
    assert names(".") == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"x_train": np.full((48, 16), np.nan)}, "hold NaN or infinite"),
        ({"t_train": np.full(48, -1)}, "label -1 of image 0 is no class number"),
        ({"t_train": np.zeros(47, np.int64)}, "has 48 images, shape (48, 4, 4), but"),
        ({"x_test": np.zeros((12, 5, 5), np.uint8)}, "they must be the same"),
    ],
)
def test_data_that_do_not_fit(folder, changes, part):
    path = make_npz(folder / "bad.npz", **changes)
    message = error("train", path)
    assert message.startswith(str(path))
    assert part in message
    assert not Path("runs").exists()


def test_a_backend_that_cannot_work(monkeypatch):
    def get_backend(name):
        raise nnkit.BackendUnavailableError("the cupy backend is not available: no GPU")

    for module in ("runs", "evaluate", "predict"):
        monkeypatch.setattr(sys.modules[f"nnkit.cli.{module}"], "get_backend", get_backend)
    expected = "the cupy backend is not available: no GPU"
    assert error("train", "digits", "--backend", "cupy") == expected
    assert error("evaluate", "a", "--backend", "cupy") == expected
    assert error("predict", "a", "b", "--backend", "cupy") == expected


def test_an_unknown_backend_in_the_environment(monkeypatch):
    monkeypatch.setenv("NNKIT_BACKEND", "abacus")
    monkeypatch.setattr(nnkit.backends.choosing, "_default", None)
    assert error("train", "digits").startswith("NNKIT_BACKEND=abacus: unknown backend 'abacus'")


def test_training_that_diverges_says_so_and_leaves_nothing(tiny):
    message = error("train", tiny, "--optimizer", "sgd", "--lr", 1e30, "--quiet")
    assert message == (
        "training diverged: the loss is nan in epoch 1, step 2. "
        "Try a smaller learning rate (--lr), such as 1e+29 instead of 1e+30"
    )
    assert names("runs") == []


def test_training_that_diverges_later_keeps_the_last_good_checkpoint(tiny, monkeypatch):
    def spoil(self, trainer):
        if trainer.progress.epoch == 1:
            trainer.model.flat.values[...] = np.nan

    monkeypatch.setattr(ProgressBar, "on_step_end", spoil, raising=False)
    assert error("train", tiny, *TINY).startswith("training diverged: the loss is nan in epoch 2")
    trainer = Trainer.load(f"runs/tiny/{CHECKPOINT}")
    assert trainer.progress.epoch == 1
    assert np.isfinite(trainer.model.flat.values).all()


@pytest.mark.filterwarnings("default")
def test_warnings_are_lines_of_the_command_s_own(folder):
    x, t = np.tile(np.arange(0.0, 256, 5)[:, None], 16), np.arange(52) % 2
    np.savez("gray.npz", x_train=x, t_train=t, x_test=x[:9], t_test=t[:9])
    invoked = CliRunner().invoke(cli, ["train", "gray.npz", "--epochs", "1", "--lr", "1e-6"])
    warned = [line for line in invoked.stderr.splitlines() if "warning" in line]
    assert len(warned) == 1
    assert warned[0].startswith("nnkit: warning: x looks like images with pixels from 0 to 255, ")


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(tiny, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    result = run("train", tiny, *TINY)
    expected = f"runs/tiny/{CHECKPOINT} cannot be written: No space left on device"
    assert result.exit_code == 1
    assert result.stderr == (
        2 * f"nnkit: {expected}; training goes on\n" + f"nnkit: error: {expected}\n"
    )
    assert names("runs") == []


def test_a_disk_that_becomes_full_keeps_the_last_checkpoint(tiny, monkeypatch):
    def fill(self, trainer):
        if trainer.progress.epoch == 1:
            monkeypatch.setattr(os, "fsync", full_disk)

    monkeypatch.setattr(ProgressBar, "on_step_end", fill, raising=False)
    result = run("train", tiny, *TINY)
    expected = f"runs/tiny/{CHECKPOINT} cannot be written: No space left on device"
    assert result.exit_code == 1
    assert result.stderr == f"nnkit: {expected}; training goes on\nnnkit: error: {expected}\n"
    assert names("runs/tiny") == [CHECKPOINT]
    assert Trainer.load(f"runs/tiny/{CHECKPOINT}").progress.epoch == 1


def test_a_disk_that_has_room_again_loses_nothing(tiny, monkeypatch):
    def fill(self, trainer):
        now = trainer.progress.epoch == 1
        monkeypatch.setattr(os, "fsync", full_disk if now else fsync)

    fsync = os.fsync
    monkeypatch.setattr(ProgressBar, "on_step_end", fill, raising=False)
    result = run("train", tiny, *TINY, "--epochs", 3)
    assert result.exit_code == 0
    assert result.stderr == (
        f"nnkit: runs/tiny/{CHECKPOINT} cannot be written: No space left on device; "
        "training goes on\n"
    )
    assert Trainer.load(f"runs/tiny/{CHECKPOINT}").progress.epoch == 3


def test_the_end_tries_once_more_to_save(tiny, monkeypatch):
    def fill(self, trainer):
        monkeypatch.setattr(os, "fsync", full_disk)

    def empty(self, trainer):
        monkeypatch.setattr(os, "fsync", fsync)

    fsync = os.fsync
    monkeypatch.setattr(ProgressBar, "on_step_end", fill, raising=False)
    monkeypatch.setattr(ProgressBar, "on_fit_end", empty)
    result = run("train", tiny, *TINY)
    assert (result.exit_code, result.stderr.count("training goes on")) == (0, 2)
    assert Trainer.load(f"runs/tiny/{CHECKPOINT}").progress.epoch == 2


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"image_shape": [4, 5]}, "its image_shape cannot be [4, 5]"),
        ({"image_shape": [-4, -4]}, "its image_shape cannot be [-4, -4]"),
        ({"image_shape": "4x4"}, "its extra: image_shape cannot be '4x4'"),
        ({"pixel_range": [1, 0]}, "its pixel_range cannot be 1 to 0"),
        ({"pixel_range": [0, float("nan")]}, "its pixel_range cannot be 0 to nan"),
        ({"class_names": list("abcd")}, "it has 4 class_names for 3 outputs"),
        ({"class_names": [1, 2, 3]}, "its extra: class_names cannot be [1, 2, 3]"),
        ({"preparation": "rm"}, "its extra: preparation cannot be 'rm'"),
        ({"data": ["digits"]}, "its extra: data cannot be ['digits']"),
        ({"checksum": "1"}, "its extra: checksum cannot be '1'"),
    ],
)
def test_what_a_file_says_about_its_data_is_checked(tiny, said, message):
    trainer = Trainer(network(16, 3))
    trainer.save("mine", **said)
    expected = f"mine: what it says about its data is damaged: {message}"
    assert error("predict", "mine", "a.png") == error("train", "--resume", "mine") == expected


def test_names_of_classes_cannot_command_the_terminal(tiny):
    nnkit_ok("train", tiny, *TINY)
    trainer = Trainer.load(f"runs/tiny/{CHECKPOINT}")
    trainer.save("mine", **{**trainer.extra, "class_names": ["\x1b[2J", "b\n", "c"]})
    text = nnkit_ok("evaluate", "mine")
    assert "\\x1b[2J" in text
    assert "\x1b" not in text
    trainer.save("mine", data="a\x1b[2J")
    assert "\\x1b[2J" in error("evaluate", "mine")


def test_a_disk_that_is_full_when_the_curves_are_saved(drawn, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    assert error("train", drawn, *TINY) == (
        "results cannot be written into runs/tiny: No space left on device"
    )


def test_a_folder_that_cannot_be_made(tiny, folder):
    (folder / "file").write_text("")
    for out in ("file", "file/inside"):
        reason = "File exists" if out == "file" else "Not a directory"
        assert error("train", tiny, "--out", out) == (
            f"{out} cannot be made: {reason}; choose a folder with --out"
        )
    (folder / "runs").write_text("")
    message = error("train", tiny)
    assert message.startswith("runs/tiny cannot be made: ")


def test_without_matplotlib_there_are_no_curves(drawn, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("train", drawn, *TINY)
    assert result.exit_code == 0
    assert result.stderr == (
        "nnkit: no learning-curves.png: pictures need Matplotlib: pip install matplotlib\n"
    )
    assert names("runs/tiny") == ["history.json", CHECKPOINT]
    assert "learning-curves.png" not in result.stdout


@pytest.mark.parametrize("arguments", [["--debug", "train", "none"], ["train", "none", "--debug"]])
def test_debug_shows_where_an_error_comes_from(arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert "catalogue.py" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("nnkit: error: 'none' is no data set")


def fail_with(monkeypatch, raised):
    def load(name, **_):
        raise raised

    monkeypatch.setattr("nnkit.cli.checkpoints.load", load)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            KeyError("x"),
            "KeyError: 'x' (unexpected: --debug shows where it happened)",
        ),
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 9 EiB"), "not enough memory. Unable to allocate 9 EiB"),
        (PermissionError(errno.EACCES, "Permission denied", "a.npz"), "a.npz: Permission denied"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (ValueError("first line\nsecond line"), "first line second line"),
    ],
)
def test_anything_else_is_one_line_too(monkeypatch, raised, message):
    fail_with(monkeypatch, raised)
    assert error("train", "digits") == message


def test_ctrl_c_before_training(monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    result = run("train", "digits")
    assert (result.exit_code, result.stderr) == (130, "nnkit: interrupted\n")


# ---------------------------------------------------------------------- evaluate


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    """The checkpoint of a network that knows digits."""
    out = tmp_path_factory.mktemp("digits")
    nnkit_ok("train", "digits", "--epochs", 3, "--out", out, "--quiet", "--backend", "numpy")
    return out / CHECKPOINT


def test_evaluate_prints_loss_accuracy_and_a_line_per_class(digits_run):
    trainer, digits = Trainer.load(digits_run), data.load("digits")
    figures = trainer.evaluate(digits.x_test, digits.t_test)
    lines = nnkit_ok("evaluate", digits_run).splitlines()
    assert lines[:3] == [
        "data      digits: 355 test images",
        f"loss      {figures['loss']:.4f}",
        f"accuracy  {figures['accuracy']:.2%}",
    ]
    assert [line.split()[0] for line in lines[4:]] == ["class", *digits.class_names]


def test_evaluate_as_json_agrees_with_what_the_network_answers(digits_run):
    trainer, digits = Trainer.load(digits_run), data.load("digits")
    answers = trainer.predict(digits.x_test)
    result = json.loads(nnkit_ok("evaluate", digits_run, "--json"))
    assert result["accuracy"] == pytest.approx((answers == digits.t_test).mean())
    assert sum(row["images"] for row in result["classes"]) == result["images"] == 355
    for label, row in enumerate(result["classes"]):
        own = answers[digits.t_test == label]
        wrong = own[own != label]
        assert row["class"] == str(label)
        assert row["accuracy"] == pytest.approx((own == label).mean())
        if len(wrong):
            counts = np.bincount(wrong, minlength=10)
            assert row["mistaken_for"]["images"] == counts.max()
            assert counts[int(row["mistaken_for"]["class"])] == counts.max()
        else:
            assert row["mistaken_for"] is None


def test_evaluate_on_other_data(digits_run, folder):
    digits = data.load("digits")
    x, t = digits.x_test.reshape(-1, 8, 8)[:50], digits.t_test[:50]
    np.savez(folder / "few.npz", x_train=x, t_train=t, x_test=x, t_test=t)
    assert json.loads(nnkit_ok("evaluate", digits_run, "few.npz", "--json"))["images"] == 50


def test_evaluate_on_data_that_do_not_fit(digits_run, tiny, folder):
    assert error("evaluate", digits_run, tiny) == (
        f"{tiny}: its images have size 4x4, not 8x8, and only image files are scaled to another"
    )
    x, t = np.zeros((2, 8, 8), np.uint8), np.array([3, 12])
    np.savez(folder / "many.npz", x_train=x, t_train=t, x_test=x, t_test=t)
    assert error("evaluate", digits_run, "many.npz") == (
        "labels must be 0 to 9 for 10 outputs, but they reach from 3 to 12"
    )


def test_evaluate_a_file_with_no_more_than_a_model(tiny):
    network(16, 3).save("model")
    assert "accuracy" in nnkit_ok("evaluate", "model", tiny)


def test_evaluate_damaged_and_foreign_files(folder, digits_run):
    whole = digits_run.read_bytes()
    Path("short").write_bytes(whole[: len(whole) // 2])
    Path("text").write_text("hello")
    for name in ("short", "text"):
        assert error("evaluate", name).startswith(f"{name} is no safetensors file or is damaged")
    assert error("evaluate", ".") == "there is no checkpoint ."


def test_networks_that_do_not_tell_classes_apart_are_refused():
    Trainer(network(16, 3), loss=nnkit.MeanSquaredError()).save("regression")
    expected = "regression was trained with MeanSquaredError(): it does not tell classes apart"
    assert error("evaluate", "regression", "digits") == expected
    assert error("predict", "regression", "a.png") == expected


# ---------------------------------------------------------------------- predict


@pytest.fixture
def picture(folder):
    """Save a test image of a 0, dark on light and large."""
    image = pytest.importorskip("PIL.Image")
    digits = data.load("digits")
    zero = digits.x_test[digits.t_test == 0][0].reshape(8, 8)
    pixels = np.kron(255 - zero, np.ones((9, 9))).astype(np.uint8)
    image.fromarray(np.pad(pixels, 20, constant_values=255)).save(folder / "digit.png")
    return "digit.png"


def test_predict_prints_the_class_and_a_line_for_every_probability(digits_run, picture):
    first, *lines = nnkit_ok("predict", digits_run, picture).splitlines()
    assert first.startswith("digit.png: 0 (")
    assert [line.split()[0] for line in lines] == list("0123456789")
    shares = [float(line.split()[1].rstrip("%")) for line in lines]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert max(shares) == shares[0]
    assert lines[0].count("█") == round(30 * shares[0] / 100)


def test_predict_as_json(digits_run, picture):
    (result,) = json.loads(nnkit_ok("predict", digits_run, picture, "--json"))
    assert (result["file"], result["class"]) == ("digit.png", "0")
    assert list(result["probabilities"]) == list("0123456789")
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert result["probability"] == result["probabilities"]["0"] > 0.5


def test_raw_leaves_the_image_as_it_is(digits_run, picture, monkeypatch):
    asked = []

    def read_image(path, shape, how):
        asked.append((path, shape, how))
        return np.zeros(64, np.uint8)

    monkeypatch.setattr(sys.modules["nnkit.recognising"], "read_image", read_image)
    nnkit_ok("predict", digits_run, picture)
    nnkit_ok("predict", digits_run, picture, "--raw")
    assert asked == [(picture, (8, 8), "fit"), (picture, (8, 8), "resize")]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_one_bad_image_does_not_hide_the_others(digits_run, picture, options):
    Path("bad.png").write_text("hello")
    result = run("predict", digits_run, "none.png", picture, "bad.png", *options)
    assert result.exit_code == 1
    assert result.stderr == (
        "nnkit: error: none.png: No such file or directory\n"
        "nnkit: error: bad.png: is no image that nnkit reads (PNG, JPEG, GIF, BMP, PPM, TIFF, "
        "WEBP); convert it to PNG\n"
    )
    files = json.loads(result.stdout) if options else result.stdout.split(":")[:1]
    assert len(files) == 1
    assert picture in str(files)


def test_predict_with_class_names_of_any_number(folder, picture):
    x = np.random.default_rng(0).integers(0, 255, (40, 4, 4), dtype=np.uint8)
    t = np.arange(40) % 20
    np.savez("many.npz", x_train=x, t_train=t, x_test=x, t_test=t)
    nnkit_ok("train", "many.npz", "--epochs", 1, "--hidden", "none")
    lines = nnkit_ok("predict", f"runs/many/{CHECKPOINT}", picture).splitlines()[1:]
    shares = [float(line.split()[1].rstrip("%")) for line in lines]
    assert len(lines) == 10
    assert shares == sorted(shares, reverse=True)


def test_predict_the_most_probable(digits_run, picture):
    full = nnkit_ok("predict", digits_run, picture).splitlines()
    best = sorted(full[1:], key=lambda line: -float(line.split()[1].rstrip("%")))[:2]
    assert nnkit_ok("predict", digits_run, picture, "--top", 2).splitlines() == [full[0], *best]
    (result,) = json.loads(nnkit_ok("predict", digits_run, picture, "--json", "--top", 2))
    assert list(result["probabilities"]) == [line.split()[0] for line in best]


def test_predict_a_line_for_each_of_several_images(digits_run, picture):
    Path("a\x1b[2J.png").write_bytes(Path(picture).read_bytes())
    first, second = nnkit_ok("predict", digits_run, picture, "a\x1b[2J.png").splitlines()
    share = r"\d+\.\d%"
    assert re.fullmatch(rf"digit\.png: 0 \({share}\)  \d \({share}\)  \d \({share}\)", first)
    assert second == first.replace("digit", r"a\x1b[2J")
    lines = nnkit_ok("predict", digits_run, picture, picture, "--top", 1).splitlines()
    assert re.fullmatch(rf"digit\.png: 0 \({share}\)", lines[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and devices")
def test_predict_does_not_wait_for_a_pipe(digits_run, picture):
    os.mkfifo("pipe")
    result = run("predict", digits_run, "pipe", "/dev/zero", ".", picture)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "nnkit: error: pipe: is not an ordinary file",
        "nnkit: error: /dev/zero: is not an ordinary file",
        "nnkit: error: .: Is a directory",
    ]
    assert result.stdout.startswith("digit.png: 0 (")


@pytest.mark.parametrize("shape", [[8], [8, -8], [10**9, 10**9], ["8", "8"], 8, [4, 4]])
def test_predict_checks_the_size_that_a_checkpoint_gives(folder, picture, shape):
    trainer = nnkit.Trainer(network(64, 10))
    trainer.save("odd", image_shape=shape, preparation="resize")
    message = error("predict", "odd", picture)
    assert message.startswith("odd: what it says about its data is damaged: its ")
    assert f"image_shape cannot be {shape}" in message


def test_predict_does_without_a_preparation(folder, picture):
    nnkit.Trainer(network(64, 10)).save("plain", image_shape=(8, 8))
    assert nnkit_ok("predict", "plain", picture).startswith("digit.png: ")


def test_predict_writes_each_class_as_json(folder, picture):
    names = ["a\x1b", "a\\x1b", *map(str, range(8))]
    nnkit.Trainer(network(64, 10)).save("ten", image_shape=(8, 8), class_names=names)
    (record,) = json.loads(nnkit_ok("predict", "ten", picture, "--json"))
    assert [*record["probabilities"]] == names
    assert sum(record["probabilities"].values()) == pytest.approx(1)
    nnkit.Trainer(network(64, 10)).save("twice", image_shape=(8, 8), class_names=["a", "a"])
    assert "two of its class_names are the same" in error("predict", "twice", picture)


@pytest.fixture
def photos(folder):
    image = pytest.importorskip("PIL.Image")
    for name, level in (("dark", 20), ("light", 220)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(10):
            page = np.full((9, 12, 3), level + i, np.uint8)
            image.fromarray(page).save(folder / "photos" / name / f"{i}.png")
    return folder / "photos"


def test_own_image_files_from_training_to_prediction(photos, monkeypatch):
    monkeypatch.setattr(
        "nnkit.cli.fitting.learning_curves", lambda history, path, **_: path.touch()
    )
    options = ["--hidden", "8", "--epochs", 20, "--lr", 0.03]
    text = nnkit_ok("train", "photos", "--image-size", "4x5", *options)
    assert "data       photos: 16 training and 4 test images of 4x5, 2 classes" in text
    assert "prepared   made gray; 1 in 5 of each class held out for testing" in text
    run_of = f"runs/photos/{CHECKPOINT}"
    assert nnkit_ok("predict", run_of, "photos/dark/3.png").startswith("photos/dark/3.png: dark (")
    assert "accuracy  100.00%" in nnkit_ok("evaluate", run_of)
    nnkit_ok("train", "--resume", run_of, "--epochs", 21)
    for name in ("dark", "light"):
        (photos / name).rename(photos / f"very {name}")
    assert error("evaluate", run_of, "photos") == (
        f"{run_of} tells dark, light apart, but the classes of photos are very dark, very light: "
        "they must be the same, in the same order"
    )


@pytest.mark.parametrize("white", [1, 255], ids=["zeros and ones", "tiny"])
def test_predict_scales_as_training_did(folder, white):
    """Bytes that `fit` alone would leave as they are: 0 and 1, and rows too short for an image."""
    image = pytest.importorskip("PIL.Image")
    side = 5 if white == 1 else 3
    t = np.arange(40) % 2
    x = np.zeros((40, side, side), np.uint8)
    x[t == 0, 0] = x[t == 1, -1] = white
    np.savez("bars.npz", x=x, y=t)
    nnkit_ok("train", "bars.npz", "--epochs", 60, "--lr", 0.02, "--hidden", "8", "--out", "bars")
    images = np.where(x[:2] > 0, np.uint8(255), np.uint8(0))
    for name, page in zip("ab", images, strict=True):
        image.fromarray(page).save(f"{name}.png")
    first, second = nnkit_ok("predict", f"bars/{CHECKPOINT}", "a.png", "b.png").splitlines()
    assert first.startswith("a.png: 0 (9")
    assert second.startswith("b.png: 1 (9")


@pytest.mark.parametrize("size", ["0", "x", "4x", "4x5x6", "-3", "4.5", "٣"])
def test_sizes_that_are_none(size):
    assert "is neither a size such as 28 nor height and width such as 24x32" in usage_error(
        "train", "photos", "--image-size", size
    )


def test_results_in_the_home_folder(tiny, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "home"))
    nnkit_ok("train", "tiny.npz", "--epochs", 1, "--out", "~/results", "--quiet")
    assert (folder / "home" / "results" / CHECKPOINT).exists()


def test_predict_where_blocks_cannot_be_printed(digits_run, picture):
    command = [sys.executable, "-m", "nnkit", "predict", str(digits_run), picture]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "%  ####" in done.stdout


def test_predict_with_a_model_of_the_python_interface(folder, picture, monkeypatch):
    network(784, 10).save("square")
    nnkit_ok("predict", "square", picture)
    network(15, 10).save("oblong")
    expected = "oblong is no network for images, gray or in colour"
    assert error("predict", "oblong", picture) == expected


@pytest.fixture
def balls(folder):
    """Red balls and blue ones, which gray does not tell apart."""
    image = pytest.importorskip("PIL.Image")
    for name, color in (("red", (200, 40, 40)), ("blue", (40, 96, 200))):
        (folder / "balls" / name).mkdir(parents=True)
        for i in range(10):
            page = np.full((9, 12, 3), color, np.uint8) + np.uint8(i)
            image.fromarray(page).save(folder / "balls" / name / f"{i}.png")
    return folder / "balls"


def test_images_in_colour_from_training_to_prediction(balls, monkeypatch):
    monkeypatch.setattr(
        "nnkit.cli.fitting.learning_curves", lambda history, path, **_: path.touch()
    )
    options = ["--hidden", "8", "--epochs", 20, "--lr", 0.03, "--image-size", "4x5"]
    text = nnkit_ok("train", "balls", "--color", *options)
    assert "data       balls: 16 training and 4 test images of 4x5 in colour, 2 classes" in text
    assert "prepared   1 in 5 of each class held out for testing" in text
    assert "network    60-8-2, ReLU" in text
    run_of = f"runs/balls/{CHECKPOINT}"
    lines = nnkit_ok("predict", run_of, "balls/red/3.png", "balls/blue/3.png").splitlines()
    assert lines[0].startswith("balls/red/3.png: red (")
    assert lines[1].startswith("balls/blue/3.png: blue (")
    assert "accuracy  100.00%" in nnkit_ok("evaluate", run_of)
    nnkit_ok("train", "--resume", run_of, "--epochs", 21)
    assert usage_error("train", "--resume", run_of, "--color") == (
        "--color cannot be given with --resume: a run keeps its settings"
    )


def test_colours_that_are_not_there():
    assert error("train", "digits", "--color") == (
        "digits: its images have no colours, and only those of image files can be kept; leave "
        "color (--color) out"
    )


def test_arrays_in_colour_from_training_to_prediction(folder, balls, monkeypatch):
    """In the shape in which the network takes them, which is that of a row for the trained one."""
    balls = data.load(balls, color=True)
    np.savez("balls.npz", x=np.concatenate([balls.x_train, balls.x_test]), y=[0, 1] * 10)
    text = nnkit_ok("train", "balls.npz", "--epochs", 1, "--hidden", "none", "--out", "out")
    assert "test images of 9x12 in colour, 2 classes" in text
    assert nnkit_ok("predict", "out", "balls/red/3.png").startswith("balls/red/3.png: ")
    assert "accuracy" in nnkit_ok("evaluate", "out")


@pytest.mark.parametrize(
    ("shape", "image_shape"), [((9, 12, 3), (9, 12, 3)), ((9, 12, 1), (9, 12))]
)
def test_predict_asks_the_model_for_the_shape_of_its_images(balls, monkeypatch, shape, image_shape):
    class Images(nnkit.Flatten):
        """As a convolution, or what stands in front of one, takes images in a shape only."""

        @property
        def input_shape(self):
            return shape

        def output_shape(self, given):
            if given != shape:
                raise ValueError("other images")
            return super().output_shape(given)

    seen = []
    classifier = nnkit.Trainer(nnkit.Sequential(Images(), nnkit.Linear(np.prod(shape), 2)))
    predict_proba = classifier.predict_proba
    monkeypatch.setattr(classifier, "predict_proba", lambda x: seen.append(x) or predict_proba(x))
    command = sys.modules["nnkit.cli.predict"]
    monkeypatch.setattr(command, "load_trainer", lambda *_: classifier)
    assert nnkit_ok("predict", "any", "balls/red/3.png").startswith("balls/red/3.png: ")
    want = read_image("balls/red/3.png", image_shape).reshape(1, *shape)
    np.testing.assert_array_equal(np.rint(seen[0] * (1 if seen[0].max() > 1 else 255)), want)


def test_predict_needs_a_network_for_images(folder, picture):
    for name, shape, dtype in (("rows", (16,), np.uint8), ("floats", (4, 4), np.float32)):
        x = np.full((40, *shape), 77).astype(dtype)
        make_npz(folder / f"{name}.npz", x_train=x, t_train=np.arange(40) % 3, x_test=x[:12])
        nnkit_ok("train", f"{name}.npz", "--epochs", 1, "--out", name)
    rows, floats = (f"{name}/{CHECKPOINT}" for name in ("rows", "floats"))
    expected = f"{rows} is no network for images, gray or in colour"
    assert error("predict", rows, picture) == expected
    assert error("predict", floats, picture) == (
        f"{floats} was trained on pixels from 77 to 77: image files hold bytes, which are 0 to 1 "
        "here; use nnkit.load in Python"
    )


def test_without_pillow(digits_run, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = error("predict", digits_run, picture)
    assert message == "reading images needs Pillow; run: pip install pillow"


# ---------------------------------------------------------------------- info and datasets


def test_info():
    assert nnkit_ok("info").startswith("versions\n")
    assert json.loads(nnkit_ok("info", "--json"))["versions"]["numpy"] == np.__version__


def test_datasets(folder):
    text = nnkit_ok("datasets")
    for info in data.available():
        assert f"{info.name}: {info.description}\n" in text
    found = {row["name"]: row for row in json.loads(nnkit_ok("datasets", "--json"))}
    assert set(found) == set(data.catalogue.KNOWN)
    assert found["digits"]["location"].endswith("digits.npz")
    assert "  images   50,000 for training, 10,000 for testing, 32x32 in colour\n" in text
    assert "  images   1,442 for training, 355 for testing, 8x8\n" in text
    assert "/emnist-dataset (no licence stated)\n" in text


def test_datasets_says_what_a_download_would_take(monkeypatch):
    (info,) = (info for info in data.available() if info.name == "mnist")
    monkeypatch.setattr("nnkit.data.available", lambda: (replace(info, location=None),))
    assert "  where    not here yet: a download of 12 MB\n" in nnkit_ok("datasets")


# ---------------------------------------------------------------------- the progress bar


def test_the_bar_shows_loss_accuracy_speed_and_time_left(capsys, monkeypatch):
    digits = data.load("digits")
    monkeypatch.setattr("nnkit.progress.REFRESH_SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "100")
    bar = ProgressBar("test", live=True)
    trainer = Trainer(network(64, 10))
    trainer.fit(
        digits.x_train,
        digits.t_train,
        2,
        10,
        validation_data=(digits.x_test, digits.t_test),
        callbacks=[bar],
    )
    out, err = capsys.readouterr()
    assert [line.split("   ")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    drawn = [part for part in err.split("\r") if "left" in part]
    assert drawn
    for part in drawn:
        assert part.startswith("epoch ")
        for figure in ("loss ", "accuracy ", "/s, ", "%"):
            assert figure in part
    assert any(part.startswith("epoch 1/2") for part in drawn)
    assert any(part.startswith("epoch 2/2") for part in drawn)


def progress_at(epoch, step, epochs=3, examples=1000, batch_size=100):
    return SimpleNamespace(
        progress=SimpleNamespace(
            epoch=epoch, step=step, epochs=epochs, examples=examples, batch_size=batch_size
        ),
        running=lambda: {"loss": 0.5, "accuracy": 0.75},
    )


def test_time_left_is_that_of_the_whole_run(monkeypatch):
    bar = ProgressBar(live=False)
    monkeypatch.setattr(time, "perf_counter", lambda: 100.0)
    bar.on_fit_begin(progress_at(0, 0))
    # 500 of 3,000 examples in 2 seconds: the other 2,500 take 10.
    figures = bar._figures(progress_at(0, 5), 102.0)
    assert figures == ["loss 0.5000", "accuracy 75.0%", "250/s", "0:10 left"]


def test_a_resumed_run_counts_from_where_it_began(monkeypatch):
    bar = ProgressBar(live=False)
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    bar.on_fit_begin(progress_at(1, 5))
    # 400 examples in 1 second, and 1,100 are left.
    assert bar._figures(progress_at(1, 9), 1.0)[-2:] == ["400/s", "0:03 left"]


@pytest.mark.parametrize(
    ("step", "seconds", "clock"), [(1, 1, "0:29"), (1, 60, "29:00"), (1, 600, "4:50:00")]
)
def test_time_left_is_written_like_a_clock(monkeypatch, step, seconds, clock):
    bar = ProgressBar(live=False)
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    bar.on_fit_begin(progress_at(0, 0))
    assert bar._figures(progress_at(0, step), seconds)[-1] == f"{clock} left"


def test_on_a_terminal_the_bar_is_drawn(tiny):
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 80))
    command = [sys.executable, "-m", "nnkit", "train", str(tiny), "--epochs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=there, text=True) as process:
        os.close(there)
        drawn = b""
        try:
            while part := os.read(here, 4096):
                drawn += part
        except OSError:  # Linux reports the end of a terminal as an error.
            pass
        finally:
            os.close(here)
        out = process.stdout.read()
    assert process.returncode == 0
    assert b"epoch 1/2 |" in drawn
    assert "epoch 2/2   loss" in out
    assert "|" not in out


# ---------------------------------------------------------------------- as a process


def start(*arguments, **options):
    command = [sys.executable, "-u", "-m", "nnkit", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_on_a_running_process_then_resume(python_signals):
    options = ["digits", "--epochs", 40, "--hidden", 32, "--dropout", 0.1, "--schedule", "cosine"]
    with start("train", *options, "--out", "two") as process:
        for line in process.stdout:
            if line.startswith("epoch  2/40"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("nnkit: stopped in epoch ")
    assert err.endswith(f"nnkit: to continue: nnkit train --resume two/{CHECKPOINT}\n")

    nnkit_ok("train", "--resume", f"two/{CHECKPOINT}")
    nnkit_ok("train", *options, "--out", "one")
    assert parameters(f"two/{CHECKPOINT}") == parameters(f"one/{CHECKPOINT}")


def wait_for(path, process):
    """Wait until a process has written a file."""
    while not Path(path).exists():
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("pause", [0, 0.005, 0.05])
def test_three_times_ctrl_c_print_no_traceback(python_signals, pause):
    options = ["digits", "--epochs", 4000, "--hidden", 16]
    with start("train", *options, "--out", "out") as process:
        wait_for(f"out/{CHECKPOINT}", process)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err
    assert err.count("nnkit: ") == len(err.splitlines())
    Trainer.load(f"out/{CHECKPOINT}")


def test_a_signal_that_comes_while_its_handler_is_changed(monkeypatch, capsys):
    """Python drops it, and says so in a traceback that nobody can catch."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    raised = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    interruption.end_at_once_next_time()
    lost = OSError("Signal 2 ignored due to race condition")
    sys.unraisablehook(SimpleNamespace(exc_value=lost))
    assert raised == [signal.SIGINT] and not capsys.readouterr().err
    others = []
    monkeypatch.setattr(sys, "__unraisablehook__", others.append)
    sys.unraisablehook(SimpleNamespace(exc_value=OSError("another")))
    assert len(others) == len(raised) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_two_processes_do_not_share_a_folder(tiny):
    options = ["digits", "--epochs", 4000, "--hidden", 16]
    with start("train", *options, "--out", "out") as process:
        wait_for(f"out/{CHECKPOINT}", process)
        expected = "another process is training in out: wait for its end, or choose --out"
        assert error("train", tiny, "--out", "out") == expected
        assert error("train", "--resume", f"out/{CHECKPOINT}", "--epochs", 5000) == expected
        nnkit_ok("evaluate", f"out/{CHECKPOINT}")
        process.kill()
        process.communicate()
    trainer = Trainer.load(f"out/{CHECKPOINT}")
    nnkit_ok("train", "--resume", f"out/{CHECKPOINT}", "--epochs", trainer.progress.epoch + 1)
    assert names("out") == ["history.json", "learning-curves.png", CHECKPOINT]


def test_a_run_that_goes_on_is_claimed_however_it_is_named(tiny, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    nnkit_ok("train", tiny, *TINY, "--out", "real")
    Path("elsewhere").mkdir()
    Path("elsewhere/link").symlink_to(folder / "real" / CHECKPOINT)
    Path("alias").symlink_to("real", target_is_directory=True)
    named = (f"real/{CHECKPOINT}", "real", f"~/real/{CHECKPOINT}", "alias", "elsewhere/link")
    with locking.folder(Path("real")):
        for name in named:
            message = error("train", "--resume", name, "--epochs", 9)
            assert message.startswith("another process is training in ")
            nnkit_ok("evaluate", name)
    for epochs, name in enumerate(named, 3):
        nnkit_ok("train", "--resume", name, "--epochs", epochs)
        assert Trainer.load(f"real/{CHECKPOINT}").progress.epoch == epochs
        assert len(json.loads(Path("real/history.json").read_text())["loss"]) == epochs
    assert names("elsewhere") == ["link"]
    assert Path("elsewhere/link").is_symlink()


def test_a_folder_is_free_again_after_a_run_and_after_an_error(tiny):
    for _ in range(2):
        assert "diverged" in error("train", tiny, "--optimizer", "sgd", "--lr", 1e30, "--out", "a")
    nnkit_ok("train", tiny, *TINY, "--out", "a")
    nnkit_ok("train", "--resume", f"a/{CHECKPOINT}", "--epochs", 3)


def test_nobody_reads_to_the_end():
    with start("train", "digits", "--hidden", 4) as process:
        assert process.stdout.readline().startswith("backend    numpy")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("argument", ["datasets", "--help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_process_whose_output_cannot_be_written(monkeypatch, argument, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "nnkit", argument]
        done = subprocess.run(
            command, check=False, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "nnkit: error: No space left on device\n"


def test_a_process_whose_output_is_of_another_part_of_the_world(tmp_path, monkeypatch):
    """As on Windows, where a pipe takes the letters of one part alone."""
    folder = tmp_path / "자료" / "mnist"
    folder.mkdir(parents=True)
    for name in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        (folder / name).touch()
    monkeypatch.setenv("NNKIT_DATA_DIR", str(folder.parent))
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    command = [sys.executable, "-m", "nnkit", "datasets"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\uc790\ub8cc" in done.stdout


def test_what_windows_says_of_a_pipe_that_nobody_reads(monkeypatch):
    refusal = OSError(errno.EINVAL, "Invalid argument")
    assert not _unread(refusal)
    monkeypatch.setattr(sys, "platform", "win32")
    assert _unread(refusal)
    assert not _unread(OSError(errno.EINVAL, "Invalid argument", "file"))
    assert not _unread(OSError(errno.ENOSPC, "No space left on device"))
    assert not _unread(ValueError("no number"))


# ---------------------------------------------------------------------- warm


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ([], "784-256-128-10, ReLU, adam, float32"),
        (["--hidden", "8", "--dtype", "float64", "--augment", "shift=2"], "784-8-10, "),
        (["--hidden", "8", "--dropout", "0.1", "--optimizer", "sgd"], "784-8-10, ReLU, Dropout, s"),
    ],
)
def test_warm_says_what_it_is_ready_for_and_leaves_nothing(folder, options, network):
    assert nnkit_ok("warm", *options).startswith(f"ready on numpy: {network}")
    assert [*folder.iterdir()] == []


def test_warm_prints_nothing_where_that_is_wished():
    assert nnkit_ok("warm", "--hidden", "8", "--quiet") == ""


def test_warm_fails_where_nothing_can_be_kept(monkeypatch):
    cache = pytest.importorskip("nnkit.kernels.numba.codegen.cache")
    monkeypatch.setattr(cache, "_warned", ["a full disk"])
    result = run("warm", "--backend", "numba", "--hidden", "8")
    assert result.exit_code == 1
    assert "could not be kept: set NUMBA_CACHE_DIR to a folder" in result.output


def test_warm_has_all_options_of_train_that_choose_kernels():
    train, warm = ({p.name for p in cli.commands[name].params} for name in ("train", "warm"))
    others = {"data", "epochs", "batch_size", "lr", "schedule", "weight_decay", "seed", "out"}
    tables = {"target", "drop", "impute", "regression"}
    others |= {"checkpoint", "image_size", "color", "watch", "no_browser"}
    assert train - warm == others | tables
    assert warm <= train


def test_warm_refuses_layers_beside_a_network_by_its_name():
    said = usage_error("warm", "--model", "lenet", "--hidden", "8")
    assert said.startswith("--hidden cannot be given with --model: lenet has layers of its own")
