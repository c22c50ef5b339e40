"""Ask the questions of one shard about their own pictures with another clip's sound: whose answer wins, and through which layers?

    python workflow_scripts/conflict.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 8 --width 3 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors --routes 'audio->question' 'video->question' \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --out results/miniature/conflict/tiny-omni/mini-video/0.parquet

Each question has a partner in its shard, as in resample.py. Only partners count whose right answer is among the question's
options: then one option is right about the clip of the pictures (the own answer), and another one about that of the sound (the
partner's answer). The sound is brought to the length of the question's own. In a window of layers, a route from sound or sight is
then closed in two ways:

    mask       the target does not see the source
    resample   it sees a source without the conflict: its own sound for the partner's, or the partner's pictures for its own

Rows are those of resample.py, with `gold` (the label of the own answer), `partner_needs` (what decides the partner's question)
and `known`: whether the model answers rightly about either clip alone. A question without such a partner has no rows.
"""

from avflow import cli
from avflow.errors import InputError
from avflow.questions import pairs
from avflow.tracing import Knockout, Route, knockout, paired, readout, resampling, row_schemas, uncut_logits, windows

SENSES = ("audio", "video")  # the sources of routes: the partner's sound, and the own pictures


def route(text: str) -> Route:
    """Read a route from a sense. Raises InputError for any other."""
    found = Route.parse(text)
    if found.source not in SENSES or found.both or found.across:
        raise InputError(f"route {text!r} is not one from {' or '.join(SENSES)}; write it as audio->question")
    return found


def mix(model, question, other, media, arguments, partial) -> list[dict]:
    """The rows of one question: the null row, then the cuts and patches of each route."""
    unions = arguments.spans.get(question.setting)
    pair = paired.pair(model, question, other, *media, unions)
    mixed, label = pair.conflict(model, unions), pairs.label_in(question, other)
    alone = [pair.own, pair.other]
    answers = [readout.answers(s, logits[None])[0] for s, logits in zip(alone, uncut_logits(model, alone))]
    kept = partial.recall("batch plan")
    batches = (knockout.Plan(**kept) if kept else knockout.plan(model)) if arguments.engine == "sweep" else None
    asked, rows = windows(len(model.decoder.layers), arguments.width, stride=arguments.stride), []
    for sense, without in zip(SENSES, alone):
        routes = [r for r in arguments.routes if r.source == sense]
        ks = [Knockout(r, window, cut) for cut in ("mask", "resample") for r in routes for window in asked]
        rows += knockout.rows(model, mixed, ks, batches, arguments.seed, without)[bool(rows) :] if ks else []
    if batches and batches.as_dict() != kept:
        partial.remember("batch plan", batches.as_dict())
    told = {**row_schemas.about(question, arguments.model), "partner": other.question_id, "partner_answer": label}
    told |= {"gold": question.answer, "partner_needs": other.needs, "known": answers == [question.answer, label]}
    return [{**told, **row, **scores} for row, scores in zip(rows, resampling.scores(question, label, rows))]


def main():
    parser = paired.parser(__doc__)
    parser.add_argument("--routes", type=route, nargs="+", required=True, help="routes from audio or video")
    paired.run(__file__, parser.parse_args(), row_schemas.CONFLICT, mix, among=True)


if __name__ == "__main__":
    cli.run(main)
