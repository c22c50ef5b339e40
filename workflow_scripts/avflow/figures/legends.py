"""Legends that fit: as many columns as asked for, or fewer if the figure is too narrow, with headings in lines that fit."""

import textwrap

NARROWEST = 3.7  # inches of the narrowest figure that holds the longest single entry
LETTERS = 15  # letters of 7 points in an inch


def fitted(part, handles, ncols: int, title: str = "", **where):
    """Add a legend to a figure or subfigure, with at most `ncols` columns. where: further settings of the legend."""
    wide = max(20, int(LETTERS * part.bbox.width / part.get_figure(root=True).dpi))
    heading = "\n".join(textwrap.fill(line, wide) for line in title.splitlines())
    renderer = part.get_figure(root=True).canvas.get_renderer()
    for columns in range(max(1, ncols), 0, -1):
        legend = part.legend(handles=handles, ncols=columns, title=heading or None, **where)
        if columns == 1 or legend.get_window_extent(renderer).width <= part.bbox.width:
            return legend
        legend.remove()
