"""Write a figure's files."""

import os
import re
import warnings

from matplotlib.transforms import Bbox

from ..storage import whole
from . import palette

MISSING = re.compile(r"Glyph \d+ .* missing from font")
ROOM = 0.2  # inches above a figure, for a stamp
BOXES = "Boxes stand for letters that no font in figures/style.mplstyle has: add one, such as Noto Sans CJK, to its font.serif."


def save(figure, *paths) -> None:
    """Write a figure to each path. The same figure gives the same bytes, and a file appears only once it is complete.

    It is laid out once, so that all files show the same. If no font holds a letter of a name, a line at the foot of the figure
    says so, and matplotlib's warnings go on to the log. The stamp of a study (AVFLOW_STAMP, which run_notebook.py sets) stands
    above everything else.
    """
    noted = False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING.pattern)  # comes again when the files are written
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # everything stays where it is now
    if stamp := os.environ.get("AVFLOW_STAMP"):
        for legend in figure.legends:  # else it would stand at the edge of the page, in the room of the stamp
            legend.set_bbox_to_anchor((0, 0, 1, 1), transform=figure.transFigure)
        figure.text(0.5, 1 + 0.04 / figure.get_figheight(), stamp, ha="center", va="bottom", fontsize=8, color=palette.NOTE)
    for path in map(str, paths):
        if _write(figure, path) and not noted:
            figure.text(0.998, 0.002, BOXES, ha="right", va="bottom", fontsize=5)
            noted = True
            _write(figure, path)


def _write(figure, path: str) -> bool:
    """Write one file. Returns whether it lacks a letter. Its warnings are given again, each once."""
    kind = path.rsplit(".", 1)[1]
    with whole(path) as part, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        room = ROOM if os.environ.get("AVFLOW_STAMP") else 0.0
        whole_page = Bbox.from_bounds(0, 0, figure.get_figwidth(), figure.get_figheight() + room)
        metadata = {"CreationDate": None} if kind == "pdf" else None
        figure.savefig(part, format=kind, metadata=metadata, bbox_inches=whole_page if room else None)
    for message, category in dict.fromkeys((str(one.message), one.category) for one in caught):
        warnings.warn(message, category, stacklevel=3)
    return any(MISSING.match(str(one.message)) for one in caught)
