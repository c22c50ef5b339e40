"""Draw the curves of routes. A notebook only loads a table, calls one of these functions and saves the figure.

The look follows the paper: panels with a shared y axis, ticks inward on all four sides, a dashed zero line, a legend
above, and thick lines with translucent 95 % bands over clips (`statistics.simultaneous_band`).
"""

import itertools
import string

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba

from ..results import Effects, ordered, title
from . import curves, legends, palette, published_curves
from .route_styles import colours, route_label

COLUMNS = 4  # the most panels in a row
HIGHEST = 30  # % above which bands alone do not widen an axis; they are cut off there
TEXT = 0.1  # height of a line of text inside a panel, as a share of the panel's
HEADROOM = 0.3  # of a panel's height, for the text above its curves
BEHIND_TEXT = {"facecolor": palette.PAPER, "alpha": 0.75, "linewidth": 0, "pad": 1}


def by_target(routes) -> list[list[str]]:
    """Two lists: the routes into other spans, and those into the last token. Empty lists are left out."""
    sides = [[r for r in routes if r.endswith(">last") == last] for last in (False, True)]
    return [side for side in sides if side]


def by_reader(routes) -> dict[str, list[str]]:
    """Who reads -> the routes of a free answer: into the question, and into the rows that predict the answer (last, reply)."""
    answering = [r for r in routes if r.rpartition(">")[2].startswith(("last", "reply"))]
    sides = {"what the question reads": [r for r in routes if r not in answering], "what the answer reads": answering}
    return {name: some for name, some in sides.items() if some}


def route_panels(effects: Effects, models, panels, words: str = "", parts: dict[str, Effects] | None = None, note: str = ""):
    """A figure with one row per model, one panel per (title, group, routes) entry of `panels`, and one line per route.

    Neighbouring panels with the same routes share a legend and form a block. Up to COLUMNS panels stand in one row; more of them
    wrap, and then each block is below the other. The panels of a model share the y axis, whose label is `words` or the metric's
    name. parts: label -> effects of some questions; each is a row of its own per model, and its panels also say in how many
    questions each route was cut. note: a line below the figure, such as what a span holds. Without panels, the figure says so.
    """
    if not panels:
        return nothing_to_show()
    rows = [(model, label, some.of(model=model)) for model in models for label, some in (parts or {"": effects}).items()]
    colour_of = colours(dict.fromkeys(route for *_, routes in panels for route in routes))
    blocks = [list(block) for _, block in itertools.groupby(panels, key=lambda panel: panel[2])]
    letters, lines = iter(_letters()), {model: [] for model, *_ in rows}
    figure, parts_of = _subfigures(blocks, len(rows))
    for part, block in zip(parts_of, blocks):
        across = min(COLUMNS, len(block))
        deep = -(-len(block) // across)
        grid = part.subplots(deep * len(rows), across, sharex="row", sharey="row", squeeze=False)
        for number, (heading, group, routes) in enumerate(block):
            letter, (down, right) = next(letters), divmod(number, across)
            for row, (model, label, here) in enumerate(rows):
                axis = grid[row * deep + down, right]
                line_panel(axis, here.of(group=group), {route: colour_of[route] for route in routes}, parts is not None)
                lines[model].append(axis)
                if row == 0 or deep > 1:
                    axis.set_title(f"({letter}) {heading}")
                if right == 0:
                    said = [model] if len(lines) > 1 else []
                    axis.set_ylabel("\n".join([*said, *([label] if label else []), words or effects.reading.words]))
                if row == len(rows) - 1 or deep > 1:
                    axis.set_xlabel("Layer")
        for number in range(len(block), deep * across):
            for row in range(len(rows)):
                grid[row * deep + deep - 1, number % across].set_axis_off()
        handles = [curves.handle(colour_of[route], route_label(route)) for route in block[0][2]]
        legends.fitted(part, handles, len(handles) if across > 2 else 2, loc="outside upper center")
    for axes in lines.values():
        leave_room(axes, 3 + (parts is not None), effects.reading.metric == "probability")
    told = "\n".join(filter(None, [note, windows_said(effects.rows)]))
    legends.fitted(figure, explained(effects), 3, told, loc="outside lower center", fontsize=7, title_fontsize=7)
    return figure


def nothing_to_show():
    """A small figure that says that no question has rows."""
    figure = plt.figure(figsize=(5, 1))
    figure.text(0.5, 0.5, "no question to show", ha="center", va="center", color=palette.NOTE)
    return figure


def _letters():
    """a, b, .. z, aa, ab, .."""
    for length in (1, 2):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))


def _subfigures(blocks, rows: int):
    """A figure and one subfigure per block: side by side, or one below the other if a block has more than COLUMNS panels."""
    if max(map(len, blocks)) <= COLUMNS:
        size = (max(2.6 * sum(map(len, blocks)) + 0.6, legends.NARROWEST), 1.2 + 2.0 * rows)
        figure = plt.figure(figsize=size)
        return figure, figure.subfigures(1, len(blocks), width_ratios=[len(block) for block in blocks], squeeze=False)[0]
    heights = [0.5 + 1.9 * rows * -(-len(block) // COLUMNS) for block in blocks]
    figure = plt.figure(figsize=(2.6 * COLUMNS + 0.6, 0.5 + sum(heights)))
    return figure, figure.subfigures(len(blocks), 1, height_ratios=heights, squeeze=False)[:, 0]


def share_limits(axes, room: float = HEADROOM) -> None:
    """Give all axes the same limits of y, wide enough for all their curves. room: above them, as a share of that height."""
    limits = [axis.get_ylim() for axis in axes]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    for axis in axes:
        axis.set_ylim(low, high + room * (high - low))


def windows_said(rows) -> str:
    """How many layers the windows of a figure's rows have, as a sentence; by model if they differ. Empty without rows."""
    widths = {model: sorted(here["width"].unique()) for model, here in rows.groupby("model", sort=False)} if len(rows) else {}
    words = {model: " or ".join(map(str, some)) for model, some in widths.items()}
    if len(set(words.values())) < 2:
        return "".join(f"A route is cut in windows of {width} layers, drawn at the middle one." for width in set(words.values()))
    return f"A route is cut in windows of {', '.join(f'{w} layers ({m})' for m, w in words.items())}, drawn at the middle one."


def leave_room(axes, lines: int, percent: bool) -> None:
    """Give all axes the same limits, with room for some lines of text above 0, and leave out bands that alone reach far above it.

    percent: the axes show % change.
    """
    lows, highs = zip(*[axis.get_ylim() for axis in axes])
    tops = []
    for axis, high in zip(axes, highs):
        drawn = max((float(np.nanmax(line.get_ydata())) for line in axis.lines if len(line.get_ydata())), default=0.0)
        high = min(high, max(HIGHEST, 1.1 * drawn)) if percent else high
        tops.append(high)
    share, low = 0.03 + lines * TEXT, min(lows)
    for axis in axes:
        axis.set_ylim(low, max(*tops, -low * share / (1 - share)))


def line_panel(axis, effects: Effects, colour_of: dict, per_route: bool = False) -> None:
    """Draw one panel: mean curves with bands, random controls in grey, the noise floor around 0, and n.

    colour_of: route -> colour, for the routes to draw. per_route: also say in how many questions each route was cut. The 95 %
    bands hold all layers and routes of the panel simultaneously, and so do those of the controls. A control's mean and edge are
    dotted in its route's colour. Published values lie faintly behind. Lines are drawn widest first, so that those which coincide
    show on either side of each other.
    """
    axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
    found, random = effects.curves(list(colour_of)), effects.curves(list(colour_of), of_controls=True)
    for route, curve in random.items():
        if curve.n < effects.reading.least:
            axis.plot(curve.centres, curve.mean, color=colour_of[route], linestyle="none", marker=".", markersize=2, zorder=2.5)
            continue
        edge = {"facecolor": to_rgba(palette.CONTROL, 0.3), "edgecolor": colour_of[route], "linewidth": 0.5, "linestyle": ":"}
        axis.fill_between(curve.centres, curve.low, curve.high, **edge, zorder=1)
        axis.plot(curve.centres, curve.mean, color=colour_of[route], linestyle=":", linewidth=1.2, zorder=2.5)
    least = effects.reading.least
    for place, (route, curve) in enumerate(found.items()):
        values = curve.centres, curve.mean, curve.low, curve.high
        curves.draw(axis, *values, curve.n, colour_of[route], place, len(found), least)
    axis.axhspan(-effects.noise, effects.noise, color=palette.CHANCE, alpha=0.3, linewidth=0, zorder=1)
    if len(effects.published):
        published_curves.draw_curves(axis, effects.published, colour_of)
    axis.xaxis.get_major_locator().set_params(integer=True)
    numbers = [curve.n for curve in found.values()]
    small = found and max(numbers) < least
    said, controls = (
        [curves.all_too_few(effects.counts) if small else effects.counts],
        effects.controls[effects.controls["route"].isin(list(random))],
    )
    said += [few] if not small and (few := curves.too_few(numbers, least)) else []
    some = f" ({len(random)} of {len(found)} routes)" if len(random) < len(found) else ""
    said += [f"random keys{some}: n = {controls['question_id'].nunique()}"] if random else []
    said.append(f"noise floor {effects.noise:.1g}{' %' if effects.reading.metric == 'probability' else ''}")
    place = dict(transform=axis.transAxes, va="top", zorder=3)  # above the curves, which fall
    above = axis.text(0.03, 0.97, "\n".join(said), fontsize=6, color=palette.NOTE, linespacing=1.3, bbox=BEHIND_TEXT, **place)
    if per_route:
        _say_n(axis, above, effects.cut_in(colour_of), colour_of)
    if not found:
        axis.text(0.5, 0.5, effects.nothing, transform=axis.transAxes, ha="center", va="center", fontsize=6)


def _say_n(axis, above, numbers: dict[str, tuple[int, int]], colour_of: dict) -> None:
    """One line below the text `above`: in how many questions each route was cut, in its colour, and of how many."""
    if not numbers:
        return
    asked = max(of for _, of in numbers.values())
    if set(numbers.values()) == {(asked, asked)}:
        pieces = [(f"each route: n = {asked} of {asked}", palette.NOTE)]
    else:
        pieces = [("routes: n = ", palette.NOTE)]
        for route, (n, of) in numbers.items():
            pieces.append((f"{n}" if of == asked else f"{n} of {of}", colour_of[route]))
            pieces.append((", " if route != list(numbers)[-1] else f" of {asked}", palette.NOTE))
    place = {"xy": (0, 0), "xytext": (0, -1.5), "xycoords": above, "va": "top"}
    for text, colour in pieces:
        beside = axis.annotate(text, **place, textcoords="offset points", fontsize=6, color=colour)
        place = {"xy": (1, 0), "xytext": (0, 0), "xycoords": beside, "va": "bottom"}


def explained(*effects: Effects) -> list:
    """Legend entries for everything but routes: the bands and, if there are any, the controls and the paper's values."""
    handles = [
        plt.Rectangle(
            (0, 0), 1, 1, color=palette.BAND, alpha=0.25, label="95 % simultaneous band over a panel's layers and routes"
        )
    ]
    if any(len(e.controls) for e in effects):
        handles.append(
            plt.Rectangle(
                (0, 0),
                1,
                1,
                color=palette.CONTROL,
                alpha=0.35,
                label="size-matched random control, 95 % (dotted); none where too few other keys exist",
            )
        )
    if said := list(dict.fromkeys(words for e in effects for words in e.published_conditions)):
        handles.append(published_curves.handle(said))
    return handles


def window_panels(effects: Effects, models, routes: list):
    """Appendix E, one grid of panels per model: rows are routes, columns are groups, lines are window widths k (dark is wide).

    Beyond COLUMNS groups, the others stand below, with rows for the same routes.

    Only means are drawn, because the bands of this many lines would hide each other.
    """
    rows = effects.rows
    models, groups, widths = list(models), ordered(effects.groups) or [""], sorted(rows["width"].unique())
    across = min(COLUMNS, len(groups))
    deep = -(-len(groups) // across) * len(routes)
    size = (max(2.6 * across + 0.6, legends.NARROWEST), (1.4 * deep + 0.5) * len(models) + 0.4)
    figure = plt.figure(figsize=size)
    shades = dict(zip(widths, plt.get_cmap("viridis_r")(np.linspace(0.1, 1, len(widths)))))
    for model, part in zip(models, figure.subfigures(len(models), 1, squeeze=False)[:, 0]):
        grid = part.subplots(deep, across, sharex=True, sharey=True, squeeze=False)
        for number, group in enumerate(groups):
            down, right = divmod(number, across)
            column = grid[down * len(routes) : (down + 1) * len(routes), right]
            for axis, route in zip(column, routes):
                axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
                here = rows[(rows["model"] == model) & (rows["route"] == route) & (rows["group"] == group)]
                for width, one in here.groupby("width"):
                    mean = one.groupby("centre")["change"].mean()
                    axis.plot(mean.index, mean, color=shades[width], linewidth=1.4)
                told = effects.of(model=model, route=route, group=group)
                axis.text(0.03, 0.97, told.counts, transform=axis.transAxes, va="top", fontsize=7, color=palette.NOTE)
                if not len(here):
                    axis.text(0.5, 0.5, told.nothing, transform=axis.transAxes, ha="center", va="center", fontsize=5)
                if right == 0:
                    axis.set_ylabel(route_label(route))
            column[0].set_title(title(group))
            column[-1].set_xlabel("Layer")
            column[-1].tick_params(labelbottom=True)
            column[-1].xaxis.get_major_locator().set_params(integer=True)
        leave_room(list(grid.flat), 1, effects.reading.metric == "probability")
        for axis in grid[-len(routes) :, len(groups) % across or across :].flat:
            axis.set_axis_off()
        part.supylabel(effects.reading.words)
        if len(models) > 1:
            part.suptitle(model)
    handles = [plt.Line2D([], [], color=shades[w], label=f"k = {w}") for w in widths]
    legends.fitted(figure, handles, len(handles), loc="outside upper center")
    return figure
