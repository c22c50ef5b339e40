"""From a benchmark's rows to `Question`s. Two row formats cover the paper's benchmarks; the miniature uses the same two.

Video questions follow AV-SpeakerBench: `choices` is a list, or the text of a Python list. Matching items follow AV-Odyssey: the
question holds media tags such as [audio1], and each option names an ordinal ("the third audio"). They are asked as shipped, with
every medium where its tag stands, or in the order of Eq. 3, in a sentence that names its media. `question_raw` keeps the text as
shipped.
"""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

from ..errors import Unusable
from . import layouts
from .names import safe
from .question import MediaItem, Option, Question
from .texts import check_text, shown

ORDINAL = re.compile(r"\b(first|second|third|fourth)\s+(image|picture|audio|sound|video|clip)\b", re.IGNORECASE)
ORDINALS = ("first", "second", "third", "fourth")
LETTERED = re.compile(r"([A-Z])\s*[.:)]\s*(.+)", re.DOTALL)


def lettered_options(choices, where: str) -> list[tuple[str, str]]:
    """["A. circle", ..], or the text of such a list, as [("A", "circle"), ..]. Raises Unusable that names `where`."""
    if isinstance(choices, str):
        try:
            choices = ast.literal_eval(choices)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise Unusable("bad_options", f"{where}: choices {shown(choices)} are not a list") from None
    if not isinstance(choices, list | tuple):
        raise Unusable("bad_options", f"{where}: choices {shown(choices)} are not a list")
    matches = [LETTERED.fullmatch(c.strip()) if isinstance(c, str) else None for c in choices]
    if not all(matches):
        raise Unusable("bad_options", f"{where}: choices {choices!r} do not all begin with a letter such as 'A.'")
    return [(m[1], m[2].strip()) for m in matches]


def video_question(row: dict, dataset: str, instruction: str, ending: str | None = None, option_format: str = "") -> Question:
    """A row in the format of AV-SpeakerBench, laid out as in Eq. 1: video, instruction, question, options, ending.

    row: question_id, question, choices, answer, task_id, audio_visual_path; optionally needs, group and events (JSON). ending:
    text after the options; empty, the last option still ends with a newline; None, with its last character. Raises Unusable.
    """
    options = tuple(Option(label, text) for label, text in lettered_options(row["choices"], _id(row, dataset)))
    ending = [] if ending is None else [{"seg": "instruction", "text": ending}]
    return _about_a_clip(row, dataset, instruction, options, [options_segment(option_format), *ending])


def free_question(row: dict, dataset: str, instruction: str) -> Question:
    """A row of the same columns without choices, answered in free words: video, instruction, question. Raises Unusable."""
    return _about_a_clip(row, dataset, instruction, (), [])


def _id(row: dict, dataset: str) -> str:
    return f"{dataset.replace('-', '_')}__{row['question_id']}"


def _about_a_clip(row: dict, dataset: str, instruction: str, options: tuple, after: list[dict]) -> Question:
    """A question about one clip. after: the segments of its layout behind the question."""
    prefix, question_id = dataset.replace("-", "_"), _id(row, dataset)
    check_text(row["question"], f"question {question_id}: its question")
    path = row["audio_visual_path"]
    media = MediaItem("v1", f"{prefix}__{safe(Path(path).stem)}", "video", "video", path)
    layout = (
        {"seg": "media", "id": "v1"},
        {"seg": "instruction", "text": instruction},
        {"seg": "question", "text": row["question"]},
        *after,
    )
    return Question(
        question_id=question_id,
        dataset=dataset,
        setting="av_video",
        layout_name="paper_eq1",
        task=row["task_id"],
        group=row.get("group") or row["task_id"],
        needs=row.get("needs") or "unknown",
        question=row["question"],
        options=options,
        answer=row["answer"],
        media=(media,),
        layout=layout,
        events=tuple(json.loads(row.get("events") or "[]")),
    )


def items_question(row: dict, dataset: str, instruction: str, option_format: str = "", layout: str = "original") -> Question:
    """A row in the format of AV-Odyssey: a question about four candidates and a reference, then options and instruction.

    row: question_id, task, question (with inline tags), options, answer, image_path and audio_path (lists); optionally needs.
    The numbers of pictures and sounds decide the direction. The right option's ordinal decides the correct candidate. layout:
    "original", as shipped, or "eq3", in the order of Eq. 3. Raises Unusable, as not_reordered if its sentence has no sense there.
    """
    prefix = dataset.replace("-", "_")
    question_id = f"{prefix}__{row['question_id']}"
    check_text(row["question"], f"question {question_id}: its question")
    paths = {"image": list(row["image_path"]), "audio": list(row["audio_path"])}
    direction = direction_of(question_id, {kind: len(found) for kind, found in paths.items()})
    one, many = ("image", "audio") if direction == "I2A" else ("audio", "image")

    def item(id, kind, role, index, path):
        return MediaItem(id, f"{prefix}__{safe(Path(path).stem)}", kind, role, path, index)

    candidates = [item(f"c{i}", many, "candidate", i, p) for i, p in enumerate(paths[many], 1)]
    media = (*candidates, item("r1", one, "reference", 1, paths[one][0]))
    asked = layouts.as_shipped(row["question"], media, question_id)
    options = []
    for label, text in lettered_options(row["options"], question_id):
        named = ORDINAL.search(text)
        if not named:
            raise Unusable("bad_options", f"{question_id}: option {label} {text!r} names no candidate such as 'the third audio'")
        options.append(Option(label, text, f"c{ORDINALS.index(named[1].lower()) + 1}"))
    question = Question(
        question_id=question_id,
        dataset=dataset,
        setting="items",
        layout_name=layouts.PREPARED["original"],
        task=row["task"],
        group=direction,
        needs=row.get("needs") or "unknown",
        question=layouts.sentence(row["question"], media),
        options=tuple(options),
        answer=row["answer"],
        correct_candidate=next((o.candidate for o in options if o.label == row["answer"]), None),
        media=media,
        layout=(*asked, options_segment(option_format), {"seg": "instruction", "text": instruction}),
        question_raw=row["question"],
    )
    return replace(layouts.arrange(question, layout), layout_name=layouts.PREPARED[layout])


def direction_of(question_id: str, counts: dict[str, int]) -> str:
    """ "I2A" for one image and four sounds, "A2I" for one sound and four images. Raises Unusable for anything else."""
    pair = counts.get("image", 0), counts.get("audio", 0)
    if pair not in ((1, 4), (4, 1)) or sum(counts.values()) != 5:
        found = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        raise Unusable("not_matching", f"{question_id}: {found}; a matching question needs one reference and four candidates")
    return "I2A" if pair == (1, 4) else "A2I"


def options_segment(option_format: str) -> dict:
    """The layout segment for the options. `option_format`: how an option is written; empty means "A. text"."""
    return {"seg": "options", "format": option_format} if option_format else {"seg": "options"}
