"""The chapters: complete, in both languages, with settings that show what they claim."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit.play.files import page

FILES = page()
CHAPTERS = json.loads(FILES["chapters.json"][0])
IDS = [chapter["id"] for chapter in CHAPTERS]
TEXTS = {name: json.loads(FILES[f"strings/{name}.json"][0])["chapters"] for name in ("en", "ko")}
ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| .* \| \[`(\d\d_\w+\.py)`\]\(.*\) \| \[`([\w/.]+)`\]", re.M)
PARTS = {"bars", "seen", "why", "weights", "maps", "teach"}
"""What the view "draw" can show."""
SETTINGS = {
    *("problem", "points", "noise", "hidden", "activation", "initial", "batch_norm", "loss"),
    *("optimizer", "lr", "batch", "decay", "dropout", "seed", "backend"),
}
DRAWN = {"mlp", "sigmoid", "lenet"}
"""Models that the view "draw" has without being given any."""


def test_every_subject_of_the_path_has_a_chapter():
    rows = ROW.findall((ROOT / "README.md").read_text("utf-8"))
    assert len(rows) == 34
    assert [(c["example"], c["file"]) for c in CHAPTERS] == [(f"examples/{e}", f) for e, f in rows]
    assert len({*IDS}) == len(IDS)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_a_chapter_is_complete(chapter):
    assert (ROOT / chapter["example"]).is_file()
    assert (ROOT / chapter["file"]).is_file()
    assert chapter["tries"]
    for texts in TEXTS.values():
        assert texts[f"part_{chapter['part']}"]
        mine = texts[chapter["id"]]
        wanted = {"title", "text", "question", "answer"}
        if len(chapter["tries"]) > 1:
            wanted |= {f"try_{name}" for name in chapter["tries"]}
        assert {*mine} == wanted
        assert all(text.strip() == text != "" for text in mine.values())
    for name in ("title", "text", "question", "answer"):
        assert TEXTS["en"][chapter["id"]][name] != TEXTS["ko"][chapter["id"]][name]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_settings_are_those_of_the_view(chapter):
    for values in chapter["tries"].values():
        if chapter["view"] == "draw":
            assert {*values} <= {"model", "second", "show"}
            assert {values["model"], values.get("second", "mlp")} <= DRAWN
            assert {*values["show"].split(",")} <= PARTS
        else:
            assert {*values["show"].split(",")} <= SETTINGS
            assert {*values} <= SETTINGS | {"show"}


WITH_CODE = [chapter for chapter in CHAPTERS if "code" in chapter]


@pytest.mark.parametrize("chapter", WITH_CODE, ids=[c["id"] for c in WITH_CODE])
def test_the_code_runs(chapter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with nnkit.use_backend("numpy"):
        exec(compile("\n".join(chapter["code"]), chapter["id"], "exec"), names)
    if chapter["id"] == "im2col":
        here = (names["windows"][3, 5][..., None] * names["filters"]).sum(axis=(0, 1))
        assert names["maps"][3, 5] == pytest.approx(here)
    if chapter["id"] == "own-layer":
        assert ring(names["model"]) == 1
    if chapter["id"] == "save-and-resume":
        assert len(names["trainer"].history.loss) == 4


def ring(model):
    """Accuracy that a model reaches on a disc in a ring, in a hundred epochs."""
    rng = np.random.default_rng(0)
    t = np.arange(200) % 2
    radius = np.where(t == 0, rng.uniform(0, 0.45, 200), rng.uniform(0.65, 1, 200))
    angle = rng.uniform(0, 2 * np.pi, 200)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    trainer = nnkit.Trainer(model, nnkit.SigmoidCrossEntropy(), nnkit.Adam(lr=0.1))
    how = {"epochs": 100, "batch_size": 20, "progress": False, "compile": False}
    return trainer.fit(x, t, **how).accuracy[-1]
