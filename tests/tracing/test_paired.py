"""A clip's pictures with another clip's sound: the task decides whose answer wins, and cuts show in which layers."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from conftest import UNIONS
from tracing_cases import HEAR

import conflict
from avflow.errors import InputError, Unusable
from avflow.media import encoder_inputs, files
from avflow.questions import pairs
from avflow.tracing import Route, paired, row_schemas

SEE = HEAR.replace("hear", "see")
WINDOWS = (0, 5, 10)  # centres


@pytest.fixture(scope="module")
def media(world_files):
    """question -> its media as they are read from files."""

    def read(question):
        found = {}
        for item in question.media:
            frames, fps = files.read_frames(world_files / "mini-video" / item.path, 2, 768)
            frames = encoder_inputs.resize_video(torch.from_numpy(frames), 56, 56)
            sound = torch.from_numpy(files.read_audio(world_files / "mini-video" / item.path))
            found[item.media_id] = {"frames": frames, "fps": torch.tensor(fps), "audio": sound, "samples": torch.tensor(1)}
        return paired.arrays(found)

    return read


@pytest.fixture(scope="module")
def mixed(model, questions, media):
    """Name of a question, engine -> its rows."""

    def rows(name, engine="sweep"):
        asked = questions[name]
        other = pairs.partner(asked, [q for q in questions.values() if q.task == asked.task], 0)
        given = dict(width=3, stride=5, engine=engine, seed=0, model="m", spans=UNIONS)
        given["routes"] = list(map(conflict.route, ("audio->question", "video->question")))
        partial = SimpleNamespace(recall=lambda name: None, remember=lambda *_: None)
        return conflict.mix(model, asked, other, (media(asked), media(other)), SimpleNamespace(**given), partial), asked, other

    return rows


def towards(rows, route, cut) -> list[float]:
    """How far each window moves the preference towards the answer that is heard, in nats."""
    here = [r for r in rows if (r["route"], r["cut"]) == (route, cut)]
    assert [r["centre"] for r in here] == list(WINDOWS)
    return [(r["logp_partner"] - r["logp_gold"]) - (r["logp_partner_clean"] - r["logp_gold_clean"]) for r in here]


def test_the_sound_answers_what_is_heard_and_loses_where_the_question_reads_it(mixed):
    rows, asked, other = mixed(HEAR)
    null, *cuts = rows
    assert null["control"] == "null" and len(cuts) == 2 * 2 * len(WINDOWS) and {r["partner"] for r in rows} == {other.question_id}
    assert null["known"] and null["answer"] == null["partner_answer"] == pairs.label_in(asked, other) != null["gold"]
    assert set(rows[0]) == set(row_schemas.CONFLICT.names)
    patched = towards(rows, "audio->question", "resample")
    assert patched[1] < -5, "with its own sound in the layers that read sound, the question goes back to its own answer"
    assert max(map(abs, patched[::2])) < 1 and min(towards(rows, "audio->question", "mask")) < -1
    assert max(map(abs, towards(rows, "video->question", "resample"))) < 1, "pictures do not matter"


def test_the_pictures_answer_what_is_seen(mixed):
    rows, *_ = mixed(SEE)
    assert rows[0]["known"] and rows[0]["answer"] == rows[0]["gold"] != rows[0]["partner_answer"]
    assert max(towards(rows, "video->question", "resample")) > 5, "with the partner's pictures, its answer wins"
    assert max(map(abs, towards(rows, "audio->question", "resample"))) < 1


def test_a_sweep_of_conflicts_equals_full_forwards(mixed):
    swept, full = mixed(HEAR)[0], mixed(HEAR, "naive")[0]
    for name in ("logp_gold", "logp_partner", "kl"):
        assert [r[name] for r in swept] == pytest.approx([r[name] for r in full], rel=1e-3, abs=1e-3)


def test_a_conflict_without_a_difference_is_the_clip_itself(model, questions, media):
    asked = questions[HEAR]
    both = paired.pair(model, asked, asked, media(asked), media(asked), UNIONS["av_video"])
    assert torch.equal(both.conflict(model, UNIONS["av_video"]).embeds, both.own.embeds)
    mute = {i: {"vision": f["vision"]} for i, f in both.features[0].items()}
    silent = dataclasses.replace(both, features=(mute, both.features[1]))
    with pytest.raises(Unusable, match=f"question {HEAR}: .* has no sound"):
        silent.conflict(model, UNIONS["av_video"])


@pytest.mark.parametrize("text", ["question->last", "audio<->video", "cross_frame"])
def test_a_route_from_no_sense_is_one_line(text):
    assert str(conflict.route("audio->last")) == str(Route("audio", "last"))
    with pytest.raises(InputError, match="is not one from audio or video; write it as audio->question"):
        conflict.route(text)
