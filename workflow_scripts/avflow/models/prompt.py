"""From a question to token ids and spans, in the layouts of the paper's Eq. 1 and Eq. 3.

Eq. 1, audio-visual video:  [system ; video and audio interleaved in time ; instruction, question, options, ending] -> last
Eq. 3, interleaved items:   [system ; C_1 .. C_4 ; question ; reference ; options, instruction]                      -> last

The text is assembled exactly as the chat template would, and tokenised in one piece, so spans do not change the tokens. Each
token then belongs to the segment that holds its first character. What a medium's placeholder expands to depends on the model, so
the adapter passes a `MediaLayout` per medium.
"""

from dataclasses import dataclass

import torch

from ..errors import InputError, Unusable
from ..questions import Question
from .spans import Spans

VARIANTS = (" {}", "({}", "{}.", "{})", "{}:")  # other ways to write a letter; only single tokens are used
TAIL = "<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Block:
    """`count` repeats of one special token. atom: as in `spans`. part: for example "frame_0", or None."""

    token: str
    count: int
    atom: str
    part: str | None = None


@dataclass(frozen=True)
class MediaLayout:
    """What one medium becomes in the sequence: its blocks in order, and their positions (3, n) from 0.

    advance: the position, counted alike, at which the text goes on. Positions need not be whole numbers.
    """

    blocks: tuple[Block, ...]
    positions: torch.Tensor
    advance: int | float


@dataclass(frozen=True)
class Prompt:
    """Token ids (S,), positions (3, S) and spans of one question; letter_ids (options,) in the options' order.

    variant_ids (n,): these letters written as in `VARIANTS`. A form that takes more than one token is left out.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    spans: Spans
    letter_ids: torch.Tensor
    variant_ids: torch.Tensor


def system_turn(system_prompt: str) -> str:
    return f"<|im_start|>system\n{system_prompt}<|im_end|>\n<|im_start|>user\n"


def _pieces(question: Question, system_prompt: str):
    """The prompt as pieces: (atom, text) or a MediaItem. Text ends with a newline if more text follows in the user's turn."""
    pieces = [("system", system_turn(system_prompt))]
    segments = list(question.layout)
    for here, following in zip(segments, segments[1:] + [None]):
        newline = "\n" if following is not None and following["seg"] != "media" else ""
        if here["seg"] == "media":
            pieces.append(question.item(here["id"]))
            if following is not None and following["seg"] == "options":
                pieces.append(("delimiter", "\n"))
        elif here["seg"] == "options":
            form = _option_format(question)
            lines = [(f"option_{o.label}", form.format(label=o.label, text=o.text)) for o in question.options]
            pieces += [(atom, line + "\n") for atom, line in lines[:-1]] + [(lines[-1][0], lines[-1][1] + newline)]
        else:
            atom = "question_text" if here["seg"] == "question" else "instruction"
            pieces.append((atom, here["text"] + newline))
    return pieces + [("tail", TAIL)]


def _option_format(question: Question) -> str:
    """The format of an option in this layout, by default "{label}. {text}"."""
    return next(s for s in question.layout if s["seg"] == "options").get("format", "{label}. {text}")


def render(question: Question, system_prompt: str, media: dict[str, MediaLayout]):
    """The prompt's text with placeholders expanded, and its runs of characters.

    A run is (start, end, atom, part or None, media id or None).
    """
    text, runs = "", []

    def add(string, atom, part=None, item=None):
        nonlocal text
        runs.append((len(text), len(text) + len(string), atom, part, item))
        text += string

    for piece in _pieces(question, system_prompt):
        if isinstance(piece, tuple):
            add(piece[1], piece[0])
        else:
            for block in media[piece.id].blocks:
                add(block.token * block.count, block.atom, block.part, piece.id)
    return text, runs


def build(question: Question, tokenizer, system_prompt: str, media: dict[str, MediaLayout], unions=None) -> Prompt:
    """Lay out one question. media: one `MediaLayout` per media id. unions: name -> span names, for this setting.

    Raises Unusable if an option's label is not a single token of this model, or if a text holds one of its special tokens.
    Raises InputError if a medium has another number of tokens than positions.
    """
    _check_texts(question, tokenizer)
    text, runs = render(question, system_prompt, media)
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    labels, parts, owners, run = [], {}, [], 0
    for index, (start, _) in enumerate(offsets):
        while start >= runs[run][1]:
            run += 1
        _, _, atom, part, item = runs[run]
        labels.append(atom)
        owners.append(item)
        if part is not None:
            parts.setdefault(part, []).append(index)
    labels[-1] = "last"

    letter_ids = []
    for option in question.options:
        start = next(s for s, _, atom, *_ in runs if atom == f"option_{option.label}") + _label_at(question, option)
        index = next(i for i, (s, _) in enumerate(offsets) if s >= start)
        alone = tokenizer(option.label, add_special_tokens=False)["input_ids"]
        if alone != [ids[index]]:
            where = f"question {question.question_id}: letter {option.label}"
            raise Unusable("bad_options", f"{where} is not a single token in this prompt; give the options other labels")
        parts[f"option_{option.label}.letter"] = [index]
        letter_ids.append(ids[index])

    return Prompt(
        ids=torch.tensor(ids),
        positions=_positions(owners, media, question),
        spans=Spans(labels, parts, unions, _aliases(question)),
        letter_ids=torch.tensor(letter_ids, dtype=torch.int64),
        variant_ids=_variant_ids(question, tokenizer),
    )


def _label_at(question: Question, option) -> int:
    """The number of characters that stand before the label in the option's line."""
    before = _option_format(question).partition("{label}")[0]
    return len(before.format(text=option.text))


def _check_texts(question: Question, tokenizer) -> None:
    """Raises Unusable if a text of the question holds a special token of this model: it would not be read as text."""
    added = sorted(tokenizer.get_added_vocab())
    texts = [s.get("text", s.get("format", "")) for s in question.layout] + [o.text for o in question.options]
    for token in added:
        if any(token in text for text in texts):
            what = f"question {question.question_id}: a text holds {token}, a special token of this model"
            raise Unusable("special_tokens", f"{what}; write it in other words")


def _variant_ids(question, tokenizer) -> torch.Tensor:
    """Ids (n,) int64 of the single tokens that write the options' letters as in `VARIANTS`."""
    written = [form.format(option.label) for option in question.options for form in VARIANTS]
    if not written:
        return torch.empty(0, dtype=torch.int64)
    encoded = tokenizer(written, add_special_tokens=False)["input_ids"]
    return torch.tensor([ids[0] for ids in encoded if len(ids) == 1], dtype=torch.int64)


def _positions(owners, media, question):
    """Position ids (3, S). Text counts up by one. A medium brings its own ids, and says where the text goes on."""
    columns, start, i = [], 0, 0
    while i < len(owners):
        j = i
        while j < len(owners) and owners[j] == owners[i]:
            j += 1
        if owners[i] is None:
            columns.append((torch.arange(j - i) + start).expand(3, -1))
            start += j - i
        else:
            layout = media[owners[i]]
            if layout.positions.shape[1] != j - i:
                raise InputError(
                    f"question {question.question_id}: medium {owners[i]} has {j - i} tokens in the prompt but"
                    f" {layout.positions.shape[1]} positions; its placeholder tokens are missing from the tokenizer"
                )
            columns.append(layout.positions + start)
            start += layout.advance
        i = j
    return torch.cat(columns, 1)


def _aliases(question: Question) -> dict[str, list[str]]:
    """Spans that depend on this question's right answer, such as correct_option."""
    if question.free:
        return dict.fromkeys(("correct_option", "incorrect_options", "correct_candidate", "incorrect_candidates"), [])
    correct = f"option_{question.answer}"
    aliases = {
        "correct_option": [correct],
        "incorrect_options": [f"option_{o.label}" for o in question.options if f"option_{o.label}" != correct],
    }
    candidates = {m.id: f"candidate_{m.index}" for m in question.media if m.role == "candidate"}
    if question.correct_candidate is not None:
        right = candidates[question.correct_candidate]
        aliases["correct_candidate"] = [right]
        aliases["incorrect_candidates"] = [name for name in candidates.values() if name != right]
    return aliases
