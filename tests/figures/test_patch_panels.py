"""Patches are drawn beside cuts, in lines of their own, and whose answer is given below."""

import pandas as pd
from legends import entries
from matplotlib.colors import to_hex

from avflow.figures import patch_panels
from avflow.figures.route_styles import ROUTES

ROUTE, OTHER = "audio->question", "video->question"
VALUES = {"cut": -70.0, "patch": -97.0, "follows": 90.0, "returns": 80.0}


def table(models=("m",), places=(("d", "hear"),)):
    rows = [
        dict(model=m, dataset=d, group=g, route=route, kind=kind, centre=c, n=10, value=x * (route == ROUTE) - number)
        for number, m in enumerate(models)
        for d, g in places
        for route in (ROUTE, OTHER)
        for kind, x in VALUES.items()
        for c in range(3)
    ]
    rows = pd.DataFrame(rows)
    return rows.assign(ci_low=rows["value"] - 5, ci_high=rows["value"] + 5)


def drawn(axis, route):
    """A route's lines."""
    return [line for line in axis.lines if to_hex(line.get_color()) == to_hex(ROUTES[route]) and len(line.get_ydata()) == 3]


def test_cut_and_patch_share_a_panel_and_differ_in_line_as_well_as_in_their_numbers():
    figure = patch_panels.patch_panels(["m"], table(), {"d": [ROUTE, OTHER]})
    change, answers = figure.axes
    for axis, kinds in ((change, ("cut", "patch")), (answers, ("follows", "returns"))):
        lines = drawn(axis, ROUTE)
        assert [line.get_ydata()[0] for line in lines] == [VALUES[kind] for kind in kinds]
        assert lines[0].get_linestyle() != lines[1].get_linestyle(), "told apart without colour"
    assert "Change in Probability" in change.get_ylabel() and "Answers (%)" in answers.get_ylabel()
    assert change.get_title() == "Hear" and [text.get_text() for text in change.texts] == ["n = 10"]


def test_the_legend_says_what_a_patch_is_and_whose_answer_counts():
    figure = patch_panels.patch_panels(["m"], table(), {"d": [ROUTE, OTHER]})
    said = list(entries(figure))
    assert "another clip's source; nothing is renormalised" in said[1] and "those about the other clip" in said[2]
    cut, patch = figure.legends[0].legend_handles[:2]
    look = lambda line: (line.get_linestyle(), line.get_linewidth())  # noqa: E731
    assert [look(cut), look(patch)] == [look(line) for line in drawn(figure.axes[0], ROUTE)]
    (part,) = figure.subfigs
    assert entries(part) == {"Audio->Question": to_hex(ROUTES[ROUTE]), "Video->Question": to_hex(ROUTES[OTHER])}


def test_models_have_rows_and_datasets_and_groups_have_columns_of_their_own():
    places = (("d", "hear"), ("d", "see"), ("e", "I2A"))
    figure = patch_panels.patch_panels(["m", "n"], table(["m", "n"], places), {"d": [ROUTE, OTHER], "e": [ROUTE, OTHER]})
    clips, items = figure.subfigs
    assert [axis.get_title() for axis in clips.axes[:2]] == ["Hear", "See"] and len(clips.axes) == 8 and len(items.axes) == 4
    second = drawn(clips.axes[4], ROUTE)
    assert clips.axes[4].get_ylabel().startswith("n\n") and second[0].get_ydata()[0] == -71, "the second model's own numbers"
    nothing = patch_panels.patch_panels(["m"], table().iloc[:0], {"d": [ROUTE]})
    assert [text.get_text() for text in nothing.texts] == ["no question to show"]
