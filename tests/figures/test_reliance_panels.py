"""Figures of reliance: accuracy in percent, and a route's effect against the accuracy lost without its sense."""

import pandas as pd
from legends import entries
from matplotlib.colors import to_hex

from avflow.figures import reliance_panels


def test_bars_are_accuracies_and_points_are_effects():
    right = {"as_is": 1.0, "muted": 0.25, "blanked": 0.75, "text_only": 0.0, "swapped": 0.5}
    row = dict(model="m", task="hear", group="hear", needs="A", chance=0.25)
    row |= right | {f"{v}_{end}": value for v, value in right.items() for end in ("low", "high")}
    sides = pd.DataFrame([dict(model="m", group="hear", route="audio->question", lost=75.0, area=-30.0, low=-40.0, high=-20.0)])
    none = pd.DataFrame(columns=["model"])
    figure = reliance_panels.reliance_panels(["m"], pd.DataFrame([row]), sides, none, none)
    bars, points = figure.axes
    assert [bar.get_height() for bar in bars.patches] == [100 * value for value in right.values()]
    assert bars.get_xticklabels()[0].get_text() == "hear\n(needs A)"
    assert [75, -30] in [line.get_xydata()[0].tolist() for line in points.lines if len(line.get_xydata()) == 1]
    words = dict(zip(right, ("as it is", "sounds muted", "pictures blanked", "muted and blanked", "another clip's sound")))
    height = {to_hex(bar.get_facecolor()): bar.get_height() for bar in bars.patches}
    assert {label: height[colour] for label, colour in entries(figure).items()} == {words[v]: 100 * x for v, x in right.items()}
