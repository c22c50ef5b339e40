"""A question about files at hand becomes a Question, and what cannot be asked is one line."""

import numpy as np
import pytest
import soundfile
import yaml
from conftest import ROOT
from examples import pictures, tone
from PIL import Image

from avflow.errors import InputError
from avflow.media import MediaError, files, kind_of
from avflow.miniature import world
from avflow.questions import from_files, question_about


@pytest.fixture
def here(tmp_path):
    """A clip with sound, one without, two sounds, a picture and an animation."""
    files.write_clip(tmp_path / "a clip.mp4", pictures(), 10, tone(2), 48000)
    files.write_clip(tmp_path / "mute.mp4", pictures(), 10, None, 48000)
    for name in ("one", "two"):
        soundfile.write(tmp_path / f"{name}.wav", tone(1, 16000), 16000)
    frames = [Image.fromarray(np.full((32, 32, 3), level, np.uint8)) for level in (0, 120, 250)]
    frames[0].save(tmp_path / "dog.png")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "note.mp4").write_text("no clip at all")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a clip.mp4", "video"), ("mute.mp4", "video"), ("one.wav", "audio"), ("dog.png", "image"), ("moving.gif", "video")],
)
def test_what_a_file_is_is_read_from_the_file(here, name, kind):
    assert kind_of(here / name) == kind
    (here / name).rename(here / "unnamed")
    assert kind_of(here / "unnamed") == kind


def test_a_file_that_is_no_medium_says_so(here):
    with pytest.raises(MediaError, match=r"note\.mp4: "):
        kind_of(here / "note.mp4")


def test_a_clip_is_asked_in_the_words_of_av_speakerbench(here):
    question = question_about(here / "a clip.mp4", "Which?", ["hiss", "tone", "buzz", "chirp"], answer="tone")
    told = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]["av_speakerbench"]
    texts = [segment.get("text", segment["seg"]) for segment in question.layout]
    assert texts == ["media", told["instruction"], "Which?", "options", told["ending"]]
    assert told["instruction"] == world.VIDEO_INSTRUCTION and told["ending"] == world.VIDEO_ENDING
    assert (question.setting, question.answer, question.flags) == ("av_video", "B", ())
    (medium,) = question.media
    assert (medium.kind, medium.role, medium.path) == ("video", "video", str(here / "a clip.mp4"))
    two = question_about(here / "a clip.mp4", "Which?", ["hiss", "tone"])
    assert "only the letter (A or B) of" in two.layout[1]["text"] and two.flags == (from_files.UNKNOWN,)


def test_several_media_are_candidates_that_the_options_name_in_order(here):
    question = question_about(
        [here / "one.wav", here / "two.wav"], "Which fits?", ["first", "second"], reference=here / "dog.png"
    )
    assert question.setting == "items" and [o.candidate for o in question.options] == ["c1", "c2"]
    assert [(m.role, m.kind, m.index) for m in question.media] == [
        ("candidate", "audio", 1),
        ("candidate", "audio", 2),
        ("reference", "image", 1),
    ]
    chosen = from_files.with_own_answer(question, "B")
    assert (chosen.answer, chosen.correct_candidate) == ("B", "c2")
    named = question_about([here / "one.wav", here / "two.wav"], "Which fits?", ["first", "second"], answer="A")
    assert from_files.with_own_answer(named, "B") is named, "a right answer that was given stays"


def test_without_options_a_question_is_free(here):
    assert question_about(here / "mute.mp4", "What is it?").free
    scored = question_about(here / "mute.mp4", "What is it?", answer="a dog", instruction="")
    assert scored.answer == "a dog" and [s["seg"] for s in scored.layout] == ["media", "question"]


@pytest.mark.parametrize(
    ("media", "text", "more", "said"),
    [
        ("gone.mp4", "q?", {}, r"gone\.mp4: the file does not exist"),
        ("note.mp4", "q?", {}, r"note\.mp4: "),
        ("one.wav", " ", {}, "the question is ' '; write what is asked"),
        ("one.wav", "q?", {"options": ["a", "b", "a "]}, "option 'a' is given twice"),
        ("one.wav", "q?", {"options": ["a"]}, "'a' is the only option"),
        ("one.wav", "q?", {"options": ["a", "b"], "answer": "c"}, "answer 'c' names no option"),
        ("one.wav", "q?", {"options": ["a", "b"], "reference": "dog.png"}, "2 options about 1 media"),
        ("one.wav", "q?", {"options": ["a", ""]}, "option 2"),
        ((), "q?", {}, "no media"),
    ],
)
def test_what_cannot_be_asked_is_one_line(here, media, text, more, said, monkeypatch):
    monkeypatch.chdir(here)
    with pytest.raises(InputError, match=said) as caught:
        question_about(media, text, **more)
    assert "\n" not in str(caught.value)
