"""A matching question in other orders names its media, and is a sentence in each; or it is left out with the reason.

Also tests avflow.questions.mention_places, avflow.questions.media_words, avflow.questions.sentence_words, avflow.questions.tags.
"""

import pytest
from examples import ITEMS, items

from avflow.errors import Unusable
from avflow.questions import layouts, template_order
from avflow.questions.question import MediaItem
from avflow.questions.wording import reworded

IMGS = "[img1], [img2], [img3], or [img4]"
RUN = "[img1] [img2] [img3] [img4]"
SOUNDS = "[audio1] [audio2] [audio3] [audio4]"
BENCHMARK = [  # the benchmark's kinds of templates, in words of our own; the sentence that names media; whether in Eq. 3's order
    (
        "Out of [img1], [img2], [img3], and [img4], which dangerous event would make the noise of [audio1]?",
        "Out of the four pictures, which dangerous event would make the noise?",
        True,
    ),
    (
        f"Judging by the voice in [audio1], which person among {IMGS} is probably singing?",
        "Judging by the voice in the sound recording, which person among the four pictures is probably singing?",
        False,
    ),
    (
        "Pick the picture ([img1], [img2], [img3], [img4]) that goes best with the engine in [audio1].",
        "Pick the picture that goes best with the engine in the sound recording.",
        True,
    ),
    (
        f"Given [audio1], which of the materials in {RUN} was most likely struck?",
        "Given the sound, which of the materials in the four pictures was most likely struck?",
        False,
    ),
    (
        "Which weapon in [img1], [img2], [img3], [img4] do you believe fired the shot of [audio1]?",
        "Which weapon in the four pictures do you believe fired the shot in the sound recording?",
        True,
    ),
    (
        f"Of these four recordings {SOUNDS}, which is the call of the animal in the picture [img1]?",
        "Of these four recordings, which is the call of the animal in the picture?",
        True,
    ),
    (
        f"Which of the four recordings ({SOUNDS}) holds the song of the bird in [img1]?",
        "Which of the four recordings holds the song of the bird in the picture?",
        True,
    ),
    (
        f"Among the instruments seen in the images, which one plays in [audio1]? {RUN}.",
        "Among the instruments seen in the images, which one plays in the sound recording?",
        False,
    ),
    (
        f"Which deed in the images {IMGS} would you say makes the sound [audio1]?",
        "Which deed in the images would you say makes the sound?",
        True,
    ),
    (
        f"Which potentially hazardous scene shown in {IMGS} corresponds best to the sound in [audio1]?",
        "Which potentially hazardous scene shown in the four pictures corresponds best to the sound?",
        True,
    ),
    (
        f"Among {IMGS}, which dangerous event resembles the sound of [audio1] best?",
        "Among the four pictures, which dangerous event resembles the sound best?",
        True,
    ),
]
OTHERS = [  # the same kinds and others, each with the sentence that names media
    (f"Of {RUN} which fits [audio1]?", "Of the four pictures, which fits the sound?"),
    (f"{RUN}: which one goes with [audio1]?", "The four pictures: which one goes with the sound?"),
    (
        "[img1], [img2], [img3] and [img4] show birds. Which one sings in [audio1]?",
        "The four pictures show birds. Which one sings in the sound recording?",
    ),
    ("[audio1] is played. Which of [img1] [img2] [img3] [img4] fits?", "The sound is played. Which of the four pictures fits?"),
    (
        f"Listen to [audio1]. Which of {IMGS} goes with [audio1]?",
        "Listen to the sound. Which of the four pictures goes with the sound?",
    ),
    (
        f"In [audio1], a gun is fired. Which of the weapons in {IMGS} is it?",
        "In the sound recording, a gun is fired. Which of the weapons in the four pictures is it?",
    ),
    (f"In the images {RUN}, which animal makes [audio1]?", "In the images, which animal makes the sound?"),
    (f"Among the pictures, {IMGS}, which matches [audio1]?", "Among the pictures, which matches the sound?"),
    (f"Which picture, {IMGS}, matches [audio1]?", "Which picture matches the sound?"),
    (f"Which picture matches [audio1]: {IMGS}?", "Which picture matches the sound: the first, second, third or fourth picture?"),
    (f"Does [audio1] belong to {IMGS}?", "Does the sound belong to the first, second, third or fourth picture?"),
    (
        f"Is the sound in [audio1] made by the animal in {IMGS}?",
        "Is the sound made by the animal in the first, second, third or fourth picture?",
    ),
    (
        "Does the first picture [img1] fit [audio1], or rather [img2], [img3] or [img4]?",
        "Does the first picture fit the sound, or rather the second, third or fourth picture?",
    ),
    (
        "Do [img1] and [img2] fit [audio1] better than [img3] and [img4]?",
        "Do the first and second pictures fit the sound better than the third and fourth pictures?",
    ),
    (f"Which animal in picture {IMGS} makes the sound of [audio1]?", "Which animal in the four pictures makes the sound?"),
    (f"Which animal {IMGS} makes [audio1]?", "Which animal in the four pictures makes the sound?"),
    (
        f"In the picture {IMGS}, which animal produces the call [audio1]?",
        "In the four pictures, which animal produces the call in the sound recording?",
    ),
    (f"Which eating scene ({IMGS}) sounds like [audio1]?", "Which eating scene in the four pictures sounds like the recording?"),
    (
        f"Which audio clip in {SOUNDS} best fits the bird ([img1])?",
        "Which audio clip in the four sound recordings best fits the bird in the picture?",
    ),
    (f"Which of the sounds is made by the animal [img1]? {SOUNDS}", "Which of the sounds is made by the animal in the picture?"),
    (
        f"Which instrument plays in [audio1]? {RUN}.",
        "Which instrument plays in the sound recording? Choose from the four pictures.",
    ),
    (
        f"{RUN} Which of these materials is hit in [audio1]?",
        "Which of these materials is hit in the sound recording? Choose from the four pictures.",
    ),
    (f"Image: [img1]. Sounds: {SOUNDS}. Which sound fits the image?", "Which sound fits the image?"),
    (
        f"Here is a sound: [audio1]. Here are four pictures: {RUN}. Which one fits?",
        "Here is a sound. Here are four pictures. Which one fits?",
    ),
    (f"Which of the following images {RUN} matches [audio1]?", "Which of the images matches the sound?"),
    (f"Which of the following matches [audio1]? {RUN}", "Which of the four pictures matches the sound?"),
    (f"Which of the following, {IMGS}, is the source of [audio1]?", "Which of the four pictures is the source of the sound?"),
    (f"Among the following, {IMGS}, which makes [audio1]?", "Among the four pictures, which makes the sound?"),
    (f"Which of the following would produce [audio1]: {IMGS}?", "Which of the four pictures would produce the sound?"),
    (
        f"Which of the following sounds is that of the bird in [img1]? {SOUNDS}",
        "Which of the sounds is that of the bird in the picture?",
    ),
    (f"Hear the following sound: [audio1]. Which picture is its source? {RUN}", "Hear the sound. Which picture is its source?"),
    (f"Which of the following sounds like [audio1]? {RUN}", "Which of the four pictures sounds like the recording?"),
    (
        f"Here is a sound: [audio1]\nAnd four images: {IMGS}\nWhich one matches?",
        "Here is a sound\nAnd four images\nWhich one matches?",
    ),
    (
        f"Which is the bird in image [img1]: the one in {SOUNDS.replace(' [audio4]', ' or [audio4]')}?",
        "Which is the bird in the image: the one in the first, second, third or fourth sound?",
    ),
    (f"Of the four given images {IMGS}, which has the sound [audio1]?", "Of the four given images, which has the sound?"),
    (
        f"Given a picture of an animal [img1], which of {SOUNDS} is its call?",
        "Given a picture of an animal, which of the four sounds is its call?",
    ),
    (
        f"Here is an image of a gun, [img1]. Which of {SOUNDS} is its shot?",
        "Here is an image of a gun. Which of the four sounds is its shot?",
    ),
    (f"A sound is given: [audio1]. Which of {IMGS} made it?", "A sound is given. Which of the four pictures made it?"),
    (f"These are weapons: {RUN}. Which one fired [audio1]?", "These are weapons: the four pictures. Which one fired the sound?"),
    (f"Which of the pictures above {RUN} fits [audio1]?", "Which of the pictures fits the sound?"),
    (
        f"Considering the given [audio1], which of the given {RUN} fits?",
        "Considering the given sound, which of the given pictures fits?",
    ),
    (f"Which one of the four {RUN} fits the [audio1] recording?", "Which one of the four pictures fits the recording?"),
    (
        f"Which of {RUN}, in your view, is the source of [audio1]?",
        "Which of the four pictures, in your view, is the source of the sound?",
    ),
    (
        f"Who is singing in [audio1], the person in {IMGS}?",
        "Who is singing in the sound recording, the person in the first, second, third or fourth picture?",
    ),
    (f"Do you think that [audio1] fits {RUN}?", "Do you think that the sound fits the four pictures?"),
    (f"Which one of {SOUNDS} sounds most like [img1]?", "Which one of the four recordings sounds most like the picture?"),
    (
        f"The singer in the picture [img1] sings in which of these recordings: {SOUNDS}?",
        "The singer in the picture sings in which of these recordings?",
    ),
    (
        "Which gun in the pictures ([img1] / [img2] / [img3] / [img4]) fired in [audio1]?",
        "Which gun in the pictures fired in the sound recording?",
    ),
    ("In which picture([img1],[img2],[img3],[img4]) would you hear[audio1]?", "In which picture would you hear the sound?"),
    (
        "Which weapon in [img1] , [img2] , [img3] , or [img4] fired [audio1] ?",
        "Which weapon in the four pictures fired the sound?",
    ),
]
REFUSED = [
    (f"First listen to [audio1], then look at {RUN}. Which one fits?", "it says in which order media come ('First listen')"),
    (f"Is [audio1] made by the animal above? {RUN}", "it says where a medium stands ('above')"),
    (f"Which animal is this? [img1] {SOUNDS}", "no word names [img1]"),
    (f"Which of {IMGS} is it? The sound: [audio1]", "no word names [audio1]"),
    ("Which fits [audio1]: (A) [img1] (B) [img2] (C) [img3] (D) [img4]?", "a tag stands behind a label of its own"),
    (f"[audio1], {IMGS}: which fits?", "two media stand side by side with no word between them"),
]


def asked(text: str, layout="original"):
    """The text as a question about its media."""
    if "[audio2]" in text:
        return items(layout, question=text)
    words = [f"{letter}. the {n} image" for letter, n in zip("ABCD", ("second", "first", "fourth", "third"))]
    return items(layout, question=text, options=words, image_path=ITEMS["audio_path"], audio_path=ITEMS["image_path"])


def shown(question) -> str:
    """The layout as one line, with the ids of media in brackets."""
    parts = [f"[{s['id']}]" if s["seg"] == "media" else s.get("text", "<options>") for s in question.layout]
    return "".join(parts)


@pytest.mark.parametrize(("text", "words", "in_order"), BENCHMARK)
def test_every_kind_of_template_is_a_sentence_in_every_order(text, words, in_order):
    question, end = asked(text), "<options>Answer with the letter."
    place = {"[r1]": "[audio1]", "[c": "[img"} if question.group == "A2I" else {"[r1]": "[img1]", "[c": "[audio"}
    as_shipped = shown(question)
    for id, tag in place.items():
        as_shipped = as_shipped.replace(id, tag)
    assert as_shipped == text + end
    assert template_order.in_eq3_order(question) == in_order
    candidates = "[c1][c2][c3][c4]"
    assert {name: shown(layouts.arrange(question, name)) for name in layouts.ORDERS} == {
        "eq3": f"{candidates}{words}[r1]{end}",
        "reference_first": f"[r1]{candidates}{words}{end}",
        "reference_last": f"{candidates}{words}{end}[r1]",
        "question_first": f"{words}{candidates}[r1]{end}",
    }


@pytest.mark.parametrize(("text", "words"), OTHERS)
def test_other_forms_are_sentences_too(text, words):
    assert reworded(text, asked(text).media) == words


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_sentence_that_has_no_sense_in_another_order_is_left_out_with_the_reason(text, reason):
    question = asked(text)
    assert layouts.askable(question, layouts.NAMES) == ["default"] and question.question == text
    with pytest.raises(Unusable) as caught:
        layouts.arrange(question, "eq3")
    assert caught.value.reason == "not_reordered" and reason in str(caught.value)
    with pytest.raises(Unusable) as caught:
        asked(text, "eq3")
    assert caught.value.reason == "not_reordered"


def test_a_medium_stands_at_its_first_tag_and_is_named_at_the_others():
    question = asked(f"Listen to [audio1]. Which of {IMGS} shows what makes [audio1]?")
    begin = "Listen to [r1]. Which of [c1], [c2], [c3], or [c4] shows what makes the sound?"
    assert shown(question) == f"{begin}<options>Answer with the letter."
    assert question.question_raw.count("[audio1]") == 2


def test_a_reference_of_the_candidates_kind_is_called_so():
    media = [MediaItem(f"c{i}", f"m{i}", "audio", "candidate", f"{i}.wav", i) for i in range(1, 5)]
    media = (*media, MediaItem("r1", "m5", "audio", "reference", "5.wav"))
    words = reworded(f"Which of {SOUNDS} is most like [audio5]?", media)
    assert words == "Which of the four sounds is most like the reference sound?"


def test_media_of_two_roles_that_no_word_names_are_refused():
    media = [MediaItem(f"c{i}", f"m{i}", "audio", "candidate", f"{i}.wav", i) for i in range(1, 5)]
    with pytest.raises(Unusable, match=r"no word names \[audio1\]"):
        reworded(f"Which two are alike? {SOUNDS} [audio5]", (*media, MediaItem("r1", "m5", "audio", "reference", "5.wav")))


def test_a_question_has_each_order_once():
    """The order in which it was prepared is its default, whatever name asks for it."""
    question = asked(BENCHMARK[0][0])
    names = ["default", "original", "eq3", "reference_first"]
    assert layouts.askable(question, names) == ["default", "eq3", "reference_first"]
    assert layouts.askable(asked(BENCHMARK[0][0], "eq3"), names) == ["default", "original", "reference_first"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (BENCHMARK[0][0], "question candidates question reference options instruction"),
        (BENCHMARK[1][0], "question reference question candidates question options instruction"),
        (f"Of {IMGS}, [audio1] fits which?", "question candidates reference question options instruction"),
    ],
)
def test_the_parts_of_a_template_are_read_off_its_layout(text, parts):
    assert " ".join(template_order.parts(asked(text))) == parts


def test_the_prepared_order_of_equation_3_is_in_it_and_an_order_without_words_between_is_not():
    assert template_order.in_eq3_order(asked(BENCHMARK[1][0], "eq3"))
    assert not template_order.in_eq3_order(asked(f"Of {IMGS}, [audio1] fits which?"))
    assert not template_order.in_eq3_order(layouts.arrange(asked(BENCHMARK[0][0]), "reference_last"))
    assert not template_order.in_eq3_order(asked("Is [img1] or [img2] in [audio1], or [img3] or [img4]?"))
