"""The explorer as one HTML file that contains its data (`results/explorer_data.py`), as much of it as a size limit allows.

Numbers are rounded to a quantum and written as unsigned codes: 0, -1, 1, -2, .. become 0, 1, 2, 3, .., and the largest code marks
a missing value. Low and high bytes are stored apart and compressed by gzip, which every browser can unpack. Each part is
compressed by itself, so that a page unpacks only what it shows. The page forbids itself to load anything from elsewhere.
"""

import base64
import gzip
import hashlib
import html
import json
import re
from dataclasses import dataclass, field

import numpy as np
from matplotlib.colors import to_hex

from ..errors import InputError
from ..questions import layouts
from ..results import Block, curves_of, subsets, title
from ..results.explorer_data import LETTERS
from ..results.overview import FIGURES
from . import route_styles

QUANTA = {"questions": (0.1, 0.01), "curves": (0.01, 0.001)}  # for the two measures, in % and in logits
WIDTHS = {"questions": 2, "curves": 4}  # bytes per number
FULL, REPORT = 10_000_000, 1_550_000  # bytes; Chromium opens no data URI above 2 MiB, and base64 takes a quarter of that
TITLES = {
    "figure_3": "Figure 3: within and between modalities",
    "figure_4": "Figure 4: video, routes to the answer",
    "figure_5": "Figure 5: items, gathering in the reference",
    "figure_6": "Figure 6: items, selecting the option",
    "question_words": "Where the question's words go",
    "graded": "Graded need for sound",
    "options": "Parts of the question",
    "failed": "Wrong answers",
    "windows": "Appendix E: width of the window",
    "order_video": "Appendix D.3.1: order of the prompt, video",
    "order_items": "Appendix D.3.1: order of the prompt, items",
    "cumulative": "Cuts up to a layer, and from a layer on",
    "value_zero": "Figure 4 without renormalisation",
}
STYLES = {
    "centred": "window",
    "inverse": "all layers but the window",
    "top_down": "from layer l on",
    "bottom_up": "up to layer l",
}
CONTROLS = {"none": "real cut", "random_same": "random keys, same modality", "random_other": "random keys, anything else"}
SHARES = tuple(0.5**n for n in range(1, 9))
MAPS = 0.15  # most of a page that maps of clips take
WHOLE, CURVES, NOTHING = 2, 1, 0  # how much of an analysis a page holds


def encoded(values, quantum: float, width: int) -> bytes:
    """Values (any shape, NaN for missing) as bytes: their codes, low bytes first, clipped to what `width` bytes hold."""
    most = 2 ** (8 * width - 1) - 1
    with np.errstate(invalid="ignore"):
        steps = np.clip(np.rint(np.asarray(values, dtype=np.float64).ravel() / quantum), -most, most)
    missing = np.isnan(steps)
    steps = np.where(missing, 0, steps).astype(np.int64)
    codes = np.where(missing, 2 ** (8 * width) - 1, np.where(steps < 0, -2 * steps - 1, 2 * steps))
    return codes.astype(f"<u{width}").view(np.uint8).reshape(-1, width).T.tobytes()


def decoded(data: bytes, quantum: float, width: int) -> np.ndarray:
    """The inverse of `encoded`, as the page computes it: values (n,)."""
    codes = np.frombuffer(data, dtype=np.uint8).reshape(width, -1).T.copy().view(f"<u{width}").ravel().astype(np.int64)
    values = np.where(codes % 2, -(codes // 2) - 1, codes // 2) * quantum
    return np.where(codes == 2 ** (8 * width) - 1, np.nan, values)


def packed(data) -> str:
    """The compressed text of a part, from bytes or a JSON value. Equal input gives equal text."""
    if not isinstance(data, bytes):
        data = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def unpacked(text: str) -> bytes:
    """The inverse of `packed`: the bytes of a part."""
    return gzip.decompress(base64.b64decode(text))


@dataclass
class Prepared:
    """A block, ready for a page.

    facts: what the page needs to know about the block, for JSON. curves: the part with its curves. questions: share kept -> the
    two parts with that share of its questions.
    """

    block: Block
    facts: dict
    curves: str
    questions: dict = field(default_factory=dict)

    def members(self, share: float, seed: int) -> list[str]:
        """The ids of the questions in a share. Every block takes the same ones."""
        return [name for name in self.block.questions.tolist() if share >= 1 or _place(name, seed) < share]

    def of(self, share: float, seed: int) -> tuple[str, str]:
        """Two parts for the questions in a share: facts about them, and what the cuts did to them."""
        if share not in self.questions:
            block, members = self.block, np.flatnonzero(np.isin(self.block.questions, self.members(share, seed)))
            who = {"ids": block.questions[members].tolist(), "tasks": block.tasks[members].tolist()}
            who |= {"groups": block.groups[members].tolist(), "clean": block.clean[:, members].tolist()}
            who |= {"correct": block.correct[:, members].tolist()}
            measures = zip((block.change, block.difference), QUANTA["questions"])
            cuts = [encoded(of[:, members], quantum, WIDTHS["questions"]) for of, quantum in measures]
            letters = block.answer[:, members].astype(np.uint8).tobytes()  # 255: missing
            self.questions[share] = packed(who), packed(b"".join([*cuts, letters]))
        return self.questions[share]


def _place(name: str, seed: int) -> float:
    """A question's random place between 0 and 1. A share takes the questions below it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big") / 2**64


def prepare(block: Block, draws: int, seed: int, drawn=()) -> Prepared:
    """Compute a block's curves for all its subsets and describe it. drawn: the routes that its figure draws; empty for all."""
    chosen = subsets(block)
    found = [curves_of(block, subset, draws, seed) for subset in chosen]
    shape = (0, 2, 3, len(block.curves), len(block.centres))
    curves = np.stack([values for values, _ in found]) if found else np.zeros(shape)  # (subsets, 2, 3, C, L)
    data = [encoded(curves[:, n], quantum, WIDTHS["curves"]) for n, quantum in enumerate(QUANTA["curves"])]
    data.append(np.array([counts for _, counts in found], dtype="<u2").tobytes())
    routes = list(dict.fromkeys(curve["route"] for curve in block.curves))
    labels = [variant(block, curve) for curve in block.curves]
    variants = list(dict.fromkeys(labels))
    drawn = [route for route in routes if route in drawn] or routes
    colour = route_styles.colours(routes)
    facts = {"analysis": block.analysis, "model": block.model, "dataset": block.dataset, "centres": block.centres.tolist()}
    facts["routes"] = [{"name": r, "label": words(r), "colour": to_hex(colour[r]), "drawn": r in drawn} for r in routes]
    facts["variants"] = variants
    facts["curves"] = [[routes.index(c["route"]), variants.index(v), block.order_of(c)] for c, v in zip(block.curves, labels)]
    facts["subsets"] = [
        {"kind": s.kind, "name": str(s.name), "title": plain(title(s.name)), "population": s.population} for s in chosen
    ]
    facts |= {"orders": block.layouts, "unusual": any(name in layouts.NAMES for name in block.layouts)}
    facts["population"] = (
        "wrong" if block.analysis == "failed" else "all" if len(block.layouts) > 1 else "correct"
    )  # as in figures
    facts["tasks"] = {task: str(group) for task, group in sorted(set(zip(block.tasks.tolist(), block.groups.tolist())))}
    limit = (2 ** (8 * WIDTHS["questions"] - 1) - 1) * np.array(QUANTA["questions"])
    facts["clipped"] = [int((np.abs(of) > most).sum()) for of, most in zip((block.change, block.difference), limit)]
    return Prepared(block, facts, packed(b"".join(data)))


def words(route: str) -> str:
    """A route's name on the page."""
    ends = [end.strip().replace("_", " ") for end in re.split("([↛↮])", plain(route_styles.route_label(route)))]
    return " ".join(end[:1].upper() + end[1:] for end in ends)


def plain(label: str) -> str:
    """A figure's label without mathtext."""
    for written, sign in ((r"$\nleftrightarrow$", "↮"), (r"$\nrightarrow$", "↛"), (r"$\rightarrow$", "→"), (r"\$", "$")):
        label = label.replace(written, sign)
    return label


def variant(block: Block, curve: dict) -> str:
    """Words that tell a curve from others of the same route in its block; empty if nothing differs."""
    differs = {key for key in curve if len({c[key] for c in block.curves}) > 1}
    said = [f"k = {curve['width']}"] if "width" in differs else []
    said += [STYLES[curve["style"]]] if "style" in differs else []
    said += [f"order {curve['layout']}"] if "layout" in differs else []
    if {"cut", "control"} & differs:
        dropped = curve["cut"] == "value_zero"
        said.append("values dropped, not renormalised" if dropped else CONTROLS.get(curve["control"], curve["control"]))
    if "draw" in differs and curve["control"] != "none":
        said.append(f"draw {curve['draw'] + 1}")
    return ", ".join(said)


def plans(analyses):
    """What a page may hold, from most to least: (analysis -> how much of it, share of questions).

    First the questions of analyses outside the main figures are left out, the last analysis first. Then these analyses are left
    out altogether. Then fewer and fewer random questions of the main figures are kept, and at last none.
    """
    levels = dict.fromkeys(analyses, WHOLE)
    yield dict(levels), 1.0
    others = [name for name in reversed(analyses) if name not in FIGURES]
    for level in (CURVES, NOTHING):
        for name in others:
            levels[name] = level
            yield dict(levels), 1.0
    for share in SHARES:
        yield dict(levels), share
    yield dict.fromkeys(levels, CURVES) | {name: NOTHING for name in others}, 1.0


def page(
    template: str,
    library: bytes,
    prepared: list[Prepared],
    texts: dict,
    about: dict,
    budget: int,
    elsewhere: str = "",
    maps=(),
    clips=None,
) -> str:
    """The HTML file, at most `budget` bytes long. Raises InputError if not even the main figures' curves fit.

    library: plotly.js, compressed by gzip. texts: question id -> its facts for the table. about: study, models in order, draws,
    seed and accuracy. elsewhere: a sentence that is added if the page leaves something out. maps: `explorer_maps.Map`s. clips:
    question id -> {"events": [..]}, with "frames" and "sound" as data URIs where they are known.
    """
    order = [*TITLES, *sorted({p.block.analysis for p in prepared} - set(TITLES))]
    prepared = sorted(prepared, key=lambda p: (order.index(p.block.analysis), about["models"].index(p.block.model)))
    analyses = list(dict.fromkeys(p.block.analysis for p in prepared))
    shared, mapped = _map_parts(maps, clips or {}, MAPS * budget)
    shared["library"] = base64.b64encode(library).decode()
    facts = {**about, "titles": {a: title_of(a) for a in analyses}, "letters": LETTERS, "quanta": QUANTA, "widths": WIDTHS}
    for levels, share in plans(analyses):
        parts, blocks, used = dict(shared), [], set()
        for number, one in enumerate(p for p in prepared if levels[p.block.analysis] > NOTHING):
            parts[f"{number}-curves"] = one.curves
            whole = levels[one.block.analysis] == WHOLE
            if whole:
                parts[f"{number}-who"], parts[f"{number}-cuts"] = one.of(share, about["seed"])
                used.update(one.members(share, about["seed"]))
            blocks.append({**one.facts, "whole": whole})
        if sum(map(len, parts.values())) > budget:
            continue
        said = left_out(levels, share, budget, len(maps) - sum(map(len, mapped.values())))
        parts["texts"] = packed({name: texts[name] for name in sorted(used)})
        parts["about"] = packed(
            {**facts, "blocks": blocks, "share": share, "maps": mapped, "left_out": [*said, elsewhere] if said else []}
        )
        scripts = [f'<script type="text/plain" id="{name}">{text}</script>' for name, text in sorted(parts.items())]
        found = template.replace("{{study}}", html.escape(about["study"])).replace("{{parts}}", "\n".join(scripts))
        if len(found.encode()) <= budget:
            return found
    raise InputError(f"the explorer's page does not fit into {budget} bytes; raise --budget, or give fewer tables")


def title_of(analysis: str) -> str:
    return TITLES.get(analysis, analysis.replace("_", " ").capitalize())


def _map_parts(maps, clips: dict, most: float) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """The parts of a page with maps, of at most `most` bytes, and model -> question id -> the number of its part.

    The first questions' maps are taken, of one model after the other.
    """
    parts, mapped, shown, size = {}, {}, {}, 0
    for number, one in enumerate(maps):
        clip, some = shown.setdefault(one.question_id, number), {}
        if clip == number:
            some[f"clip-{clip}"] = packed(clips[one.question_id])
        some[f"map-{number}"] = packed({**one.facts, "clip": clip})
        size += sum(map(len, some.values()))
        if size > most:
            break
        parts |= some
        mapped.setdefault(one.model, {})[one.question_id] = number
    return parts, mapped


def left_out(levels: dict, share: float, budget: int, maps: int = 0) -> list[str]:
    """Sentences that say what a page of this size leaves out. maps: how many of them."""
    named = {level: [title_of(a) for a, of in levels.items() if of == level] for level in (CURVES, NOTHING)}
    said = []
    if named[NOTHING]:
        said.append(f"Left out: {'; '.join(named[NOTHING])}.")
    if named[CURVES]:
        said.append(f"Shown with curves but without their questions: {'; '.join(named[CURVES])}.")
    if share < 1:
        listed = f"{100 * share:.3g} % of the questions behind the curves, chosen at random"
        said.append(f"The page lists {listed}; curves use all questions.")
    if maps:
        said.append(f"Left out: {maps} maps of clips.")
    return [*said, f"The page is capped at {budget / 1e6:g} MB."] if said else []
