"""The maps of app_where show the cuts and the attention of their question; what is missing says so."""

from dataclasses import replace

import examples
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from avflow.figures.where_panels import Example, where_panels
from avflow.results.where import WHOLE

EVENT = {"sense": "audio", "start": 1.0, "stop": 2.0}
MEANS = ["model", "dataset", "task", "source", "target", "alone", "seconds", "change", "ci_low", "ci_high", "n"]


def cuts(sound=True, pictures=True, windows=True):
    """4 s, 2 x 2 tiles. Alone, second 1 of the sound keeps all, and the last tile half. Without a part, 20 % are lost."""
    found = []
    for style, centre in ((WHOLE, 0), *((("centred", n) for n in (0, 4, 8)) if windows else ())):
        row = dict(style=style, centre=centre, left=np.nan, top=np.nan, right=np.nan, bottom=np.nan)
        for i in range(4):
            if sound:
                found.append({**row, "source": "audio.time", "start": i, "stop": i + 1, "change": -100.0 * (i != 1)})
            if pictures:
                found.append({**row, "source": "video.time", "start": i, "stop": i + 1, "change": -95.0})
        for tile in range(4) if pictures else ():
            left, top = tile % 2 / 2, tile // 2 / 2
            box = dict(left=left, top=top, right=left + 0.5, bottom=top + 0.5, change=-100.0 + 50 * (tile == 3))
            found.append({**row, **box, "source": "video.tile", "start": 0, "stop": 4})
            found += [{**row, **box, "source": "video.cell", "start": i, "stop": i + 1} for i in range(4)]
    table = pd.DataFrame(found)
    return pd.concat([table.assign(alone=True), table.assign(alone=False, change=-20.0)], ignore_index=True)


def looks():
    return pd.DataFrame(
        [dict(source="audio.token", layer=n, stop=4.0, shape=[8], values=np.full(8, 0.01 * (n + 1))) for n in (0, 1)]
        + [dict(source="video.token", layer=n, stop=4.0, shape=[4, 2, 2], values=np.arange(16) / 100) for n in (0, 1)]
    )


def example(clip=True, attention=True, **parts):
    given = {"frames": np.full((8, 3, 56, 56), 90, np.uint8), "audio": np.random.default_rng(0).normal(0, 0.1, 64000)}
    none = pd.DataFrame(columns=["source", "layer", "stop", "shape", "values"])
    question = replace(examples.video_question(), events=(EVENT,))
    return Example(question, given if clip else {}, cuts(**parts), looks() if attention else none)


def means():
    of = ("m", "d", "hear", "audio.time")
    rows = [(*of, t, True, s, -80.0 * (s != 0), -90.0, 0.0, 12) for t in ("question", "last") for s in (-1, 0, 1)]
    rows += [(*of, "question", False, 0, 7.0, 0.0, 9.0, 12)]
    return pd.DataFrame(rows, columns=MEANS)


def drawn(*given, table=None, least=10):
    figure = where_panels(["m"], list(given), means() if table is None else table, ["question", "last"], least)
    figure.canvas.draw()
    axes = {axis.get_ylabel(): axis for axis in figure.findobj(plt.Axes) if axis.get_ylabel()}
    words = " ".join(text.get_text() for text in figure.findobj(plt.Text))
    plt.close(figure)
    return axes, words


def shades(axis):
    return {(round(p.get_x(), 2), round(p.get_y(), 2)): p.get_alpha() for p in axis.patches if p.get_fill()}


def test_an_example_has_its_numbers_in_the_right_place_on_every_panel():
    axes, words = drawn(example())
    values = lambda name: axes[name].collections[0].get_array()  # noqa: E731
    assert values("alone").ravel().tolist() == [0, 100, 0, 0] and values("without").ravel().tolist() == [20] * 4
    assert values("looks").ravel().tolist() == pytest.approx([1.5] * 8), "% as a mean over layers"
    assert values("Sound\nLayer").shape == (3, 4) and values("Sound\nLayer")[:, 1].tolist() == [100] * 3
    assert values("Pictures\nLayer")[0, 0] == 5
    cells = shades(axes["Alone"])
    assert len(cells) == 16 and {at for at, alpha in cells.items() if alpha > 0.2} == {(i + 0.5, 0) for i in range(4)}
    assert len(set(shades(axes["Without"]).values())) == 1
    seen = shades(axes["Looks"])
    assert len(seen) == 16 and max(seen, key=seen.get) == (3.5, 0), "the last token: last second, below, right"
    tiles = shades(axes["Tiles"])
    assert max(tiles, key=tiles.get) == (0.5, 0) and "0 to 50 % kept" in words


def test_the_known_event_is_marked_on_its_sense_alone():
    axes, _ = drawn(example())
    outlined = lambda axis: [p.get_x() for p in axis.patches if not p.get_fill()]  # noqa: E731
    assert outlined(axes["Sound\n(kHz)"]) == outlined(axes["alone"]) == [1.0]
    assert outlined(axes["Alone"]) == outlined(axes["Pictures\nLayer"]) == []


def test_a_clip_without_frames_sound_pictures_or_attention_is_drawn_all_the_same():
    assert "attention by token is not recorded" in drawn(example(clip=False, attention=False))[1]
    assert "no pictures" in drawn(example(pictures=False))[1]
    assert "nothing to cut" in drawn(example(sound=False), example(windows=False))[1]


def test_means_that_rest_on_too_few_questions_are_left_out():
    axes, words = drawn(example())
    lines = [line for line in axes["m\n% Change in Probability"].lines if len(line.get_xdata()) == 3]
    assert [line.get_linestyle() for line in lines] == ["-", "--"] and "n = 12" in words
    assert lines[0].get_ydata().tolist() == [-80, 0, -80]
    assert "no events with a known time, or too few questions" in drawn(example(), least=13)[1]
    assert "no question with a right answer to show" in drawn()[1]
    assert "no events with a known time" in drawn(table=pd.DataFrame(columns=MEANS))[1]
