"""Recorded results: JSON files, kept by kind of machine under bench/results/.

    {"what": "kernels", "date": "2025-01-31", "commit": "0123456789",
     "machine": {"kind": "amd-epyc-avx512-2-cores", ...}, "versions": {...}, "settings": {...},
     "results": [{"name": ..., "seconds": ..., "yardstick": ..., ...}, ...]}

Each result has a unique name, the time that counts, and the time of its yardstick in the same
process, or None: a copy of as many bytes for a kernel, the matrix products alone for a step. The
settings say "partial": true where the measuring had not ended, or did not end well.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine

FOLDER = Path(__file__).parent / "results"
WHATS = ("kernels", "steps", "products", "compare", "convolutional", "scaling", "ranks")
COMPARISONS = ("compare", "convolutional")
"""Of networks of linear layers, and of those with convolutions."""
FIELDS = {"what", "date", "commit", "machine", "versions", "settings", "results"}


def make(
    what: str,
    results: Sequence[dict[str, Any]],
    *,
    device: str = "cpu",
    versions: dict[str, str] | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Put results together with the machine, versions and commit."""
    return check(
        {
            "what": what,
            "date": datetime.now(UTC).date().isoformat(),
            "commit": machine.commit(),
            "machine": machine.describe(device),
            "versions": machine.versions(device) | (versions or {}),
            "settings": machine.settings() | (settings or {}),
            "results": list(results),
        }
    )


def partly(record: dict[str, Any]) -> dict[str, Any]:
    """Mark a record as one of a part of the results."""
    return {**record, "settings": {**record["settings"], "partial": True}}


def check(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record that is as the module's text says; raises ValueError for another."""
    if not isinstance(record, dict) or record.keys() != FIELDS:
        raise ValueError(f"a record has the fields {', '.join(sorted(FIELDS))}")
    if record["what"] not in WHATS:
        raise ValueError(f"a record is of {', '.join(WHATS)}, not of {record['what']!r}")
    if not record["machine"].get("kind"):
        raise ValueError("the record does not say which kind of machine it is from")
    names = [result["name"] for result in record["results"]]
    if len(set(names)) < len(names):
        raise ValueError(f"two results have one name: {sorted(names)}")
    for result in record["results"]:
        seconds, yardstick = result["seconds"], result["yardstick"]
        if not (seconds > 0 and (yardstick is None or yardstick > 0)):
            raise ValueError(f"the times of {result['name']!r} must be positive")
    return record


def save(record: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write ``<folder>/<kind of machine>/<date>-<what>.json``, all at once."""
    path = folder / record["machine"]["kind"] / f"{record['date']}-{record['what']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(check(record), indent=1) + "\n")
    unfinished.replace(path)
    return path


def load(path: Path) -> dict[str, Any]:
    """Read a record; raises ValueError, naming the file, where it is none."""
    try:
        return check(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def latest(
    what: str, kind: str = "*", folder: Path = FOLDER, exclude: Collection[Path] = ()
) -> dict[str, Any] | None:
    """Find the most recent record of something, on a kind of machine or on any; None without."""
    found = [path for path in folder.glob(f"{kind}/*-{what}.json") if path.resolve() not in exclude]
    return load(max(found, key=lambda path: path.name)) if found else None
