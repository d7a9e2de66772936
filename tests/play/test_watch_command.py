"""``nnkit train --watch``."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

from tests.play.watching import Page


@contextmanager
def training(folder, *options):
    """The command, and the address that it has told."""
    command = [sys.executable, "-m", "nnkit", "train", "digits", "--out", str(folder), "--watch"]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--no-browser", *options], **how) as process:
        try:
            line = next(line for line in process.stderr if "watch" in line)
            yield process, SimpleNamespace(address=re.search(r"http://\S+", line)[0])
        finally:
            process.kill()


def test_a_run_is_watched_and_stopped_from_the_page(tmp_path):
    with training(tmp_path, "--epochs", "100000", "--quiet", "--backend", "numpy") as (run, watch):
        with Page(watch) as page:
            assert page.until("run")["classes"] == list("0123456789")
            assert page.until("frame")["weights"].shape[1:] == (8, 8, 1)
            page.send("stop", run=1)
            frame = page.until("frame", state="stopped")
        out, err = run.communicate(timeout=30)
    assert run.returncode == 0
    assert "to continue: nnkit train --resume" in err
    assert (tmp_path / "model.safetensors").exists()
    assert ("test accuracy" in out) == bool(frame["passed"])


def test_it_ends_by_itself_where_no_person_watches(tmp_path):
    with training(tmp_path, "--epochs", "2", "--backend", "numpy") as (run, _):
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0
    assert "The page stays open" not in err
    assert "test accuracy" in out
    assert len(json.loads((tmp_path / "history.json").read_text())["loss"]) == 2
