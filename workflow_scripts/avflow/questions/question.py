"""The common question format: what is asked about which media, the order of the prompt's parts, and the right answer.

Every benchmark is converted to this format (JSON Lines, one question per line), so all later steps are shared. `layout` lists
the segments of the user's turn in order. The prompt is built from nothing else:

    {"seg": "media", "id": "c1"} | {"seg": "instruction" | "question", "text": "..."} | {"seg": "options"}

A question's text may be split into several segments, with media between them. `layouts` makes other orders.

`events` say where in the clip the answer lies, if that is known: {"sense": "audio" or "video", "start": 2.0, "stop": 3.5}, in
seconds. An event that is seen may have a "box": left, top, right and bottom, as shares of the picture. Only app_where reads them.

A free question has no options, and its layout has no segment for them. Its answer is the text to score, or None: then the model
answers, and its own reply is scored.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace

from ..errors import InputError, Unusable
from ..storage import lines_of, whole
from .names import file_of
from .option_labels import check_labels
from .texts import check_text

SETTINGS = ("av_video", "items")
NEEDS = ("A", "V", "AV", "unknown")
KINDS = ("video", "image", "audio")
ROLES = ("video", "candidate", "reference")
SENSES = ("audio", "video")  # of an event
SEGMENTS = ("media", "instruction", "question", "options")
EVENT = 'like {"sense": "audio", "start": 2.0, "stop": 3.5}, in seconds; seen events may have a box of four shares of the picture'
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class MediaItem:
    """One media file. `id` names it in the layout, `media_id` in the whole dataset. `path` is relative to the media root."""

    id: str
    media_id: str
    kind: str
    role: str
    path: str
    index: int = 1  # number among the candidates, from 1


@dataclass(frozen=True)
class Option:
    """One answer option. `candidate`: the id of the media item that it names, or None."""

    label: str
    text: str
    candidate: str | None = None


@dataclass(frozen=True)
class Question:
    """A question with options, or a free one. `layout`: see the module's docstring.

    needs: the modality that decides the answer. answer: the label of the right option; of a free question the text to score, or
    None.

    Raises Unusable, with the reason, if the fields are invalid or contradict each other.
    """

    question_id: str
    dataset: str
    setting: str
    layout_name: str
    task: str
    group: str
    needs: str
    question: str
    options: tuple[Option, ...]
    answer: str | None
    media: tuple[MediaItem, ...]
    layout: tuple[dict, ...]
    correct_candidate: str | None = None
    study_split: str = "accuracy"  # "knockout": interventions run on this question, too
    flags: tuple[str, ...] = field(default=())
    question_raw: str = ""  # as the benchmark ships it, with its media tags
    events: tuple[dict, ...] = field(default=())

    def __post_init__(self):
        def check(ok, what, reason="invalid"):
            if not ok:
                raise Unusable(reason, f"question {self.question_id}: {what}")

        safe = isinstance(self.question_id, str) and SAFE_NAME.fullmatch(self.question_id)
        check(safe, "its id is not filename-safe; use letters, digits, '_', '-' and '.'")
        check(self.setting in SETTINGS, f"setting {self.setting!r} is unknown; known: {', '.join(SETTINGS)}")
        check(self.needs in NEEDS, f"needs {self.needs!r} is unknown; known: {', '.join(NEEDS)}")
        for what, text in (("task", self.task), ("group", self.group), ("question", self.question)):
            check_text(text, f"question {self.question_id}: its {what}")
        check_text(self.question_raw, f"question {self.question_id}: its question_raw", blank=True)
        for number, option in enumerate(self.options, 1):
            check_text(option.text, f"question {self.question_id}: its option {number}")
            check(isinstance(option.candidate, str | None), f"candidate {option.candidate!r} of option {number} is not a text")
        if self.free:
            if self.answer is not None:
                check_text(self.answer, f"question {self.question_id}: its answer")
        else:
            self._check_options(check)
        ids = [m.id for m in self.media]
        named = ids and all(isinstance(i, str) for i in ids) and len(set(ids)) == len(ids)
        check(named, f"media ids {ids}: give one or more texts, all different")
        for m in self.media:
            check(m.kind in KINDS and m.role in ROLES, f"media {m.id}: kind {m.kind!r} or role {m.role!r} is unknown")
            check(SAFE_NAME.fullmatch(m.media_id), f"media_id {m.media_id!r} is not filename-safe")
            check_text(
                m.path, f"question {self.question_id}: the path of its medium {m.id}", blank=True
            )  # none if media come encoded
            check(isinstance(m.index, int) and m.index > 0, f"index {m.index!r} of medium {m.id} is not a number from 1")
        places = [(m.role, m.index) for m in self.media]
        twice = next((place for place in places if places.count(place) > 1), None)
        check(not twice, f"two media have the role and index {twice}; give each its own index")
        check(all(isinstance(s, dict) for s in self.layout), "its layout is not a list of objects; write it as documented")
        segments = [s.get("seg") for s in self.layout]
        unknown = sorted({str(s) for s in segments} - set(SEGMENTS))
        check(not unknown, f"layout segment {', '.join(unknown)} is unknown; known: {', '.join(SEGMENTS)}")
        for segment in self.layout:
            self._check_segment(segment, check)
        for event in self.events:
            check(_is_event(event), f"event {event!r} is not {EVENT}")
        placed = [s["id"] for s in self.layout if s["seg"] == "media"]
        check(sorted(placed) == sorted(ids), f"the layout places media {placed} but the question has {ids}")
        whole_layout = segments.count("options") == (not self.free) and "question" in segments
        check(whole_layout, f"the layout needs a question, and {'no options' if self.free else 'options exactly once'}")
        if self.setting == "items" and not self.free:
            labels = [o.label for o in self.options]
            named = {o.candidate for o in self.options}
            candidates = {m.id for m in self.media if m.role == "candidate"}
            one_to_one = named == candidates and len(named) == len(labels)
            check(one_to_one, "its options do not name its candidates one to one", "options_not_bijective")
            answered = next(o.candidate for o in self.options if o.label == self.answer)
            check(
                self.correct_candidate == answered,
                f"correct_candidate {self.correct_candidate!r} is not the one that option {self.answer} names",
            )

    def _check_options(self, check) -> None:
        """Check labels and texts of the options, and that the answer is one of the labels."""
        labels = [o.label for o in self.options]
        check_labels(labels, f"question {self.question_id}")
        wrong = f"answer {self.answer!r} is not among its options {labels}; correct it or drop the question"
        check(self.answer in labels, wrong, "bad_answer")
        texts = {o.text for o in self.options}
        check(len(texts) == len(labels), "two options have the same text; drop the question", "same_options")

    def _check_segment(self, segment: dict, check) -> None:
        """Check what one segment of the layout holds."""
        where, kind = f"question {self.question_id}: the {segment['seg']} in its layout", segment["seg"]
        if kind == "media":
            check(
                isinstance(segment.get("id"), str), f"a medium in its layout has the id {segment.get('id')!r}, which is no text"
            )
        elif kind != "options":
            check_text(segment.get("text"), where, blank=True)
        elif "format" in segment:
            form = check_text(segment["format"], f"{where} have a format that")
            try:
                written = form.format(label="\0", text="\1")
                fits = written.count("\0") == written.count("\1") == 1
            except (LookupError, ValueError, AttributeError):
                fits = False
            check(fits, f"format {form!r} of its options does not hold {{label}} and {{text}} once each")

    @property
    def free(self) -> bool:
        """Whether it is answered in free words, because it has no options."""
        return not self.options

    @property
    def cluster(self) -> str:
        """The independent unit of the statistics: the file of the clip, or of a matching question's reference, by its media_id.

        A clip and its sound track, which is the same file with the media_id of another kind, are one unit.
        """
        medium = next((m for m in self.media if m.role == "reference"), self.media[0])
        return file_of(medium.media_id)

    def shard(self, shards: int) -> int:
        """The number of the shard, out of `shards`, that computes this question. Questions of one cluster share a shard."""
        return shard_of(self.cluster, shards)

    def item(self, id: str) -> MediaItem:
        return next(m for m in self.media if m.id == id)


def _is_event(event) -> bool:
    """Whether it has the form of an event."""
    number = lambda x: isinstance(x, int | float) and not isinstance(x, bool)  # noqa: E731
    keys = {"sense", "start", "stop"}
    if not isinstance(event, dict) or not keys <= set(event) <= keys | {"box"} or event["sense"] not in SENSES:
        return False
    if not (number(event["start"]) and number(event["stop"]) and 0 <= event["start"] < event["stop"]):
        return False
    box = event.get("box", [0, 0, 1, 1])
    if not isinstance(box, list) or len(box) != 4 or not all(map(number, box)):
        return False
    return 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1


def shard_of(cluster: str, shards: int) -> int:
    """The number of the shard, out of `shards`, that computes the questions of a cluster."""
    return int.from_bytes(hashlib.sha256(cluster.encode()).digest()[:8], "big") % shards


def to_json(question: Question) -> str:
    """The question as one line of JSON, with its keys in a fixed order. Without events it has no such key."""
    found = asdict(question)
    if not question.events:
        del found["events"]
    return json.dumps(found, ensure_ascii=False)


def from_json(line: str, where: str) -> Question:
    """Parse one line. `where` names file and line in errors. Raises InputError if a key is missing, unknown or inconsistent."""
    try:
        row = json.loads(line)
        row["options"] = tuple(Option(**o) for o in row["options"])
        row["media"] = tuple(MediaItem(**m) for m in row["media"])
        row["layout"], row["flags"] = tuple(row["layout"]), tuple(row.get("flags", ()))
        row["events"] = tuple(row.get("events", ()))
        return Question(**row)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{where}: not a question of the documented shape ({error}); make the file again with its prepare rule"
        ) from None


def write_questions(questions, path) -> None:
    """Write JSON Lines, sorted by question_id. Raises InputError if an id occurs twice."""
    questions = sorted(questions, key=lambda q: q.question_id)
    for a, b in zip(questions, questions[1:]):
        if a.question_id == b.question_id:
            raise InputError(f"{path}: question_id {a.question_id} occurs twice; ids must be unique in a dataset")
    with whole(path) as part:
        part.write_text("".join(to_json(q) + "\n" for q in questions), encoding="utf-8")


def read_questions(path, shard: int = 0, shards: int = 1) -> list[Question]:
    """Read a file of `write_questions`, or one shard of it."""
    questions = [from_json(line, f"{path}, line {n}") for n, line in enumerate(lines_of(path), 1) if line.strip()]
    return [q for q in questions if q.shard(shards) == shard]


def first_of_tasks(questions: list[Question], count: int | None) -> set[str]:
    """The ids of the first `count` questions of every task, in the order given. With count None: all ids."""
    by_task = {}
    for question in questions:
        by_task.setdefault(question.task, []).append(question.question_id)
    return {i for ids in by_task.values() for i in ids[:count]}


def split_for_knockout(questions, per_task: int, tasks=None) -> list[Question]:
    """Mark the first `per_task` questions of every task, in the order of their ids, for interventions.

    tasks: mark questions of these tasks only. Returns all questions, sorted by id.
    """
    counts, marked = {}, []
    for q in sorted(questions, key=lambda q: q.question_id):
        counts[q.task] = counts.get(q.task, 0) + 1
        chosen = counts[q.task] <= per_task and (tasks is None or q.task in tasks)
        marked.append(replace(q, study_split="knockout" if chosen else "accuracy"))
    return marked
