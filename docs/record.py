"""Run the examples, and keep what they print and draw for the page "The examples".

``python docs/record.py`` writes ``docs/outputs/``, on the NumPy backend and with the digits that
come with nnkit. Times, which are a machine's own, are left out.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUTPUTS = ROOT / "docs" / "outputs"
TIME = re.compile(r" *\d+\.\d(?= (s on|us an))")


def main() -> None:
    """Record all examples, or those whose names are given."""
    OUTPUTS.mkdir(exist_ok=True)
    for path in sorted((ROOT / "examples").glob("*.py")):
        if len(sys.argv) == 1 or path.stem in sys.argv[1:]:
            (OUTPUTS / f"{path.stem}.txt").write_text(record(path), "utf-8")


def record(path: Path) -> str:
    """Run an example, which draws if it can, and return what it prints."""
    draws = "--plot" in path.read_text("utf-8")
    options = ["--plot", f"{path.stem}.png"] if draws else []
    with tempfile.TemporaryDirectory() as empty:
        here = {"NNKIT_DATA_DIR": empty, "XDG_CACHE_HOME": empty, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, str(path), *options],
            check=True, stdout=subprocess.PIPE, text=True, cwd=OUTPUTS,
            env={**os.environ, **here, "NNKIT_BACKEND": "numpy"},
        )  # fmt: skip
    lines = (line.rstrip() for line in done.stdout.strip("\n").splitlines())
    return TIME.sub(" ...", "\n".join(lines)) + "\n"


if __name__ == "__main__":
    main()
