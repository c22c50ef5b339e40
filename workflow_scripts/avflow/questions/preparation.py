"""The part of dataset preparation that all datasets share: select questions, place and probe media, drop, write.

A reader (see `readers`) reads a dataset's own files and passes the questions to an `Intake`. `finish` does the rest. Questions of
the selected tasks that are left out are listed in `<dataset>.dropped.tsv` with the reason, except those beyond `--per-task`.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

from ..errors import InputError, Unusable
from ..hub import Shipped, put_in_place
from ..hub.archives import Source
from ..media import decoding_arguments
from ..storage import manifest
from . import readers
from .benchmark_rows import video_question
from .drops import Dropped, write_drops
from .media_table import keep_usable
from .names import apart, check_tasks, digest, safe, slug
from .question import split_for_knockout, write_questions
from .texts import check_text, shown


def parser(description: str) -> argparse.ArgumentParser:
    """The command-line options of prepare.py."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--type", required=True, choices=list(readers.MODULES), help="the reader for this dataset")
    made.add_argument("--dataset", required=True, help="the dataset's name; all ids begin with it")
    made.add_argument("--setting", required=True, choices=["av_video", "items"])
    made.add_argument("--folder", type=Path, help="folder that holds the benchmark's files")
    made.add_argument(
        "--questions-file", type=Path, help="the miniature's test.csv, or your own questions (JSON Lines, one per line)"
    )
    made.add_argument("--root", type=Path, required=True, help="media paths are relative to this folder; media/ is made in it")
    made.add_argument("--tasks", type=json.loads, default=["*"], help="JSON list of task name patterns (default: all tasks)")
    made.add_argument("--groups", type=json.loads, default={}, help="JSON object, group -> task name patterns")
    made.add_argument("--keep", type=json.loads, default={}, help="JSON object, column -> values; other rows are dropped")
    made.add_argument("--instruction", default="", help="prompt text before the question, or after the options (items)")
    made.add_argument("--ending", help="prompt text after the options (av_video); may be empty")
    made.add_argument("--option-format", default="", help="how an option is written, for example '{label}. {text}'")
    made.add_argument(
        "--layout",
        choices=["original", "eq3"],
        help="items: as shipped (default), or in the order of Eq. 3 (the miniature's default)",
    )
    made.add_argument("--per-task", type=int, help="most questions per task, chosen by the hash of their ids")
    number = lambda text: text if text == "all" else int(text)  # noqa: E731
    made.add_argument("--knockout", type=number, default="all", help="questions per task for interventions, or all")
    made.add_argument(
        "--knockout-tasks", type=json.loads, default=["*"], help="tasks for interventions: JSON list of patterns (default: all)"
    )
    made.add_argument("--max-seconds", type=float, help="drop questions with a longer video")
    made.add_argument("--silent-videos", action="store_true", help="keep videos without an audio track")
    decoding_arguments(made)
    made.add_argument("--threads", type=int, default=os.cpu_count(), help="number of files probed in parallel")
    made.add_argument("--told", default="", help="for the rules: what decides the outputs, JSON; it is kept beside --media")
    made.add_argument("--questions", type=Path, required=True, help="output, JSON Lines")
    made.add_argument("--media", type=Path, required=True, help="output, tsv")
    made.add_argument("--dropped", type=Path, required=True, help="output, tsv")
    return made


TRUTH = {True: ("true", "1", "1.0", "yes"), False: ("false", "0", "0.0", "no")}  # how files write a flag


class Intake:
    """Collects the questions of a dataset, their media, and the dropped questions."""

    def __init__(self, arguments):
        if arguments.folder:
            manifest.check(arguments.folder, "download_dataset")
        for key in ("instruction", "ending", "option_format"):
            try:
                check_text(getattr(arguments, key) or "", f"config.yaml: {key} of dataset {arguments.dataset}", blank=True)
            except Unusable as error:
                raise InputError(str(error)) from None
        self.arguments, self.questions, self.dropped = arguments, [], []
        self.jobs: dict[str, Source] = {}  # path under the root -> the medium to copy there
        self.stems: dict[str, Source] = {}  # file name without suffix -> medium; the name becomes the media_id
        self.prefix = arguments.dataset.replace("-", "_")

    def rows(self, rows: list[dict], task_column: str, where) -> list[dict]:
        """The rows of the selected tasks, with `task` and `group` added. Rows that `keep` excludes are dropped as filtered.

        A row's group comes from `groups`, else from the row itself, else it is the task. Rows without the name of a task are
        dropped. Raises InputError if a column or a task that the configuration names does not exist, or if two tasks would get
        the same name.
        """
        require_columns(where, rows, [task_column, *self.arguments.keep])
        rows = [row for row in rows if self._names_task(row, task_column)]
        if not rows:
            return []
        found = sorted({slug(row[task_column]) for row in rows})
        wanted = {task for pattern in self.arguments.tasks for task in _matching(pattern, found, where)}
        groups = self.arguments.groups.items()
        group_of = {task: group for group, tasks in groups for pattern in tasks for task in _matching(pattern, found, where)}
        for pattern in self.arguments.knockout_tasks:
            _matching(pattern, found, where)
        check_tasks([row[task_column] for row in rows if slug(row[task_column]) in wanted], where)
        kept = []
        for row in rows:
            task = slug(row[task_column])
            if task not in wanted:
                continue
            left_out = [c for c, values in self.arguments.keep.items() if not _among(row.get(c), values)]
            if left_out:
                self.drop(row["question_id"], task, "filtered", f"{left_out[0]} is {row.get(left_out[0])!r}")
            else:
                kept.append({**row, "task": task, "group": group_of.get(task) or row.get("group") or task})
        return self._limited(kept)

    def _names_task(self, row: dict, column: str) -> bool:
        """Whether a row names its task. If not, its question is dropped."""
        try:
            name = check_text(row.get(column), f"question {row['question_id']}: its {column}")
            if not slug(name):
                raise Unusable("bad_text", f"question {row['question_id']}: its {column} {name!r} has no letter or digit")
        except Unusable as error:
            self.drop(row["question_id"], "", error.reason, str(error))
            return False
        return True

    def _limited(self, rows):
        """At most `per_task` rows per task: those whose ids have the smallest hashes, so the choice favours no part of a file."""
        order = lambda row: hashlib.sha256(f"{row['task']}/{row['question_id']}".encode()).digest()  # noqa: E731
        counts, chosen = Counter(), set()
        for row in sorted(rows, key=order):
            counts[row["task"]] += 1
            if self.arguments.per_task is None or counts[row["task"]] <= self.arguments.per_task:
                chosen.add(id(row))
        return [row for row in rows if id(row) in chosen]

    def drop(self, question_id, task: str, reason: str, detail: str) -> None:
        self.dropped.append(Dropped(f"{self.prefix}__{question_id}", task, reason, detail))

    def take(self, row: dict, make) -> None:
        """Keep the question that make(row) returns. If it raises Unusable, record the question as dropped."""
        try:
            self.questions.append(make(row))
        except Unusable as error:
            self.drop(row["question_id"], row["task"], error.reason, str(error))

    def place(self, shipped: Shipped, path: str) -> str:
        """Schedule a medium to be copied into place. Returns the path that it will have. Raises Unusable."""
        if not isinstance(path, str) or not path.strip():
            raise Unusable("null_media", f"the path of a medium is {shown(path)}")
        source = shipped.find(path)
        name = safe(PurePosixPath(path).name)
        if self.stems.setdefault(PurePosixPath(name).stem, source) != source:  # another folder has a file of this name
            name = safe(path)
        if self.jobs.setdefault(f"media/{name}", source) != source:  # other characters made two names equal
            name = f"{digest(path)}-{name}"
            self.jobs[f"media/{name}"] = source
        return f"media/{name}"

    def take_clip(self, row: dict, path: str, shipped: Shipped) -> None:
        """Keep a question about one clip. row: question_id, task, group, question, choices, answer; optionally needs."""
        texts = (self.arguments.dataset, self.arguments.instruction, self.arguments.ending, self.arguments.option_format)

        def make(row):
            shaped = {**row, "task_id": row["task"], "answer": str(row["answer"]).strip().upper()}
            return video_question({**shaped, "audio_visual_path": self.place(shipped, path)}, *texts)

        self.take(row, make)


def _matching(pattern: str, tasks: list[str], where) -> list[str]:
    """The tasks that match a pattern of the configuration. Raises InputError if none does."""
    found = fnmatch.filter(tasks, pattern)
    if not found:
        raise InputError(f"{where}: no task matches {pattern!r}; choose from {', '.join(tasks)} in config.yaml")
    return found


def _among(value, values) -> bool:
    """Whether a cell holds one of the values. Case is ignored, and true and false may be written as in `TRUTH`."""
    said = str(value).strip().lower()
    return any(said in TRUTH[v] if isinstance(v, bool) else said == str(v).lower() for v in values)


def require_columns(where, rows: list[dict], columns) -> None:
    """Raises InputError that names the first missing column and lists the existing ones."""
    if not rows:
        raise InputError(f"{where}: the file has no rows; download it again")
    for column in columns:
        if column not in rows[0]:
            there = ", ".join(map(str, rows[0]))
            raise InputError(
                f"{where}: column {column!r} is missing (found: {there}); pin a revision that has it, or correct config.yaml"
            )


def find_one(folder: Path, pattern: str) -> Path:
    """The only file that matches `pattern`. Raises InputError if there is none, or more than one."""
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        names = ", ".join(str(p.relative_to(folder)) for p in found) or "none"
        raise InputError(f"{folder}: exactly one file {pattern} is needed, found: {names}; download the dataset again")
    return found[0]


def finish(intake: Intake) -> None:
    """Copy media into place, probe them, drop questions, mark those for interventions and write three files.

    Prints how many questions are kept, and how many are dropped for which reason.
    """
    arguments = intake.arguments
    if not intake.questions:
        first = intake.dropped[0].detail if intake.dropped else "no row belongs to a selected task"
        raise InputError(f"dataset {arguments.dataset}: no question can be used; first reason: {first}")
    intake.questions = apart(intake.questions)
    needs_audio = arguments.setting == "av_video" and not arguments.silent_videos
    problems = put_in_place(intake.jobs, arguments.root, arguments.threads)
    limits = dict(threads=arguments.threads, max_seconds=arguments.max_seconds, problems=problems, told=arguments.told)
    limits |= dict(reader=arguments.reader, largest=arguments.max_picture_pixels)
    kept, dropped = keep_usable(intake.questions, arguments.root, arguments.media, needs_audio, **limits)
    dropped += intake.dropped
    per_task = len(kept) if arguments.knockout == "all" else arguments.knockout
    for_knockout = {q.task for q in kept if any(fnmatch.fnmatch(q.task, p) for p in arguments.knockout_tasks)}
    write_drops(dropped, arguments.dropped)
    write_questions(split_for_knockout(kept, per_task, for_knockout), arguments.questions)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(d.reason for d in dropped).items()))
    print(f"{arguments.dataset}: {len(kept)} questions, {len(dropped)} dropped ({reasons or 'none'})", file=sys.stderr)
