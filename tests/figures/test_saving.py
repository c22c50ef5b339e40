"""A figure is written to every path, with the same bytes each time."""

import warnings

import matplotlib.pyplot as plt
import pytest

from avflow.figures import saving


def test_a_figure_has_the_same_bytes_each_time_and_leaves_nothing_beside_them(tmp_path):
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, 1])
    for name in "ab":
        saving.save(figure, tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG" and (tmp_path / "a.pdf").read_bytes()[:4] == b"%PDF"


def test_letters_that_no_font_has_are_named_in_the_figure_and_the_log(tmp_path):
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.set_title("听觉", family="STIXGeneral")
    with pytest.warns(UserWarning, match="Glyph 21548"):
        saving.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert [text.get_text() for text in figure.texts] == [saving.BOXES]
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.set_title("hear")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saving.save(figure, tmp_path / "a.png")
    assert not figure.texts


def test_the_stamp_of_a_study_stands_above_the_figure_and_moves_nothing(tmp_path, monkeypatch):
    figure, axis = plt.subplots(figsize=(3, 1), layout="constrained")
    axis.plot([0, 1], label="a route")
    figure.legend(loc="outside upper center")
    saving.save(figure, tmp_path / "plain.png")
    monkeypatch.setenv("AVFLOW_STAMP", "pilot, n = 100 questions of every task at most")
    saving.save(figure, tmp_path / "stamped.png", tmp_path / "stamped.pdf")
    plain, stamped = (plt.imread(tmp_path / f"{name}.png") for name in ("plain", "stamped"))
    room = stamped.shape[0] - plain.shape[0]
    assert room == round(saving.ROOM * figure.dpi)
    assert abs(stamped[room:] - plain).mean() < 0.01 and (stamped[:room] != 1).any(), "the stamp alone is new"
    colourful = stamped[:room, :, :3].max(2) - stamped[:room, :, :3].min(2)
    assert colourful.max() < 0.05, "the legend, whose line is blue, stays out of the stamp's room"
    assert "pilot, n = 100" in figure.texts[0].get_text()
