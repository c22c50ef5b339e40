"""Reading the answer: each letter is one token, other answers are counted, and three options are enough."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import evaluate
from avflow.errors import Unusable
from avflow.miniature import processor_cases
from avflow.models import prompt
from avflow.models.qwen_omni import OmniLayout
from avflow.models.sequence import Sequence
from avflow.questions import benchmark_rows
from avflow.questions.question import Option
from avflow.tracing import readout, row_schemas

# what the real vocabulary merges, too, at ends of lines and before letters; 010a and 0120 stand for newline and space
ENDS = [(".", "\u010a"), ("\u010a", "\u010a"), (".\u010a", "\u010a"), ("?", "\u010a")]
MERGES = [*ENDS, ("\u0120", "A"), ("(", "A"), ("\u0120", "B")]
TOKENIZER = processor_cases.byte_tokenizer(MERGES)
OPTIONS = ("A. the man.", "B. the woman", "C. none of them?", "D. 3")


def built(options=OPTIONS, question="Who speaks?", tokenizer=TOKENIZER, change=lambda question: question):
    row = dict(question_id="1", question=question, choices=str(list(options)), answer="B", task_id="t", video_id="v")
    made = benchmark_rows.video_question(
        {**row, "audio_visual_path": "v.mp4"}, "d", "Answer with a letter.", "The best answer is:"
    )
    made = change(made)
    vision = SimpleNamespace(spatial_merge_size=2)
    layout = OmniLayout(SimpleNamespace(vision_config=vision, position_id_per_seconds=25, seconds_per_chunk=2))
    clip = dict(grid=torch.tensor([2, 4, 4]), seconds_per_grid=torch.tensor(1.0), audio=0, samples=torch.tensor(32000))
    media = {"v1": layout.of("video", 1, "video", clip)}
    text, runs = prompt.render(made, processor_cases.SYSTEM_PROMPT, media)
    return made, prompt.build(made, tokenizer, processor_cases.SYSTEM_PROMPT, media), text, runs


def sequence(options=OPTIONS):
    question, made, *_ = built(options)
    return Sequence(question, made.ids, made.ids[:, None], made.positions, made.spans, made.letter_ids, made.variant_ids)


def text_of(made, name):
    return TOKENIZER.decode(made.ids[made.spans[name]])


# segments


def test_ends_of_lines_belong_to_the_line_though_they_merge_with_its_last_character():
    _, made, *_ = built()
    assert text_of(made, "instruction") == "Answer with a letter.\nThe best answer is:"
    assert text_of(made, "question_text") == "Who speaks?\n"
    assert [text_of(made, f"option_{x}") for x in "ABCD"] == [o + "\n" for o in OPTIONS]
    assert torch.equal(torch.cat(list(made.spans.atoms.values())).sort().values, torch.arange(len(made.ids)))


def test_no_token_straddles_two_segments_unless_text_begins_with_a_newline():
    def straddling(question):
        _, made, text, runs = built(question=question)
        offsets = TOKENIZER(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
        return [text[a:b] for a, b in offsets for _, end, *_ in runs if a < end < b], made

    assert straddling("Who speaks?")[0] == straddling("Is it said. \n\nWho speaks?")[0] == []
    across, made = straddling("\nWho speaks?")
    assert across == [".\n\n"]
    assert text_of(made, "instruction").startswith("Answer with a letter.\n\n"), "it goes where its first character lies"
    assert text_of(made, "question_text") == "Who speaks?\n"


# letters


def test_letters_are_the_tokens_that_stand_before_the_options():
    _, made, *_ = built()
    assert [TOKENIZER.decode([i]) for i in made.letter_ids] == ["A", "B", "C", "D"]
    assert [TOKENIZER.decode([i]) for i in made.variant_ids] == [" A", "(A", " B"], "those that are single tokens"
    for label, letter in zip("ABCD", made.letter_ids):
        assert torch.equal(made.ids[made.spans[f"option_{label}.letter"]], letter[None])


def test_a_letter_that_merges_with_its_bracket_is_refused():
    def bracketed(question):
        layout = [{**s, "format": "({label}) {text}"} if s["seg"] == "options" else s for s in question.layout]
        return replace(question, layout=tuple(layout))

    with pytest.raises(Unusable, match="question d__1: letter A is not a single token in this prompt"):
        built(change=bracketed)
    separate = built(change=bracketed, tokenizer=processor_cases.byte_tokenizer(ENDS))[1]
    assert len(separate.letter_ids) == 4


def labelled(labels, right):
    """A sequence whose options have these labels, and logits (2, V) that rise from option to option, then fall."""
    s = sequence()
    options = tuple(Option(label, f"text {n}") for n, label in enumerate(labels))
    ids = torch.tensor([TOKENIZER(label, add_special_tokens=False)["input_ids"][0] for label in labels])
    s = replace(s, question=replace(s.question, options=options, answer=right), letter_ids=ids)
    logits = torch.full((2, len(TOKENIZER)), -20.0)
    logits[0, ids] = torch.arange(len(labels)).float()
    logits[1, ids] = -torch.arange(len(labels)).float()
    return s, logits


@pytest.mark.parametrize("labels", ["ABCDE", "abcd", "123", "1234567890", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ZA"])
def test_options_of_any_number_and_label_are_read_out_in_their_order(labels):
    s, logits = labelled(labels, labels[-1])
    found = readout.option_logits(s, logits)
    count = len(labels)
    assert found["option_logits"] == [[float(n) for n in range(count)], [-float(n) for n in range(count)]]
    for letter in "ABCD":
        wanted = float(labels.index(letter)) if letter in labels else math.nan
        assert found[f"logit_{letter}"][0] == wanted or math.isnan(found[f"logit_{letter}"][0]) and math.isnan(wanted)
    assert readout.answers(s, logits) == [labels[-1], labels[0]]
    assert readout.margin(s, logits) == [1.0, 1.0 - count] and readout.right(s, logits) == [True, False]
    row = row_schemas.answer_row(s, logits[1:], "m")
    assert (row["answer"], row["content"], row["gold"]) == (labels[0], "text 0", labels[-1])
    assert readout.logits_of(s.question, row) == [-float(n) for n in range(count)]


def test_options_among_a_to_d_need_no_list_whatever_their_order():
    s, logits = labelled("DB", "B")
    found = readout.option_logits(s, logits)
    assert found["option_logits"] == [None, None] and found["logit_D"] == [0.0, 0.0] and found["logit_B"] == [1.0, -1.0]
    row = {name: values[0] for name, values in found.items()}
    assert readout.logits_of(s.question, row) == [0.0, 1.0]


def test_a_cut_that_does_not_apply_has_no_logits():
    found = readout.unknown({"option_logits": [1.0, 2.0], "kl": 0.5, "answer": "a", "base_token": 3})
    assert all(map(math.isnan, [*found["option_logits"], found["kl"]])) and (found["answer"], found["base_token"]) == ("a", 3)


# what is said


def logits_for(**values):
    """(1, V) logits, -20 but for the given texts' tokens."""
    made = torch.full((1, len(TOKENIZER)), -20.0)
    for text, value in values.items():
        (token,) = TOKENIZER(text.replace("_", " "), add_special_tokens=False)["input_ids"]
        made[0, token] = value
    return made


def test_probability_is_split_between_letters_their_variants_and_the_rest():
    found = readout.masses(sequence(), logits_for(A=1.0, B=2.0, _A=1.5, T=0.5))
    total = sum(math.exp(x) for x in (1.0, 2.0, 1.5, 0.5))
    assert found["p_letters"][0] == pytest.approx((math.exp(1) + math.exp(2)) / total, abs=1e-5)
    assert found["p_variants"][0] == pytest.approx(math.exp(1.5) / total, abs=1e-5)
    assert found["p_other"][0] == pytest.approx(math.exp(0.5) / total, abs=1e-5)
    assert found["says_letter"] == [True]


def test_a_question_with_three_options_has_no_fourth_letter():
    s = sequence(OPTIONS[:3])
    logits = logits_for(A=1.0, B=2.0, C=0.0, D=3.0)
    found = readout.option_logits(s, logits)
    assert [found[f"logit_{x}"] for x in "ABC"] == [[1.0], [2.0], [0.0]] and math.isnan(found["logit_D"][0])
    assert readout.answers(s, logits) == ["B"] and readout.margin(s, logits) == [1.0]
    masses = readout.masses(s, logits)
    assert masses["says_letter"] == [False], "D is no option here"
    assert masses["p_other"][0] == pytest.approx(math.exp(3) / sum(math.exp(x) for x in range(4)), abs=1e-5)
    assert readout.compare(s, logits, logits)["correct_clean"] == [False]


class Partial:
    """Finished rows by question, as `rows.PartialRows` gives them."""

    def __init__(self, rows):
        self.rows_of = lambda question_id: [rows[question_id]]


def test_answers_that_are_no_letters_are_reported_with_what_was_said(capsys):
    said = {"q1": logits_for(B=3.0), "q2": logits_for(_B=3.0, B=2.0), "q3": logits_for(T=3.0), "q4": logits_for(_B=4.0)}
    rows = {name: row_schemas.answer_row(sequence(), logits, "m") for name, logits in said.items()}
    assert [rows[n]["says_letter"] for n in said] == [True, False, False, False]
    assert [rows[n]["correct"] for n in said] == [True, False, False, False], "a space before the letter is another token"
    assert rows["q2"]["answer"] == "B" and rows["q2"]["p_variants"] > 0.7
    loaded = lambda question: (SimpleNamespace(tokenizer=TOKENIZER), {})
    facts = evaluate.count_letters(loaded, [SimpleNamespace(question_id=n) for n in said], Partial(rows))
    assert facts == {"answers_without_letter": 3, "said_instead": {" B": 2, "T": 1}}
    assert "3 of 4 answers are not an option letter (says_letter is false): ' B' 2 times, 'T' 1 times" in capsys.readouterr().err


def test_where_all_say_letters_the_log_is_silent(capsys):
    rows = {"q": {"says_letter": True, "base_token": 1}}
    assert evaluate.count_letters(None, [SimpleNamespace(question_id="q")], Partial(rows)) == {"answers_without_letter": 0}
    assert capsys.readouterr().err == ""
