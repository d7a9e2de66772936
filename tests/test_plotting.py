import subprocess
import sys

import pytest

from nnkit.history import History
from nnkit.plotting import learning_curves

pytest.importorskip("matplotlib")


def history(epochs=4, accuracy=True, validated=None):
    validated = epochs if validated is None else validated
    return History(
        loss=[1 / (i + 1) for i in range(epochs)],
        accuracy=[1 - 0.5 / (i + 1) for i in range(epochs)] if accuracy else [],
        val_loss=[1.1 / (i + 1) for i in range(validated)],
        val_accuracy=[0.9 - 0.5 / (i + 1) for i in range(validated)] if accuracy else [],
        seconds=[1.0] * epochs,
    )


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_loss_and_accuracy_are_drawn_against_epochs():
    figure = learning_curves(history(2), title="mnist", validation="test")
    loss, accuracy = figure.get_axes()
    assert figure.get_suptitle() == "mnist"
    assert [axes.get_xlabel() for axes in (loss, accuracy)] == ["epoch", "epoch"]
    assert [axes.get_ylabel() for axes in (loss, accuracy)] == ["loss", "accuracy in %"]
    assert curves(loss) == {"training": [[1, 1], [2, 0.5]], "test": [[1, 1.1], [2, 0.55]]}
    assert curves(accuracy) == {"training": [[1, 50], [2, 75]], "test": [[1, 40], [2, 65]]}
    for axes in (loss, accuracy):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "test"]


def test_a_loss_without_accuracy_has_one_panel():
    figure = learning_curves(history(accuracy=False))
    assert [axes.get_ylabel() for axes in figure.get_axes()] == ["loss"]


def test_without_validation_there_is_one_curve():
    figure = learning_curves(history(validated=0))
    assert [list(curves(axes)) for axes in figure.get_axes()] == [["training"], ["training"]]


def test_validation_that_began_later_is_drawn_where_it_was():
    loss, _ = learning_curves(history(4, validated=1)).get_axes()
    assert curves(loss)["validation"] == [[4, 1.1]]


@pytest.mark.parametrize("epochs", [1, 2, 200])
def test_ticks_are_whole_epochs_that_there_were(epochs):
    figure = learning_curves(history(epochs))
    figure.draw_without_rendering()
    for axes in figure.get_axes():
        low, high = axes.get_xlim()
        shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert shown
        assert all(tick == round(tick) and 1 <= tick <= epochs for tick in shown)


def test_few_epochs_have_markers_and_many_have_not():
    def markers(epochs):
        return {
            line.get_marker()
            for axes in learning_curves(history(epochs)).get_axes()
            for line in axes.get_lines()
        }

    assert markers(1) == {"o"}
    assert markers(100) == {""}


def test_the_picture_is_saved_in_the_format_of_its_name(tmp_path):
    png, svg = tmp_path / "curves.png", tmp_path / "curves.svg"
    learning_curves(history(), png)
    learning_curves(history(), svg)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()


def test_no_epoch_is_an_error():
    with pytest.raises(ValueError, match="no learning curves before the first epoch is done"):
        learning_curves(History())


def test_no_global_state_of_matplotlib_is_touched():
    code = """
import sys
from nnkit.history import History
from nnkit.plotting import learning_curves
learning_curves(History(loss=[1.0]))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
