"""Tasks, ids and media in any script keep names of their own."""

from dataclasses import replace
from itertools import permutations

import pytest
from examples import video

from avflow.errors import InputError
from avflow.questions.names import apart, check_tasks, safe_ids, slug


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Speech Recognition", "speech_recognition"),
        (" Speech-Recognition!", "speech_recognition"),
        ("听觉", "听觉"),
        ("C++", "c++"),
        ("C#", "c#"),
        ("Caf\u00e9", "caf\u00e9"),
        ("Cafe\u0301", "caf\u00e9"),
        ("हिन्दी", "हिन्दी"),
        ("Ёлка 2", "ёлка_2"),
        ("?!", ""),
    ],
)
def test_a_task_keeps_its_letters_in_every_script(name, wanted):
    assert slug(name) == wanted


def test_two_tasks_that_would_become_one_are_named_and_other_spellings_of_one_are_joined():
    check_tasks(["Speech Recognition", "speech-recognition", "speech_recognition", "听觉", "视觉", "C++", "C#"], "q.jsonl")
    with pytest.raises(InputError, match=r"q\.jsonl: the tasks 'short <3 s' and 'short >3 s' would both be called short_3_s; "):
        check_tasks(["short <3 s", "see", "short >3 s"], "q.jsonl")


def test_ids_that_would_become_one_get_a_digest_and_others_stay():
    found = safe_ids(["1", "a b", "听1", "视1", "_2", "说2"])
    assert (found["1"], found["a b"], found["_2"]) == ("1", "a_b", "_2")
    assert len(set(found.values())) == 6
    assert found == safe_ids(["说2", "_2", "视1", "听1", "a b", "1"])


def using(*media):
    """One question for each (media_id, path, kind)."""
    one = video(question_id="q")
    made = [(replace(one.media[0], media_id=f"d__{i}", path=path, kind=kind)) for i, path, kind in media]
    return [replace(one, question_id=f"q{n}", media=(m,)) for n, m in enumerate(made)]


CASES = [("dog", "dog.png", "image"), ("dog", "dog.wav", "audio"), ("a_b", "a/b.wav", "audio"), ("a_b", "a_b.wav", "audio")]
CASES += [("clip", "clip.mp4", "video"), ("clip", "clip.mp4", "audio"), ("cat", "cat.wav", "audio")]


def test_every_file_and_every_kind_of_it_gets_a_media_id_of_its_own_in_any_order():
    found = {(m.path, m.kind): m.media_id for q in apart(using(*CASES)) for m in q.media}
    assert len(set(found.values())) == len(CASES)
    assert found["dog.png", "image"] == "d__dog.png" and found["dog.wav", "audio"] == "d__dog.wav"
    assert found["clip.mp4", "video"] == "d__clip" and found["clip.mp4", "audio"] == "d__clip.as_audio"
    assert found["cat.wav", "audio"] == "d__cat"
    for some in list(permutations(CASES))[::500]:
        assert {(m.path, m.kind): m.media_id for q in apart(using(*some)) for m in q.media} == found


def test_a_clip_and_its_sound_track_are_one_unit_of_the_statistics_and_share_a_shard():
    clip, sound = apart(using(*CASES[4:6]))
    assert clip.cluster == sound.cluster == "d__clip" and clip.shard(7) == sound.shard(7)


def test_media_ids_without_conflict_stay_as_they_are():
    questions = using(CASES[0], CASES[4], CASES[6], CASES[6])
    assert apart(questions) == questions
