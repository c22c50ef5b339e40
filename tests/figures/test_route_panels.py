"""Panels of routes: their titles, legends and colours say what the rows behind them say."""

from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, script
from examples import items_question
from legends import entries, level
from matplotlib.colors import to_hex, to_rgb

from avflow.figures.route_panels import by_reader, by_target, route_panels, window_panels
from avflow.results import effects, ordered, title
from avflow.tracing import row_schemas


def found(changes, count=10):
    """Effects of so many questions: (group, route) -> the change in % at each of three layers."""
    about = dict(model="m", width=3, control="none", draw=0, layout="paper_eq1", noise=0.0)
    each = [dict(question_id=f"q{i}", cluster=f"c{i}") for i in range(count)]
    rows = [dict(group=g, task=g, route=r, centre=c, change=x) for (g, r), x in changes.items() for c in range(3)]
    rows = [about | one | row for one in each for row in rows]
    none = pd.DataFrame(columns=["question_id", "route", "correct"])
    return effects.Effects(effects.Reading("", draws=100), pd.DataFrame(rows), none, none)


def test_the_legend_names_each_route_with_the_colour_of_its_curve():
    levels = {"Video->Question": -10.0, "Audio->Question": -20.0, "Question->Last": -30.0, "Video->Last": 1.0, "Audio->Last": 2.0}
    changes = {("hear", words.lower()): change for words, change in levels.items()}
    figure = route_panels(found(changes), ["m"], [("Hear", "hear", [route for _, route in changes])])
    said = entries(*figure.subfigs)
    assert {words: level(figure.axes[0], colour) for words, colour in said.items()} == {w: {x} for w, x in levels.items()}


def test_the_legend_of_figure_3_names_both_senses():
    levels = {"Cross-Frame": -10.0, "Cross-Audio-Segment": -20.0, "Audio<->Video": -30.0}
    routes = ["cross_frame", "cross_audio_segment", "audio<->video"]
    figure = route_panels(found({("hear", r): x for r, x in zip(routes, levels.values())}), ["m"], [("Hear", "hear", routes)])
    said = entries(*figure.subfigs)
    assert {words: level(figure.axes[0], colour) for words, colour in said.items()} == {w: {x} for w, x in levels.items()}


@pytest.mark.parametrize("task", ["image-to-audio", "audio-to-image"])
def test_a_directions_title_names_the_kinds_of_its_media(task):
    question = items_question(task)
    kinds = {role: {m.kind for m in question.media if m.role == role} for role in ("reference", "candidate")}
    (reference,), (candidate,) = ({kind[0].upper() for kind in kinds[role]} for role in ("reference", "candidate"))
    assert title(question.group) == rf"{reference} Ref $\rightarrow$ {candidate} Cand"


@pytest.mark.parametrize(
    "task", ["hear", "see", "while-hear", "while-see", "hear-before", "see-before", "hear-faint-45", "see-faint-63"]
)
def test_a_tasks_title_names_its_verb_and_no_other(task):
    verb, other = ("hear", "see") if "hear" in task else ("see", "hear")
    assert verb in title(task).lower() and other not in title(task).lower()


def test_models_have_their_own_curves_on_one_axis_each_with_room_for_text():
    first, second = (found({("hear", "audio->question"): x}) for x in (-10.0, -90.0))
    rows = pd.concat([first.rows, second.rows.assign(model="n")])
    both = replace(first, rows=rows.assign(noise=0.5))
    groups = ["hear", "see"]
    both = replace(both, rows=pd.concat([both.rows, both.rows.assign(group="see", change=-1.0)]))
    figure = route_panels(both, ["m", "n"], [(group, group, ["audio->question"]) for group in groups])
    (colour,) = entries(*figure.subfigs).values()
    assert [level(axis, colour) for axis in figure.axes] == [{-10.0}, {-1.0}, {-90.0}, {-1.0}]
    limits = [axis.get_ylim() for axis in figure.axes]
    assert limits[0] == limits[1] and limits[2] == limits[3], "panels of a model share the limits of the widest"
    assert limits[0][0] < -10 and limits[2][0] < -90 and limits[2][1] > 0.3 * (limits[2][1] - limits[2][0])
    low, high = sorted(figure.axes[0].transData.inverted().transform(figure.axes[0].patches[0].get_window_extent())[:, 1])
    assert (low, high) == pytest.approx((-0.5, 0.5)), "the noise floor lies on either side of 0"


def test_bands_alone_do_not_widen_an_axis():
    effect = found({("hear", route): 0.0 for route in ("video->question", "audio->question", "question->last")})
    sign = 1 - 2 * (effect.rows["question_id"].str[1:].astype(int) % 2)
    rows = effect.rows.assign(change=90.0 * sign)
    figure = route_panels(replace(effect, rows=rows), ["m"], [("Hear", "hear", sorted(set(rows["route"])))])
    (axis,) = figure.axes
    top = max(path.vertices[:, 1].max() for band in axis.collections for path in band.get_paths())
    assert axis.get_ylim()[1] < top, "the band is cut off"


def test_each_directions_panel_shows_its_own_rows():
    route = "candidates->reference"
    effect = found({("I2A", route): -10.0, ("A2I", route): -20.0})
    panels = [(title(group), group, side) for side in by_target([route]) for group in ("I2A", "A2I")]
    figure = route_panels(effect, ["m"], panels)
    (colour,) = entries(*figure.subfigs).values()
    shown = {axis.get_title(): level(axis, colour) for axis in figure.axes}
    assert shown == {r"(a) I Ref $\rightarrow$ A Cand": {-10.0}, r"(b) A Ref $\rightarrow$ I Cand": {-20.0}}


def test_a_model_without_wrong_answers_has_an_empty_figure_and_no_error(tmp_path):
    shard = tmp_path / "shard.parquet"
    pq.write_table(row_schemas.KNOCKOUT.empty_table(), shard)
    refused = script("gather", shard, "--out", tmp_path / "k.parquet", check=False)
    assert refused.returncode == 2 and "none of 1 shards has a row" in refused.stderr
    script("gather", shard, "--may-be-empty", "--out", tmp_path / "k.parquet")
    pq.write_table(row_schemas.EVALUATE.empty_table(), tmp_path / "e.parquet")
    read = effects.read(tmp_path / "k.parquet", {"m": 3}, "d", {"evaluated": tmp_path / "e.parquet"}, answered="wrong")
    figure = route_panels(read, ["m"], [("", "", ["audio->last"])])
    assert any(text.get_text() == "no rows" for text in figure.axes[0].texts)


@pytest.mark.parametrize("name, words", [("fig4", "app_options shows which part"), ("app_options", "the Question of Figure 4")])
def test_figure_4_and_its_companion_say_what_the_question_holds(name, words):
    (line,) = [line for line in (ROOT / f"figures/{name}.ipynb").read_text().splitlines() if "note = " in line]
    note = line.split('\\"')[1]
    figure = route_panels(found({("hear", "question->last"): -10.0}), ["m"], [("Hear", "hear", ["question->last"])], note=note)
    (legend,) = figure.legends
    assert (
        words in note
        and "instruction, question text" in note
        and " ".join(legend.get_title().get_text().split()).startswith(note)
    )


def test_more_than_four_panels_wrap_and_none_say_so():
    groups = [f"g{n}" for n in range(6)]
    effect = found({(group, "audio->question"): -10.0 - n for n, group in enumerate(groups)})
    figure = route_panels(effect, ["m"], [(group, group, ["audio->question"]) for group in groups])
    drawn = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in drawn] == [f"({x}) g{n}" for n, x in enumerate("abcdef")]
    assert len({round(axis.get_position().y0, 2) for axis in drawn}) == 2, "two rows"
    (limits,) = {axis.get_ylim() for axis in drawn}
    assert limits[0] < -15 and limits[1] > 0, "those of the deepest curve, in both rows"
    empty = route_panels(effect, ["m"], [])
    assert [text.get_text() for text in empty.texts] == ["no question to show"] and not empty.axes


def test_wide_windows_are_dark_and_each_route_has_its_own_row_of_panels():
    levels = {"video->question": -10.0, "question->last": -30.0}
    effect = found({("hear", route): x for route, x in levels.items()})
    rows = pd.concat([effect.rows.assign(width=width, change=effect.rows["change"] - width) for width in (1, 5)])
    figure = window_panels(replace(effect, rows=rows), ["m"], list(levels))
    for axis, change in zip(figure.axes, levels.values()):
        narrow, wide = axis.lines[1:]
        assert (narrow.get_ydata()[0], wide.get_ydata()[0]) == (change - 1, change - 5)
        assert sum(to_rgb(wide.get_color())) < sum(to_rgb(narrow.get_color()))
    assert entries(figure) == {f"k = {k}": to_hex(line.get_color()) for k, line in zip((1, 5), figure.axes[0].lines[1:])}


def test_windows_of_many_groups_wrap_and_leave_room_for_text():
    groups = [f"G{n}" for n in range(6)]
    effect = found({(group, route): -80.0 for group in groups for route in ("video->question", "question->last")})
    figure = window_panels(effect, ["m"], ["video->question", "question->last"])
    drawn = [axis for axis in figure.axes if axis.axison]
    assert len(drawn) == 12 and figure.get_figwidth() < 12
    assert [axis.get_title() for axis in drawn if axis.get_title()] == groups
    assert len({round(axis.get_position().y0, 3) for axis in drawn}) == 4, "two rows of groups, each with two routes"
    assert all(axis.get_ylim()[1] > 5 for axis in drawn), "the counts stand above the line of no change"


def test_windows_without_a_right_answer_say_what_would_show_them():
    some = found({("hear", "audio->question"): -10.0})
    figure = window_panels(replace(some, rows=some.rows[:0], asked=answers(0, 12)), ["m"], ["audio->question"])
    (axis,) = figure.axes
    assert axis.get_title() and any("metric: logit_difference" in text.get_text() for text in axis.texts)


def test_the_last_token_and_the_reply_answer_and_the_question_does_not():
    routes = ["audio->question", "question->last", "audio->reply", "reply->reply"]
    assert by_reader(routes) == {"what the question reads": routes[:1], "what the answer reads": routes[1:]}


def answers(right, count, group="hear"):
    """The questions asked, of which so many were answered correctly."""
    return pd.DataFrame([dict(model="m", question_id=f"q{i}", task=group, group=group, correct=i < right) for i in range(count)])


@pytest.mark.parametrize("count", [1, 2, 9, 10])
def test_few_questions_are_points_without_a_band(count):
    figure = route_panels(found({("hear", "audio->question"): -10.0}, count), ["m"], [("Hear", "hear", ["audio->question"])])
    (axis,) = figure.axes
    bands = [patch for patch in axis.collections if len(patch.get_paths())]
    (curve,) = [line for line in axis.lines if len(line.get_xdata()) == 3]
    said = " ".join(text.get_text() for text in axis.texts)
    assert (curve.get_linestyle() == "None") == (count < 10) and (len(bands) == 0) == (count < 10)
    assert (f"too few (n = {count})" in said) == (count < 10) and f"n = {count}" in said


def test_without_a_right_answer_the_panel_names_the_other_metric():
    some = found({("hear", "audio->question"): -10.0})
    none = replace(some, rows=some.rows[:0], asked=answers(0, 12))
    assert ordered(none.groups) == ["hear"]
    (axis,) = route_panels(none, ["m"], [("Hear", "hear", ["audio->question"])]).axes
    (said,) = [text.get_text() for text in axis.texts if "right answer" in text.get_text()]
    assert said.startswith("0 of 12 answered right") and "metric: logit_difference" in said
    assert replace(none, asked=answers(1, 12)).groups == []


def test_curves_that_lie_on_each_other_have_markers_of_their_own_at_layers_of_their_own():
    routes = ["video->question", "audio->question", "question->last", "video->last", "audio->last"]
    about = dict(model="m", width=3, control="none", draw=0, layout="paper_eq1", noise=0.0, change=0.0, group="hear")
    rows = [about | dict(question_id=f"q{i}", cluster=i, route=r, centre=c) for r in routes for i in range(10) for c in range(12)]
    none = pd.DataFrame(columns=["question_id", "route", "correct"])
    effect = effects.Effects(effects.Reading("", draws=20), pd.DataFrame(rows), none, none)
    (axis,) = route_panels(effect, ["m"], [("Hear", "hear", routes)]).axes
    curves = [line for line in axis.lines if line.get_marker() not in ("None", None, "")]
    assert len({line.get_marker() for line in curves}) == 5
    marked = [set(range(*line.get_markevery()[:1], 12, line.get_markevery()[1])) for line in curves]
    assert all(marked) and not set.intersection(*marked)
    assert sum(len(layers) for layers in marked) == len(set.union(*marked)), "no two markers at one place"
