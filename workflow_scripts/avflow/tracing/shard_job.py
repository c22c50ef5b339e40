"""What scripts such as `evaluate` and `knockout` share: they ask a model one shard of questions, and keep rows over kills."""

import argparse
import contextlib
import json
import resource
import sys
import time
from pathlib import Path

import torch

from .. import cli
from ..errors import InputError, Unusable
from ..models import gpu_memory, load_model, model_arguments
from ..questions import read_questions, to_json
from ..storage import FeatureStore, manifest, partial_rows, provenance

MOST = 8  # questions that are asked at once
TOGETHER = "asked together"
LEFT_OUT = "left out"  # the name under which the questions that a model cannot be asked are remembered
NEEDS_OPTIONS = "this analysis compares the letters of options"
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pyarrow")


def parser(description: str, reads: str = "features", decoder=None) -> argparse.ArgumentParser:
    """The options of a script that asks a model one shard of questions.

    reads: "features" (encoder outputs), or "frames" if the script runs the encoders itself. decoder: makes a `DecodedMedia` from
    a text, for scripts that may decode frames themselves; others do not depend on the code that decodes.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    model_arguments(made)
    made.add_argument("--model", required=True, help="name of the model in the tables")
    questions = cli.made_by("the prepare rule of its dataset")
    made.add_argument("--questions", type=questions, required=True, help="JSON Lines")
    what = {"features": "encoder outputs", "frames": "frames and sound"}[reads]
    rule = cli.made_by("the rule " + {"features": "extract_features", "frames": "preprocess_media"}[reads])
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument(f"--{reads}", dest="features", type=rule, help=f"{what} of this shard, safetensors")
    if decoder:
        decode = "instead: options of preprocess_media.py, as one text; media are decoded here"
        source.add_argument("--decode", dest="features", type=decoder, help=decode)
    made.add_argument("--shard", type=int, default=0)
    made.add_argument("--shards", type=int, default=1)
    made.add_argument("--spans", type=json.loads, default={}, help="unions by setting, JSON")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--out", type=Path, required=True, help="parquet")
    return made


def checkpoint_files(folder: Path) -> list[Path]:
    """The files that identify a checkpoint. A download's manifest is enough: it holds the checked hashes of all other files."""
    manifest = folder / "manifest.json"
    return [manifest] if manifest.is_file() else sorted(p for p in folder.glob("*") if p.suffix in (".safetensors", ".json"))


def remember_model(partial: partial_rows.PartialRows, model) -> None:
    """Keep the device's name and the decoder's size beside the rows, because a run with all rows finished loads no model."""
    device = torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu"
    config = model.decoder.config
    heads = [config.num_attention_heads, config.num_key_value_heads]
    for name, fact in (("device", device), ("layers", len(model.decoder.layers)), ("heads", heads)):
        if partial.recall(name) != fact:
            partial.remember(name, fact)


def store_of(arguments):
    """What the questions' media are read from: a file, or what `decoder` made."""
    if isinstance(arguments.features, Path):
        return FeatureStore(arguments.features)
    arguments.features.threads = max(1, arguments.threads)
    return arguments.features


def _remembered(partial: partial_rows.PartialRows, asked: dict | None) -> dict[str, str]:
    """Question id -> why an earlier run left it out. Empty if that run asked for other rows, such as other orders."""
    kept = partial.recall(LEFT_OUT) or {}
    return dict(kept["questions"]) if kept and kept["asked"] == asked else {}


def _report(left_out: dict[str, str], count: int, arguments) -> None:
    """Say in the log which questions could not be put to the model, one line each."""
    if left_out:
        where = f"{arguments.questions}, shard {arguments.shard}"
        print(f"{where}: {len(left_out)} of {count} questions are left out for {arguments.model}:", file=sys.stderr)
    for reason in left_out.values():
        print(f"left out: {reason}", file=sys.stderr, flush=True)


def same_media(question) -> tuple:
    """A key that is equal for questions about the same files."""
    return question.setting, *((m.role, m.index, m.path) for m in question.media)


def one_by_one(work):
    """A `work` for questions asked together, from one for a single question. Unusable stands in for a question's rows."""

    def each(model, asked, partial):
        found = []
        for question, features in asked:
            try:
                found.append(work(model, question, features, partial))
            except Unusable as error:
                found.append(error)
        return found

    return each


def _groups(questions: list, together) -> list[list]:
    """Questions with an equal key, at most MOST of them, in the order of the first ones."""
    alike = {}
    for question in questions:
        alike.setdefault(together(question) if together else question.question_id, []).append(question)
    return [some[i : i + MOST] for some in alike.values() for i in range(0, len(some), MOST)]


def run(
    script: str,
    arguments,
    schema,
    choose,
    work,
    plan: dict,
    verify=None,
    asked: dict | None = None,
    pick=None,
    together=None,
    free=False,
) -> None:
    """Ask every chosen question and write one parquet. Finished rows are kept over kills, and when other rows are asked for.

    choose(questions) -> the questions to ask.
    work(model, question, features, partial) -> list of row dicts.
    together(question) -> a key. Questions with an equal key are asked at once, and work(model, [(question, features)], partial)
        then gives a list of rows for each, or the Unusable that it raised. If memory runs out, they are halved.
    pick(question, partial) -> the numbers of the question's kept rows that belong in the parquet, in order, or None if `work` has
        to add some. Without `pick`, the parquet holds all rows of a question, and a question with kept rows is finished.
    verify(loaded, questions, partial) -> facts to record. It is called when all questions are finished, with those that were
        asked; loaded(question) -> (model, the question's features).
    plan: what determines the values in a row, besides the code, the model and the questions.
    asked: what determines only which rows there are. Both are recorded.
    free: whether `work` can ask questions without options. If not, they are left out; the log says how many.

    A question for which `work` raises Unusable cannot be put to this model. It is left out, named with its reason in the log and
    in the parquet's metadata, and remembered, so that it costs a later run nothing.

    Raises InputError if the checkpoint folder is missing, or if a question does not fit into the GPU's memory.
    """
    began = time.time()
    if not Path(arguments.checkpoint).is_dir():
        raise InputError(f"{arguments.checkpoint} does not exist; {manifest.remedy('download_weights', arguments.checkpoint)}")
    store = store_of(arguments)
    of_shard = read_questions(arguments.questions, arguments.shard, arguments.shards)
    questions, without = choose(of_shard), {}
    if not free:
        without = {q.question_id: NEEDS_OPTIONS for q in questions if q.free}
        questions = [q for q in questions if not q.free]
    header = {
        "code": provenance.code_hash(script, f"models.{arguments.family}"),
        "features": store.identity,
        "checkpoint": provenance.file_hash(*checkpoint_files(Path(arguments.checkpoint))),
        "dtype": arguments.dtype,
        "system_prompt": arguments.system_prompt,
        "positions": arguments.positions,
        "max_tokens": arguments.max_tokens,
        "spans": arguments.spans,
        "seed": arguments.seed,
        "plan": plan,
        "questions": provenance.text_hash(*map(to_json, of_shard)),  # not the file's: other shards' questions change no row here
    }
    opened = []

    def loaded(question):
        if not opened:
            with gpu_memory.holding(f"the model of {arguments.checkpoint}"):
                opened.append(load_model(arguments))
            remember_model(partial, opened[0])
        return opened[0], store.of(question)

    with partial_rows.PartialRows(arguments.out, header) as partial:
        left_out = _remembered(partial, asked)
        unfinished = (lambda q: pick(q, partial) is None) if pick else lambda q: q.question_id not in partial.done
        waiting = [q for q in questions if q.question_id not in left_out and unfinished(q)]
        finished, begun = len(questions) - len(waiting), sum(q.question_id in partial.done for q in waiting)
        more = f"; {begun} more have some rows and get new ones" if begun else ""
        print(f"{finished} of {len(questions)} questions were finished before{more}", file=sys.stderr, flush=True)
        what = f"{Path(script).stem} {arguments.model} {arguments.questions.stem} {arguments.shard}"
        progress = cli.Progress(what, len(questions), finished)
        ask = work if together else one_by_one(work)
        groups = _groups(waiting, together)
        store.follow([question for group in groups for question in group])

        def answer(some):
            """Ask some questions at once, and keep their rows. An error names the one that does not fit alone."""
            alone = gpu_memory.holding(f"question {some[0].question_id} of {arguments.questions}")
            with alone if len(some) == 1 else contextlib.nullcontext():
                found = ask(loaded(some[0])[0], [(q, store.of(q)) for q in some], partial)
            fresh = {question.question_id: rows for question, rows in zip(some, found) if rows and not isinstance(rows, Unusable)}
            unusable = {question.question_id: str(rows) for question, rows in zip(some, found) if isinstance(rows, Unusable)}
            left_out.update(unusable)
            facts = {LEFT_OUT: {"asked": asked, "questions": left_out}} if unusable else {}
            if len(some) > 1:
                facts[f"{TOGETHER} {some[0].question_id}"] = [q.question_id for q in some]
            if fresh or facts:
                partial.add(fresh, facts)
            for _ in some:
                progress.step()
            return found

        for group in groups:
            gpu_memory.halving(answer, group)
        left_out = {q.question_id: left_out[q.question_id] for q in questions if q.question_id in left_out}
        if without:
            where = f"{arguments.questions}, shard {arguments.shard}"
            print(f"{where}: {len(without)} free questions are left out: {NEEDS_OPTIONS}", file=sys.stderr, flush=True)
        _report(left_out, len(questions), arguments)
        questions = [q for q in questions if q.question_id not in left_out]
        with gpu_memory.holding(f"the check of {arguments.questions} by full forwards"):
            facts = verify(loaded, questions, partial) if verify else {}
        facts["left_out"] = left_out | without
        if together:  # they differ by rounding from questions asked alone
            facts["asked_together"] = [some for q in of_shard if (some := partial.recall(f"{TOGETHER} {q.question_id}"))]
        facts["device"] = partial.recall("device")
        on_gpu = bool(opened) and opened[0].device.type == "cuda"
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        facts["peak_bytes"] = torch.cuda.max_memory_allocated() if on_gpu else 1024 * peak_kib
        facts.update(versions=provenance.versions(*PACKAGES), seconds=time.time() - began, model=arguments.model)
        picked = {q.question_id: pick(q, partial) for q in questions} if pick else None
        partial.finish([q.question_id for q in questions], schema, {**header, "asked": asked or {}, **facts}, picked)
