"""Bars of the last token's attention, and the bins of a map that hold a sink."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from legends import entries
from matplotlib.colors import to_hex
from table_rows import entry, written

from avflow.figures import attention_panels, palette
from avflow.results import attention


def test_bars_are_stacked_in_the_order_of_the_classes():
    shares = {"video": (0.25, 0.5), "system": (0.5, 0.25), "last": (0.25, 0.25)}
    table = pd.DataFrame([dict(layer=n, name=name, share=s) for name, by in shares.items() for n, s in enumerate(by)])
    axis = plt.figure().add_subplot()
    attention_panels.share_bars(axis, table)
    drawn = {(to_hex(bar.get_facecolor()), round(bar.get_center()[0])): (bar.get_y(), bar.get_height()) for bar in axis.patches}
    of = lambda name: [drawn[to_hex(palette.TOKENS[name]), layer] for layer in (0, 1)]  # noqa: E731
    assert of("system") == [(0, 0.5), (0, 0.25)] and of("video") == [(0.5, 0.25), (0.25, 0.5)]
    assert of("last") == [(0.75, 0.25), (0.75, 0.25)] and axis.get_ylim() == (0, 1)


def test_the_legend_names_each_class_with_the_colour_of_its_bars():
    words = {"system": "System", "delimiter": "Delimiters", "video": "Video", "audio": "Audio", "question": "Question"}
    words |= {"options": "Options", "last": "Last (itself)"}
    shares = dict(zip(words, (0.05, 0.1, 0.3, 0.2, 0.15, 0.12, 0.08)))
    figure = plt.figure()
    axis = figure.add_subplot()
    attention_panels.share_bars(axis, pd.DataFrame([dict(layer=0, name=name, share=share) for name, share in shares.items()]))
    attention_panels.legend(figure, set(shares))
    said = entries(figure)
    heights = {to_hex(bar.get_facecolor()): round(bar.get_height(), 6) for bar in axis.patches}
    assert {label: heights[colour] for label, colour in said.items()} == {words[name]: share for name, share in shares.items()}


def test_a_bin_is_marked_where_a_sink_lies_in_it():
    bins = [dict(kind="bins", layer=None, number=n, values=[4 * n, 4 * n + 4]) for n in range(3)]
    sinks = [dict(kind="sinks", layer=5, number=0, values=[0, 3]), dict(kind="sinks", layer=5, number=1, values=[8])]
    rows = pd.DataFrame(bins + sinks)
    assert attention_panels.sink_bins(rows, 5) == [0, 2] and attention_panels.sink_bins(rows, 6) == []


def test_maps_norms_and_sinks_are_those_of_the_layer_in_the_title(tmp_path):
    names = ("video", "question", "last")
    rows = [entry(0, "bins", [n, n + 1], name=name, number=n) for n, name in enumerate(names)]
    for layer in (3, 4):
        square = np.tril(np.full((3, 3), layer / 10))
        rows += [entry(0, "map", line.tolist(), layer, "uncut", n) for n, line in enumerate(square)]
        rows.append(entry(0, "norms", [10.0 * layer] * 3, layer))
        rows += [entry(0, "activations", [float(layer)] * 4, layer, name) for name in ("first", "median")]
        rows += [entry(0, "shares", [0.5], layer, name) for name in ("video", "last")]
    rows.append(entry(0, "sinks", [0.0], 4, "video", 1))
    path = written(tmp_path / "a.parquet", rows)
    shares = attention.shares(path, ["m"], "d", 50, 0)
    figure = attention_panels.attention_panels(path, ["m"], "d", shares, {"m": [3, 4]})
    maps = {axis.get_xlabel(): axis.images[0].get_array().max() for axis in figure.axes if axis.images}
    assert maps == {"Keys, layer 3": pytest.approx(0.3), "Keys, layer 4": pytest.approx(0.4)}
    figure = attention_panels.sink_panels(path, ["m"], "d", {"m": [3, 4]})
    heights = {axis.get_title(): axis.collections[0].get_offsets()[0, 1] for axis in figure.axes[:2]}
    assert heights == {"Input of layer 3: no sinks\n(the median token is as large)": 30, "Input of layer 4: 1 sinks": 40}
