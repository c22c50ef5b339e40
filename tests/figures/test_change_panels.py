"""How a cut changes attention: maps at the layer that changes most, and attention by layer with and without the cut."""

import numpy as np
import pytest
from table_rows import entry, written

from avflow.figures import change_panels, palette


def test_the_maps_are_those_of_the_layer_that_changes_most(tmp_path):
    names = ("audio", "question", "last")
    rows = [entry(0, "bins", [n, n + 1], name=name, number=n) for n, name in enumerate(names)]
    uncut = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.5, 0.25]])
    cut = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.25, 0.25]])
    for layer, after in enumerate((uncut, cut)):
        for name, square in (("uncut", uncut), ("cut", after)):
            rows += [entry(0, "map", line.tolist(), layer, name, n) for n, line in enumerate(square)]
    path = written(tmp_path / "a.parquet", rows)
    figure, table = change_panels.change_panels(path, ["m"], "d", "audio->question", [0.5, 1])
    maps = [axis.images[0].get_array() for axis in figure.axes[:3]]
    assert [axis.get_title() for axis in figure.axes[:3]] == ["Layer 1, uncut", "Layer 1, cut", "Difference"]
    assert maps[2].tolist() == (cut - uncut).tolist() and abs(maps[0][1, 0] - 0.5) < 1e-6
    (flow,) = (axis for axis in figure.axes if axis.get_title() == "Attention of the question's tokens")
    drawn = {(line.get_color(), line.get_linestyle()): line.get_ydata().tolist() for line in flow.lines}
    assert drawn[palette.TOKENS["audio"], "-"] == [0.5, 0.5] and drawn[palette.TOKENS["audio"], "--"] == [0.5, 0]
    shaded = flow.transData.inverted().transform(flow.patches[0].get_window_extent())[:, 0]
    assert shaded.tolist() == pytest.approx([0.5, 1.5]), "the second half of two layers"
    assert table["n"].max() == 1 and figure.get_supxlabel().startswith("Cut: Audio")
