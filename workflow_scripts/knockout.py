"""Cut routes, window by window, in the questions of one shard. Figures 3 to 6 and Appendix E are drawn from these rows.

    python workflow_scripts/knockout.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --evaluate results/miniature/evaluate/tiny-omni/mini-video/0.parquet \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --width 3 --cuts '[{"routes": ["audio->question", "question->last"]}]' \\
        --out results/miniature/knockout/tiny-omni/mini-video/figure_4/0.parquet

`cuts` is a list of budgets. Each has `routes`, and may have:

    questions   "correct" (default), "wrong", "all", or n: the correct ones among the first n of every task
    first       n: only the first n questions of every task, whatever `questions` says
    tasks       patterns of tasks, which may lie outside the questions for interventions; default: all tasks inside
    layouts     orders of the prompt's parts, see avflow/questions/layouts.py; a question is left out of an order in which its
                sentence has no sense
    stride      layers between neighbouring centres
    styles      "centred", "inverse", "top_down", "bottom_up"
    widths      window widths; those wider than the model has layers are left out
    controls    {"random_same": n, "random_other": n}: draws of size-matched random controls
    value_zero  true: also drop the values of the cut keys, without renormalising the other weights
    heads       "each": also cut in each head alone; "groups": in each group of heads that share a key-value head
    strongest   {"shares": [..], "draws": n}: instead, cut the strongest heads of all layers together, and as many random ones, in
                those questions that did not rank them; see avflow/tracing/strongest_heads.py. They are ranked by `--ranked`

Cuts that several budgets ask for are computed once. Which questions are correct is read from `evaluate` (the default layout).

All computed rows stay in `<out>.partial`. A new route, control, draw, width, style, stride, layout or question computes only its
own rows. Rows that are no longer asked for leave the parquet and stay in the partial file. The parquet holds one null row per
question and layout: the first that was computed. Its metadata lists the questions that an order leaves out, each with the reason.
"""

import argparse
import fnmatch
import json
import random
import sys
from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli
from avflow.errors import InputError, Unusable
from avflow.models import with_reply
from avflow.questions import layouts, read_questions
from avflow.storage import provenance
from avflow.tracing import (
    CONTROLS,
    STYLES,
    Knockout,
    Route,
    knockout,
    readout,
    row_schemas,
    shard_job,
    sink_spans,
    strongest_heads,
    windows,
)

KEY = ["layout", *knockout.NULL]  # columns that identify a row within a question
TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "bfloat16": 5e-2, "float16": 1e-2}  # against naive, relative to the largest logit


def cuts(text: str) -> list[dict]:
    """Read the budgets. Raises ArgumentTypeError that names the key, the value and the allowed values."""
    number = lambda least: lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= least  # noqa: E731
    many = lambda fits: lambda x: isinstance(x, list) and x and all(map(fits, x))  # noqa: E731
    allowed = {
        "routes": (many(Route.parse), "a list of routes"),
        "questions": (lambda x: x in ("correct", "wrong", "all") or number(1)(x), "correct, wrong, all, or a number from 1"),
        "first": (number(1), "a number from 1"),
        "tasks": (many(lambda x: isinstance(x, str)), "a list of patterns of tasks"),
        "layouts": (many(layouts.NAMES.__contains__), f"a list of {', '.join(layouts.NAMES)}"),
        "stride": (number(1), "a number from 1"),
        "styles": (many(STYLES.__contains__), f"a list of {', '.join(STYLES)}"),
        "widths": (many(number(1)), "a list of odd numbers"),
        "controls": (
            lambda x: isinstance(x, dict) and set(x) <= set(CONTROLS) and all(map(number(0), x.values())),
            f"draws of {' and '.join(CONTROLS)}",
        ),
        "value_zero": (lambda x: isinstance(x, bool), "true or false"),
        "heads": (lambda x: x in ("each", "groups"), "each or groups"),
        "strongest": (
            lambda x: isinstance(x, dict) and set(x) == {"shares", "draws"} and many(lambda share: 0 < share <= 1)(x["shares"]),
            "shares of the heads, from 0 to 1, and draws",
        ),
    }
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error}); write a list of budgets") from None
    if not isinstance(found, list) or not all(isinstance(cut, dict) and "routes" in cut for cut in found):
        raise argparse.ArgumentTypeError('write a list of budgets, each with routes: [{"routes": ["audio->question"]}]')
    for cut in found:
        for key, value in cut.items():
            if key not in allowed:
                raise argparse.ArgumentTypeError(f"key {key!r} is unknown; known: {', '.join(allowed)}")
            fits, wanted = allowed[key]
            try:
                right = fits(value)
            except InputError as error:
                raise argparse.ArgumentTypeError(str(error)) from None
            if not right:
                raise argparse.ArgumentTypeError(f"{key} is {value!r}; it must be {wanted}")
    return found


class Asked:
    """The questions that the budgets ask for, and the knockouts in each of them."""

    def __init__(self, arguments):
        self.arguments, self.cuts, self.rank, self.kept, counts = arguments, arguments.cuts, {}, {}, {}
        questions = read_questions(arguments.questions)
        self.inside = {q.task for q in questions if q.study_split == "knockout"}  # tasks with questions for interventions
        for q in questions:
            if q.study_split == "knockout" or q.task not in self.inside:
                self.rank[q.question_id] = counts[q.task] = counts.get(q.task, 0) + 1
        free = any(q.free for q in questions)
        names = ["question_id", "correct", *(["reply_ids"] if free else [])]
        answers = pq.read_table(arguments.evaluate, columns=names).to_pylist()
        self.correct = {row["question_id"]: row["correct"] is not False for row in answers}  # a model's own reply counts as right
        self.replies = {row["question_id"]: row["reply_ids"] for row in answers if row.get("reply_ids")}
        ranked = arguments.ranked if any("strongest" in cut for cut in self.cuts) else []
        self.ranking = strongest_heads.ranking(ranked, arguments.seed) if ranked else strongest_heads.Ranking()

    def of(self, question) -> list[dict]:
        """The budgets that include a question, in an order in which it can be asked."""
        return [cut for cut in self._budgets(question) if self.orders(question, cut)]

    def _budgets(self, question) -> list[dict]:
        """The budgets that include a question. One that `evaluate` left out is neither right nor wrong."""

        rank = self.rank.get(question.question_id)

        def falls(cut):
            named = any(fnmatch.fnmatchcase(question.task, task) for task in cut.get("tasks", []))
            if not (named if "tasks" in cut else question.task in self.inside):
                return False
            if "strongest" in cut and question.question_id not in self.ranking.held_out:
                return False
            which = cut.get("questions", "correct")
            enough = rank <= min(cut.get("first", rank), rank if isinstance(which, str) else which)
            return enough and (which == "all" or self.correct.get(question.question_id) == (which != "wrong"))

        return [cut for cut in self.cuts if rank is not None and falls(cut)]

    def orders(self, question, cut) -> list[str]:
        """The orders of a budget in which the question can be asked."""
        key = question.question_id, tuple(cut.get("layouts", [layouts.DEFAULT]))
        if key not in self.kept:
            self.kept[key] = layouts.askable(question, key[1])
        return self.kept[key]

    def left_out(self) -> dict[str, dict[str, str]]:
        """Order -> question of this shard -> why the question is not asked in it."""
        arguments, found = self.arguments, {}
        for question in read_questions(arguments.questions, arguments.shard, arguments.shards):
            for name in dict.fromkeys(n for cut in self._budgets(question) for n in cut.get("layouts", [])):
                try:
                    layouts.arrange(question, name)
                except Unusable as error:
                    found.setdefault(name, {})[question.question_id] = str(error)
        return found

    def sequence(self, model, question, features):
        """A question as the model reads it, with the reply of `evaluate` if it is free. Raises Unusable if that has none."""
        sequence = model.sequence(question, features, self.arguments.spans.get(question.setting))
        if not question.free:
            return sequence
        if question.question_id not in self.replies:
            raise Unusable("no_reply", f"question {question.question_id}: it has no reply; the log of evaluate says why")
        return with_reply(model, sequence, self.replies[question.question_id])

    def choose(self, questions):
        """The questions that any budget includes."""
        return [q for q in questions if self.of(q)]

    def knockouts(self, layers: int, question, heads=(0, 0)) -> dict[str, list[Knockout]]:
        """A question's knockouts by layout, in the order of its rows, without duplicates.

        layers, heads: of the model; heads are the number of query heads and of key-value heads.
        """
        budgets = self.of(question)
        chosen = {n: [cut for cut in budgets if n in self.orders(question, cut)] for n in layouts.NAMES}
        return {name: self._cuts(layers, heads, question, some) for name, some in chosen.items() if some}

    def rows(self, layers: int, question, heads) -> dict[tuple, tuple]:
        """A question's rows in their order: {values of KEY: (layout, Knockout)}, with None for a layout's null row."""
        found = {}
        for name, cuts in self.knockouts(layers, question, heads).items():
            shown = layouts.arrange(question, name).layout_name
            found[shown, *knockout.NULL.values()] = name, None
            found.update({(shown, *cut.columns.values()): (name, cut) for cut in cuts})
        return found

    def pick(self, question, partial) -> list[int] | None:
        """The positions of the question's rows among its kept rows, or None if one is missing."""
        layers = partial.recall("layers")
        if layers is None:
            return None
        places = places_of(partial, question)
        picked = [places.get(key) for key in self.rows(layers, question, partial.recall("heads"))]
        return None if None in picked else picked

    def _cuts(self, layers: int, heads, question, budgets) -> list[Knockout]:
        found = {}
        for cut in budgets:
            routes = [Route.parse(text) for text in cut["routes"]]
            if "strongest" in cut:
                given = layers, *(cut["strongest"][key] for key in ("shares", "draws")), question.question_id, self.arguments.seed
                found.update((k, None) for r in routes for k in self.ranking.knockouts(r, *given))
                continue
            widths = [w for w in cut["widths"] if w <= layers] if "widths" in cut else [self.arguments.width]
            shapes = [(s, w) for s in cut.get("styles", ["centred"]) for w in widths]
            asked = [w for style, width in shapes for w in windows(layers, width, style, cut.get("stride", 1))]
            found.update((Knockout(r, w), None) for r in routes for w in asked)
            if "heads" in cut:
                covered = {w: list(filter(w.covers, range(layers))) for w in asked}
                alone = [(w, some) for w in asked for some in strongest_heads.units(covered[w], *heads, cut["heads"])]
                found.update((Knockout(r, w, heads=some), None) for r in routes for w, some in alone)
            if cut.get("value_zero"):
                found.update((Knockout(r, w, "value_zero"), None) for r in routes for w in asked)
            draws = [(name, draw) for name in CONTROLS for draw in range(cut.get("controls", {}).get(name, 0))]
            found.update((Knockout(r, w, "mask", *drawn), None) for r in routes for drawn in draws for w in asked)
        return list(found)


def places_of(partial, question) -> dict[tuple, int]:
    """The position of every kept row of a question, by its values of KEY. Of equal keys, such as null rows, the first counts."""
    places = {}
    for number, row in enumerate(partial.rows_of(question.question_id, KEY)):
        places.setdefault(tuple(row.values()), number)
    return places


def cut_missing(model, some, partial, asked) -> list:
    """Compute the missing rows of questions about the same files, with a null row for each layout that has any.

    some: [(question, features)]. Returns a list of rows for each, or Unusable. The batch plan of the first question is kept for
    all others, even after an interruption.
    """
    arguments, found, waiting = asked.arguments, [[] for _ in some], {}
    config, layers = model.decoder.config, len(model.decoder.layers)
    heads = config.num_attention_heads, config.num_key_value_heads
    for number, (question, features) in enumerate(some):
        places = places_of(partial, question)
        try:
            missing = {}
            for key, (order, cut) in asked.rows(layers, question, heads).items():
                if key not in places:
                    missing.setdefault(order, []).extend([cut] if cut else [])
            for order, cuts in missing.items():
                arranged = layouts.arrange(question, order)
                sequence = asked.sequence(model, arranged, features)
                waiting.setdefault(order, []).append((number, arranged, sequence, cuts))
        except Unusable as error:
            found[number] = error
    for alike in waiting.values():
        alike = [one for one in alike if not isinstance(found[one[0]], Unusable)]
        batches = None
        if arguments.engine == "sweep":
            kept = partial.recall("batch plan")
            batches = knockout.Plan(**kept) if kept else knockout.plan(model)
        numbers, arranged, sequences, cuts = zip(*alike) if alike else ((), (), (), ())
        homes = [batches and batches.home(model, len(sequence), 0) for sequence in sequences]
        sequences = [sink_spans.named(model, *asks) for asks in zip(sequences, cuts, homes)]
        tables = knockout.rows_of_questions(model, sequences, cuts, batches, arguments.seed)
        if batches and batches.as_dict() != kept:
            partial.remember("batch plan", batches.as_dict())
        for number, question, table in zip(numbers, arranged, tables):
            shared = row_schemas.about(question, arguments.model)
            found[number] += [{**shared, **row} for row in table]
    return found


def cut_rows(partial, question, asked) -> list[tuple]:
    """(layout, Knockout, row) of the applicable cuts that are asked of a finished question, without null rows."""
    every, shape = partial.rows_of(question.question_id), [partial.recall(name) for name in ("layers", "heads")]
    wanted = asked.rows(shape[0], question, shape[1])
    triples = [(*what, every[number]) for what, number in zip(wanted.values(), asked.pick(question, partial))]
    return [(order, cut, row) for order, cut, row in triples if cut and row["applicable"]]


def verify(loaded, questions, partial, asked) -> dict:
    """Recompute some finished rows by full forwards. Returns their number and the largest difference of their option logits.

    For a reply, it is that of its tokens' log-probabilities.

    Raises InputError if the difference, relative to the largest logit, exceeds the tolerance of the dtype.
    """
    arguments, batches = asked.arguments, partial.recall("batch plan")
    if not arguments.verify or not questions:
        return {"batch_plan": batches, "verified": 0, "verified_difference": None}
    rng, worst = random.Random(arguments.seed), 0.0
    cuttable = [q for q in questions if cut_rows(partial, q, asked)]
    count = arguments.verify if cuttable else 0
    for _ in range(count):
        question = rng.choice(cuttable)
        model, features = loaded(question)
        order, cut, row = rng.choice(cut_rows(partial, question, asked))
        sequence = sink_spans.named(model, asked.sequence(model, layouts.arrange(question, order), features), [cut])
        logits, _ = knockout.naive(model, sequence, [cut], knockout.resolve(sequence, [cut], arguments.seed))
        full = {name: values[0] for name, values in readout.read(sequence, logits).items()}
        pairs = zip(readout.logits_of(question, full), readout.logits_of(question, row))
        difference = max(abs(one - other) for one, other in pairs) / logits.abs().max().item()
        worst = max(worst, difference)
        if difference > TOLERANCE[arguments.dtype]:
            where = f"question {question.question_id}, route {cut.route}, centre {cut.window.centre}"
            raise InputError(
                f"{where}: {difference:.1e} off the full forward; delete {arguments.out}.partial and use --engine naive"
            )
    return {"batch_plan": batches, "verified": count, "verified_difference": worst}


def told(left_out: dict) -> dict:
    """Print how many questions each order leaves out, and why; return it for the table's metadata."""
    for order, reasons in left_out.items():
        print(f"layout {order}: {len(reasons)} questions are left out: {next(iter(reasons.values()))}, ..", file=sys.stderr)
    return {"left_out_of_layouts": left_out} if left_out else {}


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--evaluate", type=cli.made_by("the rule evaluate"), required=True, help="this shard's answers")
    parser.add_argument("--cuts", type=cuts, required=True, help="budgets of routes, JSON; see above")
    parser.add_argument("--width", type=int, required=True, help="layers per window (the paper's k), for budgets without widths")
    parser.add_argument("--engine", choices=["sweep", "naive"], default="sweep", help="sweep: incremental; naive: full forwards")
    parser.add_argument("--verify", type=int, default=0, metavar="N", help="recompute N random rows by full forwards")
    parser.add_argument("--ranked", type=Path, nargs="*", default=[], help="tables of cuts in single heads, for `strongest`")
    arguments = parser.parse_args()
    plan, budgets = {"engine": arguments.engine}, {"cuts": arguments.cuts, "width": arguments.width}
    plan |= {"ranked": provenance.file_hash(*arguments.ranked)} if arguments.ranked else {}
    asked = Asked(arguments)
    if asked.replies:  # scored as they are in `evaluate`
        plan["replies"] = provenance.text_hash(json.dumps(asked.replies, sort_keys=True))
    work = lambda model, some, partial: cut_missing(model, some, partial, asked)
    check = lambda loaded, questions, partial: verify(loaded, questions, partial, asked) | told(asked.left_out())
    together = shard_job.same_media
    shard_job.run(
        __file__, arguments, row_schemas.KNOCKOUT, asked.choose, work, plan, check, budgets, asked.pick, together, free=True
    )


if __name__ == "__main__":
    cli.run(main)
