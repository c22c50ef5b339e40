"""Labels of options: a complete run is taken off the texts, half a list is refused, and an answer means one option or none.

Also tests avflow.questions.texts.
"""

import string

import pytest

from avflow.errors import Unusable
from avflow.questions.option_labels import LABELS, answer_of, check_labels, split_labels
from avflow.questions.texts import check_text

WORDS = ["hiss", "tone", "buzz", "chirp"]


def split(texts, labels=None):
    return split_labels(texts, labels or [None] * len(texts), "q")


def reason(call, *given):
    with pytest.raises(Unusable) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    "form",
    [
        "{}. {}",
        "({}) {}",
        "{}: {}",
        "{}) {}",
        "[{}] {}",
        "{}.{}",
        "{}.) {}",
        "Option {}: {}",
        " {} . {} ",
        "（{}）{}",
        "{}、{}",
        "{}．{}",
    ],
)
@pytest.mark.parametrize("labels", ["ABCD", "abcd", "1234", "0123"])
def test_a_complete_run_of_labels_is_taken_off_in_every_form(form, labels):
    assert split([form.format(label, word) for label, word in zip(labels, WORDS)]) == list(zip(labels, WORDS))


@pytest.mark.parametrize(
    "texts",
    [
        ["hiss", "tone"],
        ["1.5 m", "2.5 m", "3.5 m"],
        ["1:30", "2:30"],
        ["A sharp", "B flat"],
        ["a.m.", "p.m."],
        ["Washington", "Grant", "A. Lincoln"],
        ["I: the first", "you: the second"],
        ["J. Bach", "W. Mozart", "L. Beethoven"],
        ["no", "yes", "2. Bundesliga"],
        ["A", "B", "C"],
    ],
)
def test_texts_that_only_resemble_labels_stay_as_they_are(texts):
    assert split(texts) == list(zip(string.ascii_uppercase, texts))


@pytest.mark.parametrize(
    "texts",
    [
        ["A. hiss", "B. tone", "buzz", "chirp"],
        ["hiss", "B. tone", "buzz"],
        ["A. Lincoln", "Washington"],
        ["B. hiss", "A. tone"],
        ["B. hiss", "C. tone", "D. buzz"],
        ["A. hiss", "C. tone", "D. buzz"],
        ["A. hiss", "A. tone"],
        ["A. hiss", "b. tone"],
        ["A. hiss", "2. tone"],
        ["D. hiss", "C. tone", "B. buzz", "A. chirp"],
        ["hiss", "A. tone", "B. buzz", "C. chirp"],
        ["I. hiss", "II. tone", "III. buzz"],
        ["A - hiss", "B - tone"],
        ["**A.** hiss", "**B.** tone"],
        ["A\thiss", "B\ttone"],
        ["A hiss", "B tone", "C buzz"],
        ["Answer A: hiss", "Answer B: tone"],
        ["A| hiss", "B| tone"],
        ["<A> hiss", "<B> tone"],
        ["① hiss", "② tone"],
        ["А. да", "Б. нет"],
        ["α. hiss", "β. tone"],
        [f"{n}. x{n}" for n in range(1, 11)],
        [f"x{n}" for n in range(27)],
        ["hiss"],
        [],
    ],
)
def test_half_a_list_and_labels_that_cannot_be_read_out_are_refused(texts):
    assert reason(split, texts) == "bad_options"


def test_labels_given_as_keys_win_over_texts_that_resemble_labels():
    assert split(["A. Lincoln", "G. Washington"], ["A", "B"]) == [("A", "A. Lincoln"), ("B", "G. Washington")]
    assert split(["A. hiss", "B. tone"], ["A", "B"]) == [("A", "hiss"), ("B", "tone")]
    assert split(["hiss", "chirp"], ["Yes", "No"]) == [("Yes", "hiss"), ("No", "chirp")]
    for labels in (["B", "A"], ["a", "b"], [1, 2]):
        assert reason(split, ["A. hiss", "B. tone"], labels) == "bad_options"
    assert reason(split, ["B. hiss", "A. tone"], ["B", "A"]) == "bad_options", "they would be doubled"
    for labels in (["A", None], ["A", "A"], ["AA", "B"], ["10", "1"], ["A.", "B."], [1, 2], ["\u7532", "\u4e59"]):
        assert reason(split, ["hiss", "tone"], labels) == "bad_options"


def test_two_to_twenty_six_options_have_letters_and_ten_have_digits():
    for count in range(2, 27):
        assert [label for label, _ in split([f"x{n}" for n in range(count)])] == list(string.ascii_uppercase[:count])
    check_labels(list("1234567890"), "q")
    check_labels(["True", "False"], "q")
    assert len(set(LABELS)) == len(LABELS) == 26 + 26 + 10 + 12 and LABELS[:4] == ("A", "B", "C", "D")


@pytest.mark.parametrize("answer", ["D", "d", "D.", "(D)", " d) ", "D: ", "chirp", "Chirp ", "D. chirp", "(D) chirp"])
def test_an_answer_is_recognised_in_every_form_that_means_one_option(answer):
    assert answer_of(answer, list(zip("ABCD", WORDS)), "q", False) == "D"


@pytest.mark.parametrize("answer", ["E", "", " ", None, 3, ["D"], "none", "A. chirp", "hiss or tone"])
def test_an_answer_that_means_no_option_is_refused(answer):
    assert reason(answer_of, answer, list(zip("ABCD", WORDS)), "q", False) == "bad_answer"


def test_an_answer_that_may_mean_two_options_is_refused_unless_labels_come_with_the_question():
    crossed = [("A", "B"), ("B", "A")]
    assert reason(answer_of, "A", crossed, "q", False) == "bad_answer"
    assert answer_of("A", crossed, "q", True) == "A"
    assert answer_of("2", [("A", "2"), ("B", "1")], "q", False) == "A"
    assert reason(answer_of, "b.", [("A", "b."), ("B", "c")], "q", False) == "bad_answer"
    assert answer_of("a", [("a", "x"), ("A", "y")], "q", True) == "a"


@pytest.mark.parametrize("text", [None, "", " \n", 5, ["x"], True, "a\0b", "\ud800", {"a": 1}])
def test_what_is_no_text_is_named(text):
    assert reason(check_text, text, "q: option 1") == "bad_text"


@pytest.mark.parametrize(
    "token",
    [
        "<|im_end|>",
        "<|AUDIO|>",
        "<|vision_bos|>",
        "<|endoftext|>",
        "<|fim_prefix|>",
        "<|new one|>",
        "<tool_call>",
        "</tool_call>",
    ],
)
def test_special_tokens_of_the_models_are_named(token):
    assert reason(check_text, f"before {token} after", "q") == "special_tokens"
    assert check_text("a <b> | c |> <| d <image>", "q") == "a <b> | c |> <| d <image>"
