"""The layer after which a kind of token is discarded follows from knockouts, as the paper's layers follow from its curves."""

import functools

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from avflow.errors import InputError
from avflow.results import discard_rule, published

CURVES = ROOT / "resources/published/curves.csv"
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
PAPER = {
    ("Audio", "av_video"): 26,
    ("Video", "av_video"): 26,
    ("Cand", "items"): 25,
    ("Ref", "items"): 31,
}  # Table 4, without Ques
WINDOW, LAYERS = 7, 36


def changes(**by_route):
    return pd.DataFrame(
        [dict(route=r, group="hear", centre=c, change=x) for r, values in by_route.items() for c, x in enumerate(values)]
    )


def test_a_kind_leaves_after_the_last_window_whose_cut_lowers_the_answer():
    table = changes(a=[0, -40, -6, -4, 0, 0, 0, 0], b=[0, 0, 0, -7, 0, 0, 0, 0])
    assert discard_rule.last_needed(table, ["a"], 8, 5)["layer"] == 2
    both = discard_rule.last_needed(table, ["a", "b"], 8, 5)
    why = "b in hear lowers the answer by 7.0 % in the window around layer 3, and in no later one"
    assert both == {"layer": 3, "why": why}
    assert discard_rule.last_needed(table, ["a", "b"], 8, 3)["why"] == why, "of two routes, the deeper fall is named"
    assert discard_rule.last_needed(table, ["a", "b"], 8, 50)["layer"] == 0, "no route matters"
    late = discard_rule.last_needed(changes(a=[0] * 7 + [-9]), ["a"], 8, 5)
    assert late["layer"] == 7 and late["why"].endswith("it stays to the end")
    assert discard_rule.last_needed(table, ["a", "c"], 8, 5)["layer"] == 2, "no question of the study has c"
    never = {"layer": 7, "why": "no correctly answered question has c or d: it stays to the end"}
    assert discard_rule.last_needed(table, ["c", "d"], 8, 5) == discard_rule.last_needed(table[:0], ["c", "d"], 8, 5) == never


def test_a_kind_whose_cut_raises_the_answer_is_not_needed():
    table = changes(a=[0, -40, 0, 30, 9, 0, 0, 0])
    assert discard_rule.last_needed(table, ["a"], 8, 5)["layer"] == 1
    assert discard_rule.last_needed(changes(a=[0, 0, 30]), ["a"], 3, 5)["layer"] == 0


def test_one_group_of_tasks_that_needs_a_kind_is_enough():
    table = pd.concat([changes(a=[0, -40, 0, 0]), changes(a=[0, 40, -9, 0]).assign(group="see")])
    assert discard_rule.last_needed(table, ["a"], 4, 5)["layer"] == 2, "the mean over both groups is -4.5 there"


def ends(features):
    """The first centre at which a published curve is 0 again.

    A window around c lowers more than that around c - 1 only if layer c + 3 is read: the windows hold the same layers but for
    c + 3 and c - 4, and cutting fewer layers lowers less. So the effect lasts at least to the windows around c + 6.
    """
    lowest = features[features["kind"].isin(["minimum", "maximum", "plateau", "dip"])]
    return max((lowest["first"] + WINDOW).max(), features["last"].max() + 1)


def whole_curve(features):
    """Changes at all centres: the published values, and straight lines between them, from and to 0."""
    stated = features.dropna(subset=["first", "change_low"])
    centres, values = np.arange(LAYERS), (stated["change_low"] + stated["change_high"]) / 2
    if not len(stated):
        return np.zeros(LAYERS)
    knots = {**dict(zip(stated["first"], values)), **dict(zip(stated["last"], values))}
    acting = stated[stated["kind"] != "near_zero"]
    if len(acting):
        knots.setdefault(ends(acting), 0.0)
        knots.setdefault(acting["first"].min() - WINDOW, 0.0)
    return np.interp(centres, sorted(knots), [knots[at] for at in sorted(knots)])


@functools.cache
def published_changes(dataset):
    """The paper's curves as rows of `effects.relative_change`."""
    rows = published.curves(CURVES, dataset, "qwen2.5-omni-3b")
    curves = [
        pd.DataFrame({"route": route, "group": group, "centre": range(LAYERS), "change": whole_curve(features)})
        for (route, group), features in rows.groupby(["route", "group"])
    ]
    return pd.concat(curves)


def chosen(kind, setting, threshold):
    dataset = {"av_video": "av_speakerbench", "items": "av_odyssey"}[setting]
    routes = CONFIG["pruning"]["kinds"][setting][kind]["routes"]
    return discard_rule.last_needed(published_changes(dataset), routes, LAYERS, threshold)["layer"]


def test_where_the_paper_says_when_an_effect_ends_it_ends_when_its_minimum_says():
    rows = pd.concat([published.curves(CURVES, d, "qwen2.5-omni-3b") for d in ("av_speakerbench", "av_odyssey")])
    for route, end in {"video->question": 27, "audio<->video": 25}.items():
        mine = rows[rows["route"] == route].dropna(subset=["first"])
        assert mine.loc[mine["kind"] == "near_zero", "first"].unique().tolist() == [end]
        assert mine.loc[mine["kind"] == "minimum", "first"].max() + WINDOW == end
    last = rows[(rows["route"] == "question->last") & (rows["figure"] == "figure_4")]
    assert set(last.loc[last["kind"] == "plateau", "first"] + WINDOW) == set(last.loc[last["kind"] == "step", "first"]) == {31}


@pytest.mark.parametrize(("kind", "setting"), PAPER)
def test_the_rule_finds_the_papers_layers_in_the_papers_curves(kind, setting):
    assert CONFIG["models"]["qwen2.5-omni-3b"]["discard_layers"][setting][kind] == PAPER[kind, setting]
    assert abs(chosen(kind, setting, CONFIG["pruning"]["threshold"]) - PAPER[kind, setting]) <= 2


def test_the_layers_hardly_depend_on_the_threshold():
    """The table in docs/method.md."""
    found = {threshold: [chosen(*kind, threshold) for kind in PAPER] for threshold in (0.5, 1, 2, 3, 5, 8, 10)}
    assert found == {
        0.5: [26, 26, 25, 31],
        1: [26, 26, 25, 31],
        2: [25, 26, 25, 30],
        3: [25, 26, 25, 29],
        5: [24, 26, 25, 29],
        8: [24, 25, 24, 29],
        10: [23, 25, 24, 29],
    }


def test_the_curves_do_not_determine_the_question():
    """Figure 4 has routes of the whole block with its options, and in Figures 5 and 6 its last fall is long before 29."""
    assert chosen("Ques", "av_video", 1) == LAYERS - 1, "no published curve has its routes"
    assert chosen("Ques", "items", 1) == 23


def test_withdrawal_takes_the_first_layer_below_the_threshold_over_the_first_questions():
    rows = [
        dict(discard="vision", control="none", question_id=f"q{i}", layer=layer, kl=kl * (1 if i < 2 else 100))
        for layer, kl in enumerate((1.0, 0.02, 0.004, 0.001))
        for i in range(3)
    ]
    rows += [dict(discard="vision", control="random", question_id="q0", layer=0, kl=0.0)]
    table = pd.DataFrame(rows)
    assert discard_rule.withdrawal(table, 2, 0.01) == {"layer": 2, "why": "KL 0.004 < 0.01 nats in 2 questions"}
    assert discard_rule.withdrawal(table, 3, 0.1)["layer"] == 3, "the third question is a hundred times as far"
    with pytest.raises(InputError, match="1e-05 nats; raise pruning/vtw/kl"):
        discard_rule.withdrawal(table, 2, 1e-5)
    heard = discard_rule.withdrawal(table.assign(discard="Audio"), 2, 0.01)
    assert heard == {"layer": 3, "why": "no question has a picture"}
