"""Tables become data sets: what the training part shows decides, for every table after it."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import sys

import numpy as np
import pytest

import nnkit
from nnkit.data import DataError, Table, TableEncoder, from_table, load
from nnkit.data.table_columns import Categories, Numbers
from nnkit.data.table_csv import read_csv
from nnkit.data.table_files import read_examples, read_rows
from nnkit.data.table_fitting import MOST_VALUES
from nnkit.data.table_reading import column, opened
from nnkit.data.table_targets import Amounts, Classes

pytest.importorskip("narwhals")

N = 60


def columns(**changes):
    rng = np.random.default_rng(0)
    age = rng.integers(20, 80, N)
    made = {
        "age": age.tolist(),
        "height": rng.normal(170, 10, N).tolist(),
        "city": rng.choice(["Rome", "Bonn", "Oslo"], N).tolist(),
        "member": (rng.random(N) > 0.5).tolist(),
        "kind": np.where(age > 50, "old", "young").tolist(),
    }
    return {name: each for name, each in (made | changes).items() if each is not None}


def library(name, data):
    module = pytest.importorskip(name)
    return module.table(data) if name == "pyarrow" else module.DataFrame(data)


LIBRARIES = ["pandas", "polars", "pyarrow"]


def frame(**changes):
    return library("polars", columns(**changes))


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_same_of_every_library(name):
    given, reference = library(name, columns()), from_table(frame(), "kind")
    data = from_table(given, "kind")
    assert type(data) is Table
    assert data.x_train.tobytes() == reference.x_train.tobytes()
    assert data.t_test.tobytes() == reference.t_test.tobytes()
    assert data.encoder == reference.encoder
    assert data.encoder.encode(given).tobytes() == data.encoder.encode(frame()).tobytes()
    assert repr(data) == (
        "Table('table': 49 training and 11 test rows of 6 numbers, 2 classes of 'kind'; 1 in 5 of "
        "each class held out for testing)"
    )


def test_numbers_flags_and_texts():
    """By formulas in NumPy, of the training part alone."""
    data = from_table(frame(), "kind", test=frame())
    made = columns()
    age = np.array(made["age"])
    np.testing.assert_allclose(data.x_train[:, 0], (age - age.mean()) / age.std(), rtol=1e-5)
    cities = np.array(made["city"])[:, None] == ["Bonn", "Oslo", "Rome"]
    np.testing.assert_array_equal(data.x_train[:, 2:5], cities)
    np.testing.assert_array_equal(data.x_train[:, 5], made["member"])
    assert data.encoder.feature_names == (
        *("age", "height", "city=Bonn", "city=Oslo", "city=Rome", "member"),
    )
    assert data.class_names == ("old", "young")
    assert data.t_train.tolist() == [made["kind"][i] == "young" for i in range(N)]
    assert data.x_train.dtype == np.float32
    assert data.x_train.flags.c_contiguous


def test_a_network_learns_it_and_answers_by_name():
    data = from_table(frame(), "kind")
    model = nnkit.Sequential(
        nnkit.Linear(6, 8), "relu", nnkit.Linear(8, 2), backend="numpy", seed=0
    )
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(0.02))
    trainer.fit(data.x_train, data.t_train, 60, progress=False)
    assert trainer.evaluate(data.x_test, data.t_test)["accuracy"] > 0.9
    answers = data.encoder.decode(trainer.predict(data.encoder.encode(frame(kind=None))))
    assert np.mean(answers == columns()["kind"]) > 0.9


def test_amounts():
    t = (np.array(columns()["age"]) * 1000.5).tolist()
    data = from_table(frame(kind=t), "kind")
    assert data.encoder.regression
    assert data.class_names == ()
    assert (data.n_classes, data.n_outputs) == (0, 1)
    assert data.t_train.dtype == np.float32
    assert abs(data.t_train.mean()) < 1e-6
    assert abs(data.t_train.std() - 1) < 1e-6
    whole = data.encoder.encode_target(frame(kind=t))
    np.testing.assert_allclose(data.encoder.decode(whole[:, None]), t, rtol=1e-5)
    assert "amounts of 'kind'; 1 in 5 held out for testing" in repr(data)


def test_the_test_part_has_no_say():
    """A number far out in it changes nothing of how the training part is encoded."""
    plain = from_table(frame(), "kind")
    heights = np.array(columns()["height"])
    row = int(np.flatnonzero(~np.isin(heights, _heights_of(plain)))[0])
    heights[row] = 1e6
    changed = from_table(frame(height=heights.tolist()), "kind")
    assert changed.encoder == plain.encoder
    assert changed.x_test.max() > 1e3


def _heights_of(data):
    """Heights of the training part."""
    heights = np.array(columns()["height"])
    scaled = data.encoder.encode(frame())[:, 1]
    return heights[np.isin(scaled, data.x_train[:, 1])]


@pytest.mark.parametrize(
    ("target", "regression", "kind", "names"),
    [
        (["b", "a"] * 30, None, Classes, ("a", "b")),
        ([True, False] * 30, None, Classes, ("False", "True")),
        ([10, 9] * 30, None, Classes, ("9", "10")),
        ([1.5, 2.0] * 30, None, Amounts, ()),
        ([1.0, 2.0] * 30, False, Classes, ("1", "2")),
        ([10, 9] * 30, True, Amounts, ()),
        (range(60), True, Amounts, ()),
    ],
)
def test_targets(target, regression, kind, names):
    data = from_table(frame(kind=[*target]), "kind", regression=regression)
    assert type(data.encoder.target) is kind
    assert data.class_names == names


@pytest.mark.parametrize("name", LIBRARIES)
def test_missing_values_filled_in(name):
    made = columns()
    for missing in ("age", "city", "member"):
        made[missing][3] = None
    given = library(name, made)
    data = from_table(given, "kind", impute=True, test=given)
    age, city, member, kind = (
        data.encoder.columns[0],
        *data.encoder.columns[2:],
        data.encoder.target,
    )
    known = [x for x in made["age"] if x is not None]
    assert age.fill == np.median(known)
    assert data.encoder.feature_names[:3] == ("age", "age=(missing)", "height")
    assert data.x_train[:, 1].tolist() == [float(i == 3) for i in range(N)]
    assert city.features[-1] == "city=(missing)"
    assert data.x_train[3, 3:].tolist() == [0, 0, 0, 1, 0.5, 1]
    assert member.fill == 0.5
    assert kind.values == ("old", "young")


def test_missing_later_but_not_in_training():
    data = from_table(frame(), "kind", impute=True)
    assert len(data.encoder.feature_names) == 6
    made = {name: [None] for name in ("age", "height", "city", "member")}
    x = data.encoder.encode(library("polars", made))
    ages, heights = data.encoder.columns[:2]
    medians = [(each.fill - each.mean) / each.std for each in (ages, heights)]
    np.testing.assert_allclose(x[0], [*medians, 0, 0, 0, 0.5], rtol=1e-5)


def test_rare_and_unseen_texts():
    cities = ["Rome", "Bonn"] * 28 + ["Lima", "Oslo", "Kyiv", "Bern"]
    data = from_table(frame(city=cities), "kind", test=frame(city=cities))
    assert data.encoder.columns[2].values == ("Bonn", "Rome")
    assert data.encoder.columns[2].other
    assert data.x_train[-4:, 4].tolist() == [1, 1, 1, 1]
    assert data.note == "4 rare values of city taken as one"
    other = data.encoder.encode(frame(city=["Paris"] * N))  # as those that are rare: no warning
    assert other[:, 4].all()

    data = from_table(frame(), "kind")
    with pytest.warns(nnkit.DataWarning) as caught:
        x = data.encoder.encode(frame(city=["Paris", "Wien", "Ulm", "Graz"] * 15))
    assert str(caught[0].message) == (
        "column 'city' has 'Graz', 'Paris', 'Ulm' and 1 more, not seen in training: taken for none "
        "of the values that were"
    )
    assert not x[:, 2:5].any()


def test_of_very_many_texts_the_most_frequent_ones_are_told_apart():
    rng = np.random.default_rng(0)
    texts = [f"t{i}" for i in rng.integers(0, 150, 2000)]
    given = library("polars", {"a": texts, "t": [0, 1] * 1000})
    column = from_table(given, "t").encoder.columns[0]
    assert len(column.values) == MOST_VALUES
    assert column.other


def test_columns_that_are_left_out():
    data = from_table(frame(), "kind", drop=["city", "member"])
    assert data.encoder.feature_names == ("age", "height")
    assert from_table(frame(), "kind", drop="city").encoder.feature_names[-1] == "member"


def test_a_constant_column():
    data = from_table(frame(age=[3] * N), "kind")
    assert "age is always 3" in data.note
    assert not data.x_train[:, 0].any()


def test_more_columns_in_another_order_do_not_matter():
    data = from_table(frame(), "kind")
    made = {"more": ["x"] * N, **dict(reversed(columns().items()))}
    assert data.encoder.encode(library("pandas", made)).tobytes() == (
        data.encoder.encode(frame()).tobytes()
    )


def test_categories_of_libraries():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    cities = columns()["city"]
    want = from_table(frame(), "kind").x_train.tobytes()
    for kind in (polars.Categorical, polars.Enum(["Rome", "Bonn", "Oslo"])):
        given = frame().with_columns(polars.Series("city", cities, kind))
        assert from_table(given, "kind").x_train.tobytes() == want
    given = pandas.DataFrame(columns())
    for other in (
        pandas.Categorical(cities),
        pandas.array(cities, "string"),
        np.array(cities, "O"),
    ):
        assert from_table(given.assign(city=other), "kind").x_train.tobytes() == want
    coded = pandas.DataFrame(columns(city=[1, 2, 3] * 20)).astype({"city": "category"})
    assert from_table(coded, "kind").encoder.feature_names[2:5] == ("city=1", "city=2", "city=3")


# ------------------------------------------------------------------ what is refused

HAS = "it has age, height, city, member, kind"


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"target": "x"}, f"the table has no target 'x': {HAS}"),
        ({}, {"drop": ["x"]}, f"drop: the table has no column 'x': {HAS}"),
        (
            {},
            {"drop": ["age", "height", "city", "member"]},
            "the table has no column beside the target 'kind'",
        ),
        (
            {"age": [*range(57), None, 1, None]},
            {},
            "column 'age' lacks 2 values, first in row 57: have missing ones filled in with "
            "impute=True (--impute), or leave such rows out",
        ),
        (
            {"age": [float("nan"), *range(59)]},
            {},
            "column 'age' lacks 1 value, first in row 0: have missing ones filled in with "
            "impute=True (--impute), or leave such rows out",
        ),
        (
            {"kind": ["a", None] * 30},
            {"impute": True},
            "target 'kind' lacks 30 values, first in row 1: leave such rows out",
        ),
        (
            {"age": [float("inf")] * N},
            {},
            "column 'age' holds infinity, first in row 0: leave such rows out",
        ),
        (
            {"height": [1e300, *[0.5, 1.5] * 29, -1e300]},
            {},
            "column 'height' holds numbers of up to 1e+300, which are too large: leave such rows "
            "out",
        ),
        (
            {"kind": [1e300, *[0.5, 1.5] * 29, -1e300]},
            {},
            "target 'kind' holds numbers of up to 1e+300, which are too large: leave such rows out",
        ),
        (
            {"age": [datetime.date(2020, 1, 1)] * N},
            {},
            "column 'age' holds dates or times: make numbers of them, such as the year or the days "
            "since one, or leave it out with drop (--drop)",
        ),
        (
            {"age": [[1, 2]] * N},
            {},
            "column 'age' holds values that are no numbers, texts or categories, but List(Int64): "
            "leave it out with drop (--drop)",
        ),
        (
            {"city": [f"name {i}" for i in range(N)]},
            {},
            "column 'city' has 49 different texts in 49 rows, which seem to name the rows rather "
            "than to describe them: leave it out with drop=['city'] (--drop city)",
        ),
        (
            {"city": [None] * N},
            {"impute": True},
            "column 'city' has no values: leave it out with drop (--drop)",
        ),
        (
            {"kind": ["a"] * N},
            {},
            "target 'kind' has the same value in all rows: there is nothing to learn",
        ),
        (
            {"kind": [*range(N)]},
            {},
            "target 'kind' has 60 different whole numbers: say whether they are amounts, "
            "regression=True (--regression), or classes, regression=False (--classification)",
        ),
        (
            {},
            {"regression": True},
            "target 'kind' holds text such as 'old': amounts are numbers",
        ),
        (
            {"kind": [f"a{i}" for i in range(N)]},
            {},
            "table: there are no two rows of one class, so that none can be held out for testing",
        ),
    ],
)
def test_what_cannot_be_told(changes, options, message):
    with pytest.raises(DataError) as error:
        from_table(frame(**changes), **{"target": "kind", **options})
    assert str(error.value).replace("'young'", "'old'") == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": None}, "the table has no column 'age': it has height, city, member, kind"),
        (
            {"height": [1.0, 1e60] * 30},
            "column 'height' holds 1e+60, which is too large: leave such rows out",
        ),
        (
            {"age": ["old"] * N},
            "column 'age' holds text such as 'old', but held numbers in training",
        ),
        (
            {"age": [None] * N},
            "column 'age' lacks 60 values, first in row 0: have missing ones filled in with "
            "impute=True (--impute), or leave such rows out",
        ),
    ],
)
def test_other_tables_later(changes, message):
    encoder = from_table(frame(), "kind").encoder
    with pytest.raises(DataError) as error:
        encoder.encode(frame(**changes))
    assert str(error.value) == message


def test_a_class_that_was_not_there():
    encoder = from_table(frame(), "kind").encoder
    with pytest.raises(DataError) as error:
        encoder.encode_target(frame(kind=["new"] * N))
    assert str(error.value) == (
        "target 'kind' has 'new', which was not in training: leave such rows out"
    )


def test_what_is_no_table():
    polars = pytest.importorskip("polars")
    for given, message in (
        (
            [[1, 2]],
            "from_table takes a table of pandas, polars or Arrow, not list: such as "
            "pandas.DataFrame(...)",
        ),
        (
            polars.LazyFrame({"a": [1]}),
            "a table that is not computed yet has no rows: give frame.collect()",
        ),
    ):
        with pytest.raises(TypeError) as error:
            from_table(given, "a")
        assert str(error.value) == message


def test_texts_in_pandas_that_are_mixed_with_others():
    given = library("pandas", columns(city=["Rome", 1] * 30))
    with pytest.raises(
        DataError, match=r"^column 'city' holds values that are .* but int and str:"
    ):
        from_table(given, "kind")


# ------------------------------------------------------------------ kept in files


def test_the_encoder_is_kept_in_a_checkpoint(tmp_path):
    data = from_table(frame(age=[None, *range(59)]), "kind", impute=True)
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(7, 2), backend="numpy"))
    trainer.save(tmp_path / "run", table_encoder=data.encoder.config())
    kept = nnkit.Trainer.load(tmp_path / "run", "numpy").extra["table_encoder"]
    again = TableEncoder.of(kept)
    assert again == data.encoder
    assert again.encode(frame()).tobytes() == data.encoder.encode(frame()).tobytes()
    assert again.config() == json.loads(json.dumps(data.encoder.config()))


GOOD = TableEncoder((Numbers("a"), Categories("b", ("x",))), Classes("t", ("p", "q"))).config()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: 5, "a table's encoder cannot be 5"),
        (lambda c: {**c, "more": 1}, "a table's encoder cannot be"),
        (lambda c: {**c, "columns": 5}, "a table's columns cannot be 5"),
        (lambda c: {**c, "columns": []}, "no columns, or two of one name"),
        (lambda c: {**c, "columns": [c["columns"][0]] * 2}, "no columns, or two of one name"),
        (lambda c: {**c, "columns": [c["target"]]}, "a table's encoder cannot have"),
        (lambda c: {**c, "target": c["columns"][0]}, "a table's encoder cannot have"),
        (lambda c: {**c, "target": {**c["target"], "values": ["p"]}}, "its values are no classes"),
        (lambda c: {**c, "columns": [{"kind": "Numbers"}]}, "Numbers has no name"),
        (lambda c: {**c, "columns": [{"kind": "Numbers", "name": 1}]}, "name cannot be 1"),
        (
            lambda c: {**c, "columns": [{"kind": "Numbers", "name": "a", "std": 0.0}]},
            "mean, std or fill are no such numbers",
        ),
        (
            lambda c: {**c, "columns": [{"kind": "Categories", "name": "a", "values": ["x"] * 2}]},
            "two of its values are the same",
        ),
        (
            lambda c: {**c, "target": {"kind": "Amounts", "name": "t", "mean": 0, "std": -1.0}},
            "mean or std are no such numbers",
        ),
    ],
)
def test_a_damaged_encoder(change, message):
    assert TableEncoder.of(GOOD)
    with pytest.raises(ValueError, match=message):
        TableEncoder.of(change(GOOD))


# ------------------------------------------------------------------ files


def test_files(tmp_path):
    made = frame()
    made.write_csv(tmp_path / "a.csv")
    made.write_csv(tmp_path / "b.csv", separator=";")
    made.write_csv(tmp_path / "f.csv", separator=";", decimal_comma=True)
    made.write_csv(tmp_path / "c.tsv", separator="\t")
    made.write_parquet(tmp_path / "d[1].parquet")
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(made.write_csv().encode()))
    read = [
        load(tmp_path / name, target="kind")
        for name in ("a.csv", "b.csv", "c.tsv", "d[1].parquet", "e.csv.gz", "f.csv")
    ]
    for data in read:
        assert data.encoder == from_table(made, "kind").encoder
    assert read[0].name == "a.csv"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", b"a,b\n", "a.csv: has no rows"),
        ("a.parquet", b"nothing", "a.parquet: cannot be read as a table: "),
        ("a.csv", b"a,b\n1,2\n", "a.csv: say which column is to be told from the others, "),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "a.csv: cannot be read as a table: "),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        load(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path}/{message}")


def test_polars_is_taken_by_surprise(tmp_path, monkeypatch):
    """Its panics are no Exceptions."""
    polars = pytest.importorskip("polars")

    def panics(*_, **__):
        raise polars.exceptions.PanicException("assertion failed")

    monkeypatch.setattr(polars, "read_parquet", panics)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError) as error:
        load(tmp_path / "a.parquet", target="t")
    assert str(error.value) == f"{tmp_path}/a.parquet: cannot be read as a table: it is damaged"


def test_a_target_is_of_tables():
    with pytest.raises(DataError) as error:
        load("digits", target="digit")
    assert str(error.value) == (
        "digits: is no table, CSV or Parquet, for which alone there are target, drop, impute and "
        "regression"
    )


def test_without_the_libraries(monkeypatch, tmp_path):
    made = frame()
    made.write_csv(tmp_path / "a.csv")
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError) as missing:
        from_table(made, "kind")
    assert str(missing.value) == "tables are read by narwhals: pip install narwhals"
    for library in ("narwhals", "polars"):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(DataError) as error:
            load(tmp_path / "a.csv", target="kind")
        assert str(error.value) == (
            f"{tmp_path}/a.csv: tables are read by {library}: pip install {library}"
        )


# ------------------------------------------------------------------ cells keep their meaning

CODES = {
    "code": ["007", "A12", "013", "1.0", "true", "2020-01-01"] * 10,
    "size": [1.5, 2, 3, 4, 5, 6] * 10,
    "kind": ["01", "x", "02", "x", "02", "01"] * 10,
}


def test_a_new_file_is_read_by_the_kinds_of_the_training_columns(tmp_path):
    """ "007" stays a text where no other value of the file shows that it is one."""
    library("polars", CODES).write_csv(tmp_path / "a.csv")
    encoder = load(tmp_path / "a.csv", target="kind").encoder
    assert encoder.numbers == {"size"}
    for code in CODES["code"][:6]:
        (tmp_path / "b.csv").write_text(f"id,code,size,kind\n0042,{code},2,01\n")
        table, x = read_rows(tmp_path / "b.csv", encoder)
        assert table["id"].to_list() == ["0042"]
        assert dict(zip(encoder.feature_names, x[0], strict=True))[f"code={code}"] == 1
        assert read_examples(tmp_path / "b.csv", encoder)[1].tolist() == [0]


@pytest.mark.parametrize(
    ("given", "values", "other"),
    [
        (["01", "02"] * 30, ("1", "2"), "02"),
        (["true", "false"] * 30, ("False", "True"), "true"),
        (["1.5", "2.0"] * 30, ("1.5", "2"), "2.0"),
    ],
)
def test_classes_of_numbers_and_flags_stay_numbers_and_flags(tmp_path, given, values, other):
    library("polars", {"a": [*range(N)], "t": given}).write_csv(tmp_path / "a.csv")
    encoder = load(tmp_path / "a.csv", target="t", regression=False).encoder
    assert encoder.target.values == values
    assert encoder.numbers == {"a", "t"}
    (tmp_path / "b.csv").write_text(f"a,t\n1,{other}\n")
    assert read_examples(tmp_path / "b.csv", encoder)[1].tolist() == [1]


AMONG = (
    "column 'age' holds the text '?' among numbers, first in row 7: leave the cell empty where the "
    "value is missing, and use impute=True (--impute), or leave the column out with drop (--drop); "
    "or if all are codes, put a letter in front of each"
)


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("impute", [False, True])
@pytest.mark.parametrize("values", [range(5), range(N), np.arange(N) / 8])
def test_a_text_among_numbers(values, impute, mark):
    ages = [str(values[i % len(values)]).replace(".", mark) for i in range(N)]
    ages[7] = ages[9] = "?"
    with pytest.raises(DataError) as error:
        from_table(frame(age=ages), "kind", impute=impute)
    assert str(error.value) == AMONG


def test_a_text_among_numbers_to_be_told():
    with pytest.raises(DataError) as error:
        from_table(frame(kind=["?", *map(str, range(N - 1))]), "kind", regression=True)
    assert str(error.value) == (
        "target 'kind' holds the text '?' among numbers, first in row 0: leave such rows out; or "
        "if all are codes, put a letter in front of each"
    )


def test_codes_are_texts():
    """As of the doors of cars: 2, 3, 4, 5more; or with zeros in front."""
    for codes in (["2", "3", "4", "5more"], ["007", "008", "009", "010", "011", "A12"]):
        given = frame(age=codes * (N // len(codes)))
        assert f"age={codes[0]}" in from_table(given, "kind").encoder.feature_names


def test_the_text_of_a_new_table_that_is_no_number():
    encoder = from_table(frame(), "kind").encoder
    with pytest.raises(DataError) as error:
        encoder.encode(frame(age=["1", None, "?"] * 20))
    assert str(error.value) == ("column 'age' holds text such as '?', but held numbers in training")


# ------------------------------------------------------------------ how CSV files are written


def read(text):
    return read_csv(io.BytesIO(text))


def test_decimal_commas_are_of_a_column():
    table = read(b"a;b;c;d;e\n1,5;1.2;x;1;\n2;1e-3;1.5;2;1.5\n")
    assert table.rows() == [(1.5, 1.2, "x", 1, None), (2.0, 1e-3, "1.5", 2, 1.5)]


@pytest.mark.parametrize("late", ["x", "1.5", "true", "10:00:00", "2020-01-01"])
@pytest.mark.parametrize("early", ["1", "true", "2020-01-01", "10:00:00", ""])
def test_all_rows_show_what_a_column_holds(monkeypatch, early, late):
    """The first ones alone are faster, and no other table comes of it."""
    text = b"a,b\n" + f"{early},1\n".encode() * 4 + f"{late},2\n".encode()
    whole = read(text)
    monkeypatch.setattr("nnkit.data.table_csv.SAMPLE", 3)
    sampled = read(text)
    assert sampled.schema == whole.schema
    assert sampled.equals(whole)


def test_names_in_quotation_marks():
    for text in (
        b'"length, in mm";"width, in mm, or ""in""";t\n1,5;2;a\n',
        b'\xef\xbb\xbf"length, in mm";"width, in mm, or ""in""";t\r\n1,5;2;a\r\n',
    ):
        table = read(text)
        assert table.columns == ["length, in mm", 'width, in mm, or "in"', "t"]
        assert table.rows() == [(1.5, 2, "a")]
        again = read_csv(io.BytesIO(text), {"length, in mm"})
        assert again.columns == table.columns
        assert again.rows() == [(1.5, "2", "a")]
    assert read(b'"a\nb",c\n1,2\n').columns == ["a\nb", "c"]
    assert read(b"\n\ta\n1\t2\n").columns == ["", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\nx,1\nJos\xe9,1\n".encode("latin1"),
            "its line 3 is not in UTF-8: save it in this encoding, such as by the file type "
            '"CSV UTF-8" of Excel',
        ),
        (
            "a,Jos\xe9\nx,1\n".encode("latin1"),
            "its line 1 is not in UTF-8: save it in this encoding, such as by the file type "
            '"CSV UTF-8" of Excel',
        ),
        (
            b'a,b\n"1\n2",2\n1,2,5\n',
            "its line 4 has 3 values, but there are names of 2 columns: put values with ',' in "
            "them in quotation marks",
        ),
        (b"a,b,a\n1,2,3\n", "two columns are called 'a': give each a name of its own"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path, text, message):
    (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(DataError) as error:
        load(tmp_path / "a.csv", target="b")
    assert str(error.value) == f"{tmp_path}/a.csv: cannot be read as a table: {message}"


@pytest.mark.parametrize("free", [100_000, 2_000_000])
def test_a_file_that_unpacks_to_more_than_memory_has(tmp_path, monkeypatch, free):
    """Found while it is unpacked, or by the values that it has then."""
    monkeypatch.setattr("nnkit.files.memory.free_memory", lambda: free)
    text = b"a,t\n" + b"1,x\n1,y\n" * 20_000
    (tmp_path / "a.csv").write_bytes(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    for name in ("a.csv", "a.csv.gz"):
        with pytest.raises(DataError) as error:
            load(tmp_path / name, target="t")
        assert str(error.value) == (
            f"{tmp_path}/{name}: cannot be read as a table: it takes more than half of the free "
            "memory: give fewer rows or columns"
        )


def test_two_columns_of_one_name():
    pandas = pytest.importorskip("pandas")
    for names in (["a", "a", "t"], [1, "1", "t"]):
        with pytest.raises(DataError) as error:
            from_table(pandas.DataFrame([[1, 2, "x"]] * 9, columns=names), "t")
        assert str(error.value) == (
            f"two columns are called '{names[0]}': give each a name of its own"
        )


def test_the_same_texts_are_one_object():
    values = column(opened(frame(city=["Rome", "Bonn", None] * 20)), "city").values
    assert len({*map(id, values.tolist())}) == 3
