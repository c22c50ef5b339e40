"""Free questions through the scripts: scored, cut, or left out with a reason, while other questions go on."""

import json
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from conftest import ROOT, UNIONS
from examples import encoded, free_question, video_question

import attention
import discard_sweep
import evaluate
import knockout as knockout_script
import reliance
from avflow.questions import split_for_knockout, write_questions
from avflow.storage import ShardWriter, partial_rows
from avflow.tracing import generation, shard_job

CUTS = [{"routes": ["audio->question", "video->reply", "reply->reply"], "stride": 6, "questions": "all"}]


@pytest.fixture
def job(tmp_path, monkeypatch, model):
    """A function that runs a script on a shard of four questions: one with options, and free ones with and without an answer."""
    named = lambda name, question: replace(question, question_id=f"mini_video__{name}")  # noqa: E731
    pool = [named("options", video_question("see")), named("given", free_question())]
    pool += [named("short", free_question("tone")), named("own", free_question(None))]
    write_questions(split_for_knockout(pool, 4), tmp_path / "q.jsonl")
    with ShardWriter(tmp_path / "f.safetensors", 10**8, {}) as out:
        for media_id, features in encoded(model, pool[0]).items():
            for name, tensor in features.items():
                out.add(f"{media_id}/{name}", tensor)
    monkeypatch.setattr(shard_job, "load_model", lambda _: model)

    def run(script, name, **more):
        given = {
            "model": "tiny-omni",
            "family": "qwen_omni",
            "checkpoint": ROOT / "resources/tiny-omni",
            "spans": json.dumps(UNIONS),
        }
        given |= {"questions": tmp_path / "q.jsonl", "features": tmp_path / "f.safetensors", "out": tmp_path / f"{name}.parquet"}
        options = [str(part) for key, value in (given | more).items() for part in (f"--{key.replace('_', '-')}", value)]
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
        script.main()
        rows = pq.read_table(tmp_path / f"{name}.parquet").to_pylist()
        by_question = {}
        for row in rows:
            by_question.setdefault(row["question_id"].removeprefix("mini_video__"), []).append(row)
        return by_question, partial_rows.read_metadata(tmp_path / f"{name}.parquet")

    run.folder = tmp_path
    return run


def test_free_questions_are_answered_and_their_replies_cut(job, model):
    answered, _ = job(evaluate, "evaluate", reply_tokens=3)
    (letter,), (given,), (short,), (own,) = (answered[name] for name in ("options", "given", "short", "own"))
    assert letter["answer"] in "ABCD" and letter["reply_ids"] is None and letter["logp_reply"] is None
    assert given["content"] == given["gold"] == "tone and circle" and given["reply_tokens"] == 3 and given["answer"] is None
    assert given["correct"] in (True, False) and given["reply_ended"] and given["says_letter"] is None
    assert given["logp_reply"] == pytest.approx(sum(given["logp_reply_tokens"]), abs=1e-4)
    assert short["reply_tokens"] == 1 and short["logp_reply"] == pytest.approx(given["logp_reply_tokens"][0], abs=1e-4)
    assert own["gold"] is None and own["correct"] is None and own["content"] == model.tokenizer.decode(own["reply_ids"])
    assert 1 <= own["reply_tokens"] <= 3 and own["base_token"] == own["reply_ids"][0]

    known = {"evaluate": job.folder / "evaluate.parquet", "width": 3, "cuts": json.dumps(CUTS)}
    cut, facts = job(knockout_script, "knockout", verify=3, **known)
    assert set(cut) == set(answered) and facts["verified"] == 3 and facts["verified_difference"] < 1e-5
    for name in ("given", "own"):
        null, *rows = cut[name]
        assert null["logp_reply"] == pytest.approx(answered[name][0]["logp_reply"], abs=1e-3)
        assert {row["reply_tokens"] for row in rows} == {answered[name][0]["reply_tokens"]}
    assert [row["applicable"] for row in cut["given"]] == [True] * 7
    assert [row["applicable"] for row in cut["short"]] == [True] * 3 + [False] * 4
    assert [row["applicable"] for row in cut["options"]] == [True] * 3 + [False] * 4
    assert cut["own"][0]["correct_clean"] and cut["given"][0]["correct_clean"] == given["correct"]


def test_replies_that_end_at_once_or_at_the_limit_are_named_and_counted(job, model, monkeypatch, capsys):
    monkeypatch.setattr(generation, "end_ids", lambda _: set())
    answered, facts = job(evaluate, "evaluate", reply_tokens=2)
    assert answered["own"][0]["reply_tokens"] == 2 and not answered["own"][0]["reply_ended"]
    assert facts["replies_at_limit"] == ["mini_video__own"] and facts["left_out"] == {}
    limit = "1 of 3 replies reached the limit (max_reply_tokens) and are scored up to there: mini_video__own"
    assert limit in capsys.readouterr().err

    monkeypatch.setattr(generation, "greedy", lambda *_: ([], True))
    answered, facts = job(evaluate, "empty")
    assert set(answered) == {"options", "given", "short"} and list(facts["left_out"]) == ["mini_video__own"]
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("left out: ")] == [
        "left out: question mini_video__own: the model ends its turn without a reply; give the question an answer to score,"
        " or ask it in other words"
    ]
    known = {"evaluate": job.folder / "empty.parquet", "width": 3, "cuts": json.dumps(CUTS)}
    cut, facts = job(knockout_script, "knockout", **known)
    assert set(cut) == {"options", "given", "short"}
    assert facts["left_out"] == {"mini_video__own": "question mini_video__own: it has no reply; the log of evaluate says why"}


def test_another_limit_keeps_the_rows_of_a_shard_without_replies_of_the_models_own(job, monkeypatch):
    pool = [q for q in evaluate.read_questions(job.folder / "q.jsonl") if q.answer is not None]
    write_questions(pool, job.folder / "q.jsonl")
    before, _ = job(evaluate, "evaluate", reply_tokens=3)
    monkeypatch.setattr(shard_job, "load_model", lambda _: pytest.fail("a question is asked again"))
    again, _ = job(evaluate, "evaluate", reply_tokens=5)
    assert str(again) == str(before) and len(before) == 3


@pytest.mark.parametrize(
    "script, more",
    [
        (discard_sweep, {"discards": '{"av_video": {"Audio": "audio"}}', "random": 1, "stride": 12}),
        (attention, {"masked": '["video->last"]'}),
        (reliance, {"shuffles": 1}),
    ],
)
def test_analyses_of_letters_leave_free_questions_out_and_say_so_once(job, script, more, capsys):
    rows, facts = job(script, script.__name__, **more)
    assert set(rows) == {"options"}
    assert set(facts["left_out"]) == {f"mini_video__{name}" for name in ("given", "short", "own")}
    assert set(facts["left_out"].values()) == {"this analysis compares the letters of options"}
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert said == [
        f"{job.folder}/q.jsonl, shard 0: 3 free questions are left out: this analysis compares the letters of options"
    ]


def test_the_first_token_of_a_reply_has_the_columns_of_a_letter(job):
    answered, _ = job(evaluate, "evaluate")
    given, short = answered["given"][0], answered["short"][0]
    for name in ("base_token", "logp_base", "logp_gold"):
        assert given[name] == pytest.approx(short[name], abs=1e-4)
    assert given["logp_gold"] == pytest.approx(given["logp_reply_tokens"][0], abs=1e-6)
    assert torch.isnan(torch.tensor([given["margin"], given["p_letters"], given["logit_A"]])).all()
