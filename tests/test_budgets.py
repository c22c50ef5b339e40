"""Budgets of knockouts as they are given by hand: every mistake is one line that names key and value."""

import argparse
import importlib.util

import pytest
from conftest import SCRIPTS

spec = importlib.util.spec_from_file_location("knockout_script", SCRIPTS / "knockout.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def test_budgets_are_read():
    text = '[{"routes": ["audio->last", "cross_frame"], "questions": 5, "widths": [1, 3], "controls": {"random_same": 2}}]'
    assert script.cuts(text)[0]["questions"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{routes", "is not JSON"),
        ('{"routes": ["audio->last"]}', "write a list of budgets"),
        ('[{"route": ["audio->last"]}]', "each with routes"),
        ('[{"routes": []}]', "routes is []; it must be a list of routes"),
        ('[{"routes": ["audio"]}]', "route 'audio' is not understood"),
        ('[{"routes": ["audio->last"], "question": 3}]', "key 'question' is unknown; known: routes, questions"),
        ('[{"routes": ["audio->last"], "questions": "everything"}]', "questions is 'everything'; it must be correct, all"),
        ('[{"routes": ["audio->last"], "questions": 0}]', "questions is 0"),
        ('[{"routes": ["audio->last"], "stride": 0}]', "stride is 0; it must be a number from 1"),
        ('[{"routes": ["audio->last"], "styles": ["centered"]}]', "it must be a list of centred, inverse"),
        ('[{"routes": ["audio->last"], "controls": {"random_sme": 1}}]', "draws of random_same and random_other"),
        ('[{"routes": ["audio->last"], "controls": {"random_same": -1}}]', "draws of random_same and random_other"),
    ],
)
def test_a_mistake_in_a_budget_is_one_line(text, message):
    with pytest.raises(argparse.ArgumentTypeError) as found:
        script.cuts(text)
    assert message in str(found.value) and "\n" not in str(found.value)
