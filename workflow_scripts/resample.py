"""Patch routes with another clip's keys and values, window by window, in the questions of one shard, in both directions.

    python workflow_scripts/resample.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 4 --width 3 --stride 4 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors --routes 'audio->question' 'video->question' \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --out results/miniature/resample/tiny-omni/mini-video/0.parquet

Each question has a partner in its shard, chosen by the seed: a question of the same task with another right answer, which is
among the question's options if any such partner is there. The partner's media are encoded on the grid and length of the
question's own. The question is asked about both. In a window of layers, the route's target then attends to the source's keys and
values of the other run:

    corrupt   the partner's source in a run on the question's own media: is the answer lost, and does it follow the patch?
    restore   the question's own source in a run on the partner's media: does the answer come back?

A question without a partner has no rows. Rows are those of knockout.py with `cut` resample, and further columns: `direction`,
`partner`, `partner_answer` (the label of the partner's right answer among this question's options, or empty), and the
log-probabilities of both answers' labels, without the patch (`logp_gold_clean`, `logp_partner_clean`) and with it
(`logp_gold`, `logp_partner`).
"""

from fnmatch import fnmatchcase

from avflow import cli
from avflow.errors import Unusable
from avflow.media.fitting import fit
from avflow.questions import first_of_tasks, pairs, read_questions
from avflow.questions.decoded_media import DecodedMedia
from avflow.tracing import Knockout, Route, knockout, resampling, row_schemas, shard_job, windows


def arrays_of(store, question) -> dict[str, dict]:
    """media_id -> frames, fps and audio, whichever a medium has."""
    found = {}
    for media_id, stored in store.of(question).items():
        found[media_id] = {name: stored[name] for name in ("frames", "fps", "audio") if name in stored}
        if "fps" in stored:
            found[media_id]["fps"] = float(stored["fps"])
    return found


def both(model, question, other, media: dict, theirs: dict, unions):
    """The question's sequence about its own media, and about its partner's media on the same grid and length."""
    asked, kinds = pairs.with_media_of(question, other), {m.id: m.kind for m in question.media}
    own = {m.media_id: model.encode(kinds[m.id], **media[m.media_id]) for m in question.media}
    places = zip(question.media, asked.media)
    fitted = {b.media_id: model.encode(kinds[a.id], **fit(theirs[b.media_id], media[a.media_id])) for a, b in places}
    return model.sequence(question, own, unions), model.sequence(asked, fitted, unions)


def patch(model, question, other, store, media, arguments, partial) -> list[dict]:
    """The rows of one question, corrupt before restore, each direction with its null row."""
    theirs = arrays_of(store, other)
    unions = arguments.spans.get(question.setting)
    runs = both(model, question, other, media, theirs, unions)
    asked = windows(len(model.decoder.layers), arguments.width, stride=arguments.stride)
    ks = [Knockout(route, window, "resample") for route in arguments.routes for window in asked]
    kept = partial.recall("batch plan")
    batches = (knockout.Plan(**kept) if kept else knockout.plan(model)) if arguments.engine == "sweep" else None
    shared = {**row_schemas.about(question, arguments.model), "partner": other.question_id}
    label, found = pairs.label_in(question, other), []
    for direction, (run, source) in {"corrupt": runs, "restore": runs[::-1]}.items():
        rows = knockout.rows(model, run, ks, batches, arguments.seed, source)
        told = {**shared, "direction": direction, "partner_answer": label}
        found += [{**told, **row, **scores} for row, scores in zip(rows, resampling.scores(question, label, rows))]
    if batches and batches.as_dict() != kept:
        partial.remember("batch plan", batches.as_dict())
    return found


def main():
    parser = shard_job.parser(__doc__, reads="frames", decoder=DecodedMedia.of_options)
    parser.add_argument("--routes", type=Route.parse, nargs="+", required=True, help="routes to patch")
    parser.add_argument("--width", type=int, required=True, help="layers per window (the paper's k)")
    parser.add_argument("--stride", type=int, default=1, help="layers between neighbouring centres")
    parser.add_argument("--tasks", nargs="+", default=["*"], help="patterns of the tasks to patch in (default: all)")
    parser.add_argument("--first", type=int, help="use only the first n questions of every task")
    parser.add_argument("--engine", choices=["sweep", "naive"], default="sweep", help="sweep: incremental; naive: full forwards")
    arguments = parser.parse_args()
    every = read_questions(arguments.questions)
    asked = [q for q in every if q.study_split == "knockout" and any(fnmatchcase(q.task, task) for task in arguments.tasks)]
    chosen = first_of_tasks(asked, arguments.first)
    pool = [q for q in every if q.shard(arguments.shards) == arguments.shard]
    partners = {q.question_id: pairs.partner(q, pool, arguments.seed) for q in pool if q.question_id in chosen}
    choose = lambda questions: [q for q in questions if partners.get(q.question_id)]
    store = shard_job.store_of(arguments)

    def work(model, question, media, partial):
        own = {name: {k: float(v) if k == "fps" else v for k, v in found.items()} for name, found in media.items()}
        try:
            return patch(model, question, partners[question.question_id], store, own, arguments, partial)
        except Unusable as error:
            who = f"question {question.question_id} with its partner {partners[question.question_id].question_id}"
            raise Unusable(error.reason, f"{who}: {error}") from None

    plan = {"engine": arguments.engine, "width": arguments.width, "stride": arguments.stride}
    plan |= {"routes": list(map(str, arguments.routes)), "partners": {i: q and q.question_id for i, q in partners.items()}}
    shard_job.run(
        __file__, arguments, row_schemas.RESAMPLE, choose, work, plan, asked={"first": arguments.first, "tasks": arguments.tasks}
    )


if __name__ == "__main__":
    cli.run(main)
