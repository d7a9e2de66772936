"""``nnkit train table.csv --target column``, from training to prediction."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import nnkit
from nnkit.cli import cli
from nnkit.data import TableEncoder, from_table
from nnkit.training import Trainer

polars = pytest.importorskip("polars")
pytest.importorskip("narwhals")

CHECKPOINT = "model.safetensors"
QUICK = ("--hidden", 8, "--lr", 0.02, "--quiet")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on NumPy; nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setattr("nnkit.cli.fitting.learning_curves", lambda *_, **__: None)
    write("flowers.csv")
    return tmp_path


def table(n=90):
    rng = np.random.default_rng(0)
    petal, colour = rng.uniform(0, 3, n), rng.choice(["red", "blue"], n)
    species = np.array(["setosa", "versicolor", "virginica"])[petal.astype(int)]
    weight = 100 + 20 * petal + 10.5 * (colour == "red")
    return polars.DataFrame(
        {"petal": petal, "colour": colour, "species": species, "weight": weight}
    )


def write(path, **changes):
    frame = table().with_columns(*(polars.Series(k, v) for k, v in changes.items()))
    frame.write_parquet(path) if path.endswith("parquet") else frame.write_csv(path)
    return path


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def ok(*arguments):
    """Run a command that must succeed, and return what it prints."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def error(*arguments):
    """Run a command that must fail, and return the line that it says about it."""
    result = run(*arguments)
    assert result.exit_code == 1
    return result.stderr.removeprefix("nnkit: error: ").rstrip("\n")


def train(*arguments):
    return ok("train", "flowers.csv", *QUICK, *arguments)


def test_classes_from_training_to_prediction(folder):
    said = ok("train", "flowers.csv", "--target", "species", "--drop", "weight", *QUICK[:-1])
    assert re.search(
        r"^data       flowers.csv: 73 training and 17 test rows of 3, 3 classes of 'species'$"
        r"\n^prepared   1 in 5 of each class held out for testing$",
        said,
        re.M,
    )
    assert "50 epochs of 3 steps, batch 32" in said
    assert float(re.search(r"^test accuracy ([\d.]+)%", said, re.M)[1]) > 90
    checkpoint = folder / "runs" / "flowers" / CHECKPOINT
    encoder = TableEncoder.of(Trainer.load(checkpoint, "numpy").extra["table_encoder"])
    assert encoder.feature_names == ("petal", "colour=blue", "colour=red")

    assert "17 test rows" in ok("evaluate", "runs/flowers")
    figures = json.loads(ok("evaluate", "runs/flowers", "flowers.csv", "--json"))
    assert figures["rows"] == sum(each["rows"] for each in figures["classes"]) == 17
    write("more.parquet")
    assert "more.parquet: 90 test rows" in ok("evaluate", "runs/flowers", "more.parquet")

    lines = ok("predict", "runs/flowers", "flowers.csv", "--top", 1).splitlines()
    assert len(lines) == 90
    given = table()["species"].to_list()
    right = [
        re.fullmatch(rf"flowers\.csv row {i + 1}: {kind} \(\d+\.\d%\)", line) is not None
        for i, (line, kind) in enumerate(zip(lines, given, strict=True))
    ]
    assert np.mean(right) > 0.9
    records = json.loads(ok("predict", "runs/flowers", "flowers.csv", "--json"))
    assert records[0].keys() == {"file", "row", "class", "probability", "probabilities"}
    assert sum(records[0]["probabilities"].values()) == pytest.approx(1)

    table().drop("species", "weight").write_csv("new.csv")
    said = ok("predict", "runs/flowers", "new.csv", "--out", "answers.csv")
    assert said == "90 rows with predictions saved in answers.csv\n"
    answers = polars.read_csv("answers.csv")
    assert answers.columns == [
        *("petal", "colour", "predicted species", "probability of predicted species"),
    ]
    assert np.mean(answers["predicted species"].to_numpy() == given) > 0.9


def test_amounts_from_training_to_prediction(folder):
    said = train("--target", "weight", "--drop", "species")
    match = re.search(r"^test error ([\d.]+) \(MSE\), ([\d.]+) \(RMSE\) after", said, re.M)
    squared, root = map(float, match.groups())
    assert root == pytest.approx(squared**0.5, rel=1e-3)
    assert root < 5  # of amounts with a standard deviation of 18
    said = ok("evaluate", "runs/flowers")
    assert said.startswith("data      flowers.csv: 18 test rows\nerror     ")
    found = json.loads(ok("evaluate", "runs/flowers", "--json"))
    assert found["rmse"] == pytest.approx(root, rel=1e-3)

    table().drop("weight").write_parquet("new.parquet")
    lines = ok("predict", "runs/flowers", "new.parquet").splitlines()
    told = [float(line.rpartition(" ")[2]) for line in lines]
    assert np.abs(told - table()["weight"].to_numpy()).mean() < 5
    ok("predict", "runs/flowers", "new.parquet", "--out", "answers.csv")
    assert polars.read_csv("answers.csv")["predicted weight"].to_list() == pytest.approx(told, 1e-4)


def test_a_run_goes_on_where_it_stopped(folder):
    train("--target", "species", "--epochs", 2, "--out", "part")
    train("--target", "species", "--epochs", 4, "--schedule", "constant", "--out", "whole")
    train("--target", "species", "--epochs", 2, "--schedule", "constant", "--out", "other")
    (folder / "flowers.csv").rename(folder / "moved.csv")
    ok("train", "moved.csv", "--resume", "other", "--epochs", 4, "--quiet")
    whole, other = (Trainer.load(f"{name}/{CHECKPOINT}", "numpy") for name in ("whole", "other"))
    assert whole.model.flat.values.tobytes() == other.model.flat.values.tobytes()
    write("moved.csv", petal=[1.0] * 90)
    assert error("train", "--resume", "other", "--epochs", 5) == (
        f"other/{CHECKPOINT} was trained on other rows or labels than {folder}/moved.csv has now"
    )


def test_missing_values_filled_in():
    colours = [None, *table()["colour"][1:]]
    write("gaps.csv", colour=colours)
    assert error("train", "gaps.csv", "--target", "species") == (
        "gaps.csv: column 'colour' lacks 1 value, first in row 0: have missing ones filled in with "
        "impute=True (--impute), or leave such rows out"
    )
    ok("train", "gaps.csv", "--target", "species", "--impute", "--epochs", 1, *QUICK)
    assert len(ok("predict", "runs/gaps", "gaps.csv").splitlines()) == 90


HAS = "it has petal, colour, species, weight"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "flowers.csv: say which column is to be told from the others, target=... (--target): "
            + HAS,
        ),
        (["--target", "kind"], f"flowers.csv: the table has no target 'kind': {HAS}"),
        (
            ["--target", "species", "--drop", "a,b"],
            f"flowers.csv: drop: the table has no column 'a': {HAS}",
        ),
        (
            ["--target", "species", "--regression"],
            "flowers.csv: target 'species' holds text such as 'versicolor': amounts are numbers",
        ),
        (
            ["--target", "species", "--model", "lenet"],
            "--model lenet takes images, but flowers.csv has rows of 4 numbers of no known height "
            "and width: save arrays of shape (n, height, width) or (n, height, width, channels)",
        ),
        (
            ["--target", "species", "--batch-size", 99],
            "--batch-size 99 is more than the 73 training rows",
        ),
        (
            ["--target", "species", "--augment", "flip"],
            "--augment changes images, which flowers.csv has not",
        ),
    ],
)
def test_what_cannot_be_trained_on(arguments, message):
    assert error("train", "flowers.csv", *arguments) == message


def test_a_column_that_names_the_rows():
    write("names.csv", colour=[f"name {i}" for i in range(90)])
    assert error("train", "names.csv", "--target", "species") == (
        "names.csv: column 'colour' has 73 different texts in 73 rows, which seem to name the rows "
        "rather than to describe them: leave it out with drop=['colour'] (--drop colour)"
    )


def test_a_file_that_is_no_table(folder):
    (folder / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    assert error("train", "broken.parquet", "--target", "a").startswith(
        "broken.parquet: cannot be read as a table: "
    )


def test_what_cannot_be_predicted(folder):
    train("--target", "species", "--epochs", 1)
    table().drop("petal").write_csv("less.csv")
    assert error("predict", "runs/flowers", "less.csv") == (
        "less.csv: the table has no column 'petal': it has colour, species, weight"
    )
    ok("predict", "runs/flowers", "flowers.csv", "--out", "a.csv")
    assert error("predict", "runs/flowers", "a.csv", "--out", "b.csv") == (
        "there is a column 'predicted species' already: leave it out"
    )
    assert error("predict", "runs/flowers", "a.csv", "a.csv", "--out", "b.csv") == (
        "--out writes the rows of a single table: give one file"
    )
    assert error("predict", "runs/flowers", "a.csv", "--raw") == (
        "--raw is for images, but runs/flowers was trained on a table"
    )
    assert error("evaluate", "runs/flowers", "less.csv") == (
        "less.csv: the table has no column 'petal': it has colour, species, weight"
    )


def test_a_network_trained_in_python(folder):
    """The command line finds the encoder under its name."""
    data = from_table(table(), "species", drop=["weight"])
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(3, 3)))
    trainer.fit(data.x_train, data.t_train, 1, progress=False)
    trainer.save("own", table_encoder=data.encoder.config())
    assert len(ok("predict", "own", "flowers.csv").splitlines()) == 90
    assert "flowers.csv: 90 test rows" in ok("evaluate", "own", "flowers.csv")
    assert error("evaluate", "own") == (
        "own does not say which data it was trained on: name it, as DATA"
    )
    table().drop("species").write_csv("less.csv")
    assert error("evaluate", "own", "less.csv") == (
        "less.csv: the table has no target 'species': it has petal, colour, weight"
    )


@pytest.mark.filterwarnings("default")
def test_texts_that_were_not_there(folder):
    train("--target", "species", "--epochs", 1)
    write("new.csv", colour=["green"] * 90)
    result = run("predict", "runs/flowers", "new.csv")
    assert result.exit_code == 0
    assert result.stderr == (
        "nnkit: warning: column 'colour' has 'green', not seen in training: taken for none of the "
        "values that were\n"
    )


def test_options_of_tables_for_something_else():
    assert error("train", "digits", "--target", "digit") == (
        "digits: is no table, CSV or Parquet, for which alone there are target, drop, impute and "
        "regression"
    )
    nnkit.Sequential(nnkit.Linear(2, 2)).save("model")
    assert error("predict", "model", "a.png", "--out", "a.csv") == (
        "--out is for tables, which model was not trained on"
    )


def test_a_checkpoint_with_a_damaged_encoder(folder):
    train("--target", "species", "--epochs", 1)
    path = folder / "runs" / "flowers" / CHECKPOINT
    trainer = Trainer.load(path, "numpy")
    trainer.extra["table_encoder"]["columns"].pop()
    trainer.save(path, **trainer.extra)
    assert error("predict", "runs/flowers", "flowers.csv") == (
        "runs/flowers: what it says about its data is damaged: its table has not as many numbers "
        "as the network takes"
    )


def test_tables_where_none_are_taken():
    nnkit.Sequential(nnkit.Linear(64, 10)).save("model")
    assert error("plot", "augmentation", "flowers.csv") == (
        "flowers.csv is a table, which has no images to change"
    )
    assert error("evaluate", "model", "flowers.csv") == (
        "flowers.csv is a table, which model was not trained on"
    )
