"""A figure is written to every path, with the same bytes each time."""

import matplotlib.pyplot as plt

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
