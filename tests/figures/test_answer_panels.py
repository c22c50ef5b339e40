"""Answers by layer, under cumulative cuts, and with only the found routes: the lines hold the table's numbers."""

import pandas as pd
import pyarrow.parquet as pq
from legends import entries
from matplotlib.colors import to_hex

from avflow.figures import answer_panels, palette
from avflow.figures.route_styles import colours
from avflow.results import answers
from avflow.tracing import row_schemas


def test_letters_probabilities_are_drawn_by_layer():
    rows = [
        dict(model="m", group="hear", layer=layer, kind=kind, probability=p, ci_low=p - 0.1, ci_high=p + 0.1, n=12)
        for kind, values in {"correct": (0.25, 0.7), "wrong": (0.25, 0.1)}.items()
        for layer, p in enumerate(values)
    ]
    figure = answer_panels.probability_panels(pd.DataFrame(rows), ["m"])
    (axis,) = figure.axes
    assert entries(figure) == {"correct option": to_hex(palette.CORRECT), "mean of the wrong options": to_hex(palette.WRONG)}
    drawn = {to_hex(line.get_color()): line.get_ydata().tolist() for line in axis.lines}
    assert drawn == {to_hex(palette.CORRECT): [0.25, 0.7], to_hex(palette.WRONG): [0.25, 0.1]}
    assert [text.get_text() for text in axis.texts] == ["n = 12"]


def test_many_groups_wrap_and_every_panel_keeps_its_model_and_axis():
    groups = [f"G{n}" for n in range(7)]
    rows = [
        dict(model=model, group=group, layer=layer, kind=kind, probability=0.5, ci_low=0.4, ci_high=0.6, n=12)
        for model in ("m", "other")
        for group in groups
        for layer in range(3)
        for kind in ("correct", "wrong")
    ]
    figure = answer_panels.probability_panels(pd.DataFrame(rows), ["m", "other"])
    drawn = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in drawn] == [*groups, *groups] and figure.get_figwidth() < 12
    assert len({round(axis.get_position().y0, 3) for axis in drawn}) == 4, "two rows for each model"
    beside = [axis.get_ylabel().split("\n")[0] for axis in drawn if axis.get_ylabel()]
    assert beside == ["m", "m", "other", "other"]
    assert all(axis.xaxis.get_tick_params()["labelbottom"] for axis in drawn)


def test_cumulative_cuts_have_a_row_a_direction_and_accuracy_in_percent():
    rows = [
        dict(
            model="m",
            group="hear",
            style=style,
            route="audio->question",
            centre=c,
            n=4,
            accuracy=a,
            accuracy_low=a,
            accuracy_high=a,
        )
        | ({"route": "question->last", "accuracy": a / 5} if other else {})
        for other in (False, True)
        for style, values in {"bottom_up": (1, 0.5), "top_down": (0.25, 1)}.items()
        for c, a in enumerate(values)
    ]
    figure = answer_panels.cumulative_panels(pd.DataFrame(rows), ["m"], ["audio->question", "question->last"])
    assert [axis.lines[0].get_ydata().tolist() for axis in figure.axes] == [[100, 50], [25, 100]]
    assert [axis.lines[1].get_ydata().tolist() for axis in figure.axes] == [[20, 10], [5, 20]]
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "Layer l (cut in layers 0 to l)",
        "Layer l (cut in layers l to the last)",
    ]
    assert to_hex(figure.axes[0].lines[0].get_color()) == to_hex(colours(["audio->question"])["audio->question"])


def test_keeping_found_routes_stands_beside_as_many_random_edges():
    rows = [
        dict(model="m", kind=kind, threshold=t, share=share, accuracy=a, ci_low=a - 0.1, ci_high=a, n=7)
        for kind, t, share, a in (("all", 0, 1, 0.9), ("none", 0, 0, 0.2), ("found", 5, 0.3, 0.8), ("random", 5, 0.3, 0.4))
    ]
    figure = answer_panels.sufficiency_panels(pd.DataFrame(rows), ["m"])
    (axis,) = figure.axes
    at = {to_hex(line.get_color()): round(line.get_ydata()[0]) for line in axis.lines if len(line.get_xdata()) == 1}
    (legend,) = figure.legends
    said = dict(zip((text.get_text() for text in legend.get_texts()), legend.legend_handles))
    colour = lambda words: to_hex(said[words].get_color()[0])  # noqa: E731
    assert (at[colour("only the found routes")], at[colour("same number of random edges")]) == (80, 40)
    points = {tuple(map(float, line.get_xydata()[0])) for line in axis.lines if len(line.get_xydata()) == 1}
    assert {(round(x), round(y)) for x, y in points} >= {(30, 80), (30, 40)}
    assert axis.get_title() == "m, n = 7" and "5 %" in [text.get_text() for text in axis.texts]


def test_without_a_right_answer_the_panels_are_empty_and_say_so(tmp_path):
    schemas = {"k": row_schemas.KNOCKOUT, "s": row_schemas.SUFFICIENCY}
    for name, schema in schemas.items():
        pq.write_table(schema.empty_table(), tmp_path / f"{name}.parquet")
    kept = answers.answers_kept(tmp_path / "k.parquet", ["m"], "d", 100, 0)
    open_ = answers.sufficiency(tmp_path / "s.parquet", ["m"], "d", 100, 0)
    figures = answer_panels.cumulative_panels(kept, ["m"], ["audio->question"]), answer_panels.sufficiency_panels(open_, ["m"])
    for figure in figures:
        assert all(answer_panels.NONE_RIGHT in [text.get_text() for text in axis.texts] for axis in figure.axes)
    assert figures[1].axes[0].get_title() == "m, n = 0"


def test_the_legend_of_found_routes_comes_from_a_model_that_has_some():
    rows = [
        dict(model="n", kind=kind, threshold=5, share=0.3, accuracy=0.5, ci_low=0.4, ci_high=0.6, n=7)
        for kind in ("all", "none", "found", "random")
    ]
    figure = answer_panels.sufficiency_panels(pd.DataFrame(rows), ["m", "n"])
    assert len(figure.legends[0].get_texts()) == 3


def test_labels_of_thresholds_near_each_other_stand_apart():
    """As in tiny-salmonn, where six thresholds lie within a tenth of the edges."""
    found = {1: (0.42, 0.94), 2: (0.36, 0.96), 10: (0.36, 0.94), 20: (0.33, 0.89), 40: (0.325, 0.83), 60: (0.317, 0.77)}
    rows = [
        dict(model="m", kind="found", threshold=t, share=share, accuracy=right, ci_low=right, ci_high=right, n=47)
        for t, (share, right) in found.items()
    ]
    figure = answer_panels.sufficiency_panels(pd.DataFrame(rows), ["m"])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) >= 4
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
