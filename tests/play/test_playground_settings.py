"""Settings come from anyone: all that does not fit is refused, and named with its limits."""

from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.play.connection import RefusedError
from nnkit.play.playground.settings import CHOICES, LIMITS, LOSSES, Settings, as_sent, parsed
from tests.play.talking import ANYTHING

NAMES = st.sampled_from([*asdict(Settings()), "else"])


def refused(given):
    with pytest.raises(RefusedError) as raised:
        parsed(given)
    return raised.value.code, raised.value.values


def test_nothing_given_is_the_usual():
    assert parsed({}) == Settings()
    assert as_sent(parsed({"lr": 1}))["lr"] == 1.0


def test_what_was_sent_comes_back():
    wanted = Settings(problem="sine", hidden=(3, 16), loss="huber", batch_norm=True, seed=7)
    sent = {**as_sent(wanted), "hidden": [3, 16]}
    assert parsed(sent) == wanted


@pytest.mark.parametrize("name", LIMITS)
def test_numbers_are_taken_up_to_their_limits(name):
    low, high = LIMITS[name]
    for value in (low, high):
        parsed({name: [value] if name == "hidden" else value})
    for value in (low - 1, high + 1, float("nan"), float("inf"), True, "3", None):
        code, values = refused({name: [value] if name == "hidden" else value})
        assert code in ("setting_number", "setting_whole")
        assert values == {"setting": name, "low": low, "high": high}


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_named(name):
    code, values = refused({name: "other"})
    assert (code, values["setting"]) == ("setting_choice", name)
    assert CHOICES[name][0] in values["choices"]
    assert refused({name: ["list"]})[0] == "setting_choice"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"hidden": [1] * 7}, "setting_layers"),
        ({"hidden": 4}, "setting_layers"),
        ({"hidden": [2.5]}, "setting_whole"),
        ({"points": 10.5}, "setting_whole"),
        ({"batch_norm": 1}, "setting_flag"),
        ({"hiden": [4]}, "setting_unknown"),
        ([], "setting_unknown"),
        (None, "setting_unknown"),
        ({"problem": "sine", "loss": "hinge"}, "setting_loss"),
        ({"problem": "xor", "batch": 1, "batch_norm": True}, "setting_single"),
        ({"points": 101, "batch": 10, "batch_norm": True}, "setting_single"),
    ],
)
def test_what_does_not_fit_is_refused(given, code):
    assert refused(given)[0] == code


def test_a_batch_is_no_larger_than_what_there_is():
    assert parsed({"problem": "xor", "batch": 10}).batch_size == 4
    assert parsed({"batch": 0}).batch_size == 200
    assert LOSSES["sine"][0] == "mean_squared_error"


@settings(max_examples=300, deadline=None)
@given(ANYTHING | st.dictionaries(NAMES, ANYTHING))
def test_anything_gives_settings_or_is_refused(given):
    try:
        found = parsed(given)
    except RefusedError as error:
        assert "setting" in error.values
    else:
        assert isinstance(found, Settings)
