"""What all datasets' preparation shares: which questions are taken, where media go, what is probed, dropped and written.

A reader (see `readers`) takes a dataset's own files and hands questions to an `Intake`; `finish` does the rest. Every question
that is left out stands in `<dataset>.dropped.tsv` with its reason.
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
from ..storage import manifest
from . import readers
from .benchmark_rows import safe, slug, video_question
from .drops import Dropped, write_drops
from .media_table import keep_usable
from .question import split_for_knockout, write_questions


def parser(description: str) -> argparse.ArgumentParser:
    """The options of prepare.py."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--type", required=True, choices=list(readers.MODULES), help="which reader takes it")
    made.add_argument("--dataset", required=True, help="its name, with which all ids begin")
    made.add_argument("--setting", required=True, choices=["av_video", "items"])
    made.add_argument("--folder", type=Path, help="where the benchmark's files are")
    made.add_argument(
        "--questions-file", type=Path, help="of the miniature, its test.csv; of your own, JSON Lines, one question a line"
    )
    made.add_argument("--root", type=Path, required=True, help="the folder that media paths start from, where media/ is made")
    made.add_argument("--tasks", type=json.loads, default=["*"], help="JSON list of patterns over tasks; all where left out")
    made.add_argument("--groups", type=json.loads, default={}, help="JSON, group -> patterns; a task in none is one of its own")
    made.add_argument("--keep", type=json.loads, default={}, help="JSON, column -> values of the rows that are kept")
    made.add_argument("--instruction", default="", help="the prompt's text before the question, or after the options (items)")
    made.add_argument("--ending", default="", help="the prompt's text after the options (av_video)")
    made.add_argument("--option-format", default="", help="how an option is written, such as '{label}. {text}'")
    made.add_argument("--per-task", type=int, help="questions a task, at most, drawn by the hash of their ids")
    number = lambda text: text if text == "all" else int(text)  # noqa: E731
    made.add_argument("--knockout", type=number, default="all", help="questions a task that interventions are run on, or all")
    made.add_argument("--knockout-tasks", type=json.loads, default=["*"], help="JSON list of patterns; all tasks where left out")
    made.add_argument("--max-seconds", type=float, help="longer videos are dropped")
    made.add_argument("--silent-videos", action="store_true", help="keep videos that have no audio track")
    made.add_argument("--threads", type=int, default=os.cpu_count(), help="files that are probed at a time")
    made.add_argument("--questions", type=Path, required=True, help="output, JSON Lines")
    made.add_argument("--media", type=Path, required=True, help="output, tsv")
    made.add_argument("--dropped", type=Path, required=True, help="output, tsv")
    return made


class Intake:
    """Questions as they come in, their media, and those that are dropped."""

    def __init__(self, arguments):
        if arguments.folder:
            manifest.check(arguments.folder, "download_dataset")
        self.arguments, self.questions, self.dropped = arguments, [], []
        self.jobs: dict[str, Source] = {}  # media that are to be put in place, by their paths under the root
        self.stems: dict[str, Source] = {}  # what has which name without suffix, from which media_ids are made
        self.prefix = arguments.dataset.replace("-", "_")

    def rows(self, rows: list[dict], task_column: str, where) -> list[dict]:
        """The rows of the tasks in use, with `task` and `group`; those that `keep` leaves out are dropped as filtered.

        Raises InputError when a column or a task of the configuration is not there.
        """
        require_columns(where, rows, [task_column, *self.arguments.keep])
        found = sorted({slug(row[task_column]) for row in rows})
        wanted = {task for pattern in self.arguments.tasks for task in _matching(pattern, found, where)}
        groups = self.arguments.groups.items()
        group_of = {task: group for group, tasks in groups for pattern in tasks for task in _matching(pattern, found, where)}
        for pattern in self.arguments.knockout_tasks:
            _matching(pattern, found, where)
        kept = []
        for row in rows:
            task = slug(row[task_column])
            if task not in wanted:
                continue
            left_out = [c for c, values in self.arguments.keep.items() if not _among(row[c], values)]
            if left_out:
                self.drop(row["question_id"], task, "filtered", f"{left_out[0]} is {row[left_out[0]]!r}")
            else:
                kept.append({**row, "task": task, "group": group_of.get(task) or row.get("group") or task})
        return self._limited(kept)

    def _limited(self, rows):
        """At most `per_task` rows a task: those whose ids have the smallest hashes, so that no part of a file is preferred."""
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
        """Keep the question that make(row) gives, or its reason for giving none."""
        try:
            self.questions.append(make(row))
        except Unusable as error:
            self.drop(row["question_id"], row["task"], error.reason, str(error))

    def place(self, shipped: Shipped, path: str) -> str:
        """Have a medium put in place; returns the path that it will have. Raises Unusable."""
        source = shipped.find(path)
        name = safe(PurePosixPath(path).name)
        if self.stems.setdefault(PurePosixPath(name).stem, source) != source:  # a file of that name is in another folder
            name = safe(path)
        self.jobs[f"media/{name}"] = source
        return f"media/{name}"

    def take_clip(self, row: dict, path: str, shipped: Shipped) -> None:
        """Keep a question about one clip. row: question_id, task, group, question, choices, answer, and optionally needs."""
        texts = (self.arguments.dataset, self.arguments.instruction, self.arguments.ending, self.arguments.option_format)

        def make(row):
            shaped = {**row, "task_id": row["task"], "answer": str(row["answer"]).strip().upper()}
            return video_question({**shaped, "audio_visual_path": self.place(shipped, path)}, *texts)

        self.take(row, make)


def _matching(pattern: str, tasks: list[str], where) -> list[str]:
    """The tasks that a pattern of the configuration names. Raises InputError when there is none."""
    found = fnmatch.filter(tasks, pattern)
    if not found:
        raise InputError(f"{where}: there is no task {pattern!r}; name some of {', '.join(tasks)} in config.yaml")
    return found


def _among(value, values) -> bool:
    """Whether a cell holds one of the values, however csv files write true and false."""
    return str(value).strip().lower() in {str(v).lower() for v in values}


def require_columns(where, rows: list[dict], columns) -> None:
    """Raises InputError with the first column that is missing, and those that there are."""
    if not rows:
        raise InputError(f"{where}: it has no rows; download it again")
    for column in columns:
        if column not in rows[0]:
            there = ", ".join(map(str, rows[0]))
            raise InputError(
                f"{where}: there is no column {column!r}, only {there}; pin a revision that has it, or correct config.yaml"
            )


def find_one(folder: Path, pattern: str) -> Path:
    """The only file of that name. Raises InputError when there is none, or more than one."""
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        names = ", ".join(str(p.relative_to(folder)) for p in found) or "none"
        raise InputError(f"{folder}: one file {pattern} is wanted, found: {names}; download the dataset again")
    return found[0]


def finish(intake: Intake) -> None:
    """Put media in place, probe, drop, mark the questions for interventions, write three files; says what was kept and not."""
    arguments = intake.arguments
    if not intake.questions:
        first = intake.dropped[0].detail if intake.dropped else "no row is of a task in use"
        raise InputError(f"dataset {arguments.dataset}: no question can be used; first reason: {first}")
    needs_audio = arguments.setting == "av_video" and not arguments.silent_videos
    problems = put_in_place(intake.jobs, arguments.root, arguments.threads)
    limits = dict(threads=arguments.threads, max_seconds=arguments.max_seconds, problems=problems)
    kept, dropped = keep_usable(intake.questions, arguments.root, arguments.media, needs_audio, **limits)
    dropped += intake.dropped
    per_task = len(kept) if arguments.knockout == "all" else arguments.knockout
    for_knockout = {q.task for q in kept if any(fnmatch.fnmatch(q.task, p) for p in arguments.knockout_tasks)}
    write_drops(dropped, arguments.dropped)
    write_questions(split_for_knockout(kept, per_task, for_knockout), arguments.questions)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(d.reason for d in dropped).items()))
    print(f"{arguments.dataset}: {len(kept)} questions, {len(dropped)} dropped ({reasons or 'none'})", file=sys.stderr)
