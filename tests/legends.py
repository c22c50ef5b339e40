"""What a figure's legends say, for tests that hold them against the drawn data."""

from matplotlib.colors import to_hex

ARROWS = {r" $\nrightarrow$ ": "->", r" $\nleftrightarrow$ ": "<->"}


def entries(*figures) -> dict[str, str]:
    """Words of the legends -> colour, with a route's struck-through arrow as -> or <->."""
    said = {}
    for legend in (legend for figure in figures for legend in figure.legends):
        for text, handle in zip(legend.get_texts(), legend.legend_handles):
            words = text.get_text()
            for arrow, plain in ARROWS.items():
                words = words.replace(arrow, plain)
            part = handle[0] if isinstance(handle, tuple) else handle  # of bars, the first
            said[words] = to_hex(part.get_color() if hasattr(part, "get_color") else part.get_facecolor())
    return said


def level(axis, colour) -> set[float]:
    """The heights of the only solid curve of a colour in a panel."""
    (line,) = [line for line in axis.lines if to_hex(line.get_color()) == colour and line.get_linestyle() == "-"]
    return set(map(float, line.get_ydata()))
