"""Prompts of the paper's three benchmarks, as both families' adapters lay them out under the real tokenizer.

The questions are our own, in the benchmarks' forms. Instructions, endings, formats and system prompts are those of config.yaml.
`check_tokenizer.py` records what each prompt becomes under Qwen2.5's whole vocabulary, together with an excerpt of it. Tests make
the same prompts under the excerpt, so the record is compared everywhere.
"""

import itertools
import json
import re
from types import SimpleNamespace

import torch

from ..models import OmniLayout, SalmonnLayout, build, prompt
from ..questions.benchmark_rows import items_question, video_question
from ..questions.layouts import arrange
from ..storage import whole
from .qwen_vocabulary import excerpt

MODELS = {"qwen_omni": "qwen2.5-omni-3b", "video_salmonn": "video-salmonn2-plus-3b"}  # family -> whose system prompt is used
LAYOUTS = ("default", "eq3")  # orders of AV-Odyssey's parts: as shipped, and as in Eq. 3
CLIPS = {  # benchmark -> name -> (question, options, answer)
    "av_speakerbench": {
        "who": (
            "Who is speaking while the man in the red jacket raises his left hand?",
            ["A. The woman with glasses", "B. The man in the red jacket", "C. The child", "D. A voice-over (off screen)"],
            "B",
        ),
        "words": (
            "What does the woman say right after the door closes?",
            ["A. \u201cI\u2019ll be back in 5 minutes.\u201d", "B. 'Don't wait!'", 'C. "We should\'ve left..."', "D. Nothing"],
            "A",
        ),
        "count": (
            'How many times does the host say "OK" before 00:12?',
            ["A. 1", "B. 2", "C. 3", "D. 10 or more"],
            "C",
        ),
        "accents": (
            "Which word does Zo\u00eb repeat, na\u00efve or caf\u00e9?",
            ["A. na\u00efve", "B. caf\u00e9", "C. \u4f60\u597d", "D. Stra\u00dfe"],
            "D",
        ),
    },
    "worldsense": {
        "mood": (
            "What mood does the music lend to the scene in which the two friends part?",
            ["A. Joyful and lively.", "B. Tense.", "C. Sad, with a hint of hope.", "D. Indifferent."],
            "C",
        ),
        "three options": (
            "How does the sound of the engine change when the car enters the tunnel?",
            ["A. It becomes louder and echoes.", "B. It stops", "C. It does not change."],
            "A",
        ),
    },
}
ITEMS = {  # name -> (task, question, the ordinals that the options name, answer)
    "list and reference": (
        "hazard",
        "Out of [img1], [img2], [img3], and [img4], which danger would make the noise of [audio1]?",
        ("third", "first", "fourth", "second"),
        "A",
    ),
    "reference first": (
        "singer",
        "Judging by the voice in [audio1], who among [img1], [img2], [img3], or [img4] is singing?",
        ("second", "fourth", "first", "third"),
        "D",
    ),
    "media at the end": (
        "instrument",
        "Among the instruments in the pictures, which one plays in [audio1]? [img1] [img2] [img3] [img4].",
        ("fourth", "third", "second", "first"),
        "B",
    ),
    "sounds": (
        "bird",
        "Which of the four recordings ([audio1] [audio2] [audio3] [audio4]) holds the song of the bird in [img1]?",
        ("first", "second", "third", "fourth"),
        "C",
    ),
}
CLIP = {  # a clip of 5 s with sound, as each family samples it: patches (t, h, w), seconds per grid
    "qwen_omni": ((5, 4, 6), 1.0),
    "video_salmonn": ((8, 4, 6), 0.625),
}
PICTURES = ((1, 4, 6), (1, 6, 4), (1, 4, 4), (1, 8, 6))  # patches
SOUNDS = (24000, 16000, 40123, 8000)  # samples


def layout_of(family: str):
    """What the adapter of a real checkpoint has as its `layout`."""
    if family == "qwen_omni":
        vision = SimpleNamespace(spatial_merge_size=2)
        return OmniLayout(SimpleNamespace(vision_config=vision, position_id_per_seconds=25, seconds_per_chunk=2))
    vision = SimpleNamespace(spatial_merge_size=2, tokens_per_second=2)
    return SalmonnLayout(SimpleNamespace(vision_config=vision), 30 * 16000, 60)


def questions(config: dict) -> dict:
    """name -> question. config: the contents of config.yaml."""
    made = {}
    for dataset, asked in CLIPS.items():
        given = config["datasets"][dataset]
        texts = given.get("instruction", ""), given.get("ending"), given.get("option_format", "")
        for name, (question, choices, answer) in asked.items():
            row = dict(question_id="1", task_id="t", question=question, choices=choices, answer=answer)
            row["audio_visual_path"] = "clip.mp4"
            made[f"{dataset}, {name}"] = video_question(row, dataset, *texts)
    given = config["datasets"]["av_odyssey"]
    for name, (task, question, ordinals, answer) in ITEMS.items():
        counts = {kind: len(re.findall(rf"\[{tag}\d\]", question)) for kind, tag in (("image", "img"), ("audio", "audio"))}
        many = max(counts, key=counts.get)
        row = dict(question_id="1", task=task, question=question, answer=answer)
        row |= {f"{kind}_path": [f"{kind}{i}.bin" for i in range(n)] for kind, n in counts.items()}
        row["options"] = [f"{label}. the {ordinal} {many}" for label, ordinal in zip("ABCD", ordinals)]
        asked = items_question(row, "av_odyssey", given["instruction"], given["option_format"])
        made |= {f"av_odyssey, {name}, {layout}": arrange(asked, layout) for layout in LAYOUTS}
    return made


def features_of(question, family: str) -> dict:
    """What `encode` would say about the sizes of a question's media; by the id of the item."""
    pictures, sounds, found = iter(PICTURES), iter(SOUNDS), {}
    for item in question.media:
        if item.kind == "video":
            grid, seconds = CLIP[family]
            sizes = dict(seconds_per_grid=torch.tensor(seconds), audio=0, samples=torch.tensor(5 * 16000))
            found[item.id] = dict(grid=torch.tensor(grid), **sizes)
        elif item.kind == "image":
            found[item.id] = dict(grid=torch.tensor(next(pictures)))
        else:
            found[item.id] = dict(audio=0, samples=torch.tensor(next(sounds)))
    return found


def media_of(question, family: str) -> dict:
    """item id -> `MediaLayout`, by the family's layout."""
    layout, found = layout_of(family), features_of(question, family)
    return {item.id: layout.of(item.role, item.index, item.kind, found[item.id]) for item in question.media}


def prompts(tokenizer, family: str, config: dict) -> dict:
    """name -> (`Prompt`, its text, its runs of characters as `prompt.render` gives them)."""
    system, found = config["models"][MODELS[family]]["system_prompt"].strip(), {}
    for name, question in questions(config).items():
        media = media_of(question, family)
        text, runs = prompt.render(question, system, media)
        found[name] = build(question, tokenizer, system, media, config["spans"][question.setting]), text, runs
    return found


def as_recorded(made: dict) -> dict:
    """name -> entry of the record, from `prompts`. Runs of equal tokens or steps are written as [value, length].

    text: for the reader, with each run of placeholders as one. positions: for each of the three rows, the steps from token to
    token, the first from 0. spans: name -> [start, stop] of each run of tokens.
    """
    return {
        name: {
            "text": re.sub(r"(<\|[^<>|]+\|>)\1+", r"\1", text),
            "ids": runs_of(one.ids.tolist()),
            "positions": [runs_of(row.diff(prepend=torch.zeros(1, dtype=row.dtype)).tolist()) for row in one.positions],
            "letters": one.letter_ids.tolist(),
            "variants": one.variant_ids.tolist(),
            "spans": {span: ranges_of(one.spans[span].tolist()) for span in one.spans.names()},
        }
        for name, (one, text, _) in made.items()
    }


def runs_of(values) -> list[list[int]]:
    """[7, 7, 5] -> [[7, 2], [5, 1]]."""
    return [[value, len(list(same))] for value, same in itertools.groupby(values)]


def ranges_of(indices) -> list[list[int]]:
    """[3, 4, 5, 9] -> [[3, 6], [9, 10]]."""
    groups = itertools.groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0])
    runs = [[index for _, index in group] for _, group in groups]
    return [[run[0], run[-1] + 1] for run in runs]


def differences(found: dict, expected: dict) -> list[str]:
    """One line for each prompt and field that differ, or that only one side has."""
    lines = [f"{name}: not recorded" for name in found if name not in expected]
    lines += [f"{name}: recorded, but no longer asked" for name in expected if name not in found]
    for name in found.keys() & expected.keys():
        lines += [f"{name}: {field} differ" for field in found[name] if found[name][field] != expected[name].get(field)]
    return sorted(lines)


def tokens_in(made: dict) -> set[int]:
    """All token ids of the prompts and of their letters, from `prompts`."""
    return {int(i) for one, *_ in made.values() for part in (one.ids, one.letter_ids, one.variant_ids) for i in part}


def record_of(document: dict, made: dict, source: dict) -> dict:
    """The record: family -> `prompts` as they are written down, with the excerpt of the vocabulary that they need."""
    ids = {i for found in made.values() for i in tokens_in(found)}
    return {
        "source": source,
        "prompts": {family: as_recorded(found) for family, found in made.items()},
        "tokenizer": excerpt(document, ids),
    }


def write_record(path, record: dict) -> None:
    """Write the record as JSON, one line per prompt. The file appears only when it is complete."""
    lines = [f'"source": {json.dumps(record["source"])},', '"prompts": {']
    for family, found in record["prompts"].items():
        entries = [f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in found.items()]
        lines += [f" {json.dumps(family)}: {{", ",\n".join(entries), " }" + "," * (family != list(record["prompts"])[-1])]
    lines += ["},", f'"tokenizer": {json.dumps(record["tokenizer"], ensure_ascii=False, separators=(",", ":"))}']
    with whole(path) as part:
        part.write_text("{\n" + "\n".join(lines) + "\n}\n", encoding="utf-8")


def read_record(path) -> dict:
    """As given to `write_record`."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)
