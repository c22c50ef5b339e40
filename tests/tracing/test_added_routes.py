"""An added route, control, width, layout or question is computed alone. Finished rows stay equal bit by bit."""

import argparse
import json
import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, UNIONS, process

import discard_sweep
import knockout as knockout_script
from avflow.questions import read_questions, split_for_knockout, write_questions
from avflow.storage import ShardWriter, partial_rows
from avflow.tracing import batch_plan, knockout, row_schemas, shard_job

IDS = [f"mini_video__hear_000{n}" for n in (1, 2, 3)]
TWO = {"routes": ["audio->question", "question->last"], "questions": 2, "stride": 4}  # 3 centres of 12 layers
LOGP = row_schemas.KNOCKOUT.names.index("logp_base")
THREE = {**TWO, "routes": ["audio->question", "audio->last", "question->last"]}


class Killed(BaseException):
    """In the place of a kill."""


class Job:
    """knockout.py on a shard of three questions, in this process; `asked` is what went through the engine in the last run."""

    def __init__(self, folder, monkeypatch, model):
        self.folder, self.out, self.patch, self.model = folder, folder / "k.parquet", monkeypatch, model
        self.asked, self.loads, self.stop_after = [], 0, None
        engine = knockout.rows_of_questions

        def spy(model, sequences, cuts, *rest):
            if len(self.asked) == self.stop_after:
                raise Killed
            for question, here in zip((s.question for s in sequences), cuts):
                self.asked.append((question.question_id, question.layout_name, [str(k.route) for k in here], here))
            return engine(model, sequences, cuts, *rest)

        def load(_):
            self.loads += 1
            return model

        monkeypatch.setattr(knockout, "rows_of_questions", spy)
        monkeypatch.setattr(shard_job, "load_model", load)

    def options(self, *cuts, **more) -> list[str]:
        given = {
            "model": "tiny-omni",
            "family": "qwen_omni",
            "checkpoint": ROOT / "resources/tiny-omni",
            "questions": self.folder / "q.jsonl",
            "features": self.folder / "f.safetensors",
            "evaluate": self.folder / "e.parquet",
            "spans": json.dumps(UNIONS),
            "width": 3,
            "cuts": json.dumps(cuts),
            "out": self.out,
            **more,
        }
        return [str(part) for name, value in given.items() for part in (f"--{name}", value)]

    def run(self, *cuts, **more) -> dict[tuple, tuple]:
        """KEY of every row of the parquet, in order -> the row's numbers as bytes and its words."""
        self.asked, self.loads = [], 0
        self.patch.setattr(sys, "argv", ["knockout.py", *self.options(*cuts, **more)])
        knockout_script.main()
        table = pq.read_table(self.out)
        assert table.num_rows == len(found := as_bytes(table)), "no row stands twice"
        return found

    def cuts(self, question) -> list:
        """Of the last run, what was cut in a question."""
        return [k for name, _, _, cuts in self.asked if name == question for k in cuts]


def as_bytes(table: pa.Table) -> dict[tuple, tuple]:
    keys = zip(*(table[name].to_pylist() for name in ("question_id", *knockout_script.KEY)))
    columns = [column.combine_chunks() for column in table.columns]
    values = zip(
        *(
            [x.tobytes() for x in column.to_numpy(zero_copy_only=False)]
            if pa.types.is_floating(column.type)
            else column.to_pylist()
            for column in columns
        )
    )
    return dict(zip(keys, values))


def test_a_budget_may_name_tasks_that_interventions_do_not_use(tmp_path, questions):
    """Two questions of see are for interventions; hear and while-hear have none that is."""
    of = lambda task: [q for q in questions.values() if q.task == task][:3]  # noqa: E731
    pool = [*split_for_knockout(of("see"), 2), *of("hear"), *of("while-hear")]
    assert [q.study_split for q in pool[:4]] == ["knockout", "knockout", "accuracy", "accuracy"]
    write_questions(pool, tmp_path / "q.jsonl")
    right = {q.question_id: q is not pool[3] for q in pool}
    pq.write_table(pa.table({"question_id": list(right), "correct": list(right.values())}), tmp_path / "e.parquet")

    def chosen(**budget):
        cuts = knockout_script.cuts(json.dumps([{"routes": ["audio->question"], **budget}]))
        asked = SimpleNamespace(cuts=cuts, questions=tmp_path / "q.jsonl", evaluate=tmp_path / "e.parquet")
        return [pool.index(q) for q in knockout_script.Asked(asked).choose(pool)]

    assert chosen() == [0, 1], "without tasks: those for interventions"
    assert chosen(tasks=["hear"]) == [4, 5], "outside them, without the wrong answer"
    assert chosen(tasks=["*hear"], questions="all") == [3, 4, 5, 6, 7, 8]
    assert chosen(tasks=["*hear", "see"], first=1, questions="all") == [0, 3, 6]
    assert chosen(tasks=["see"]) == [0, 1], "a task that interventions use keeps its choice of questions"
    with pytest.raises(argparse.ArgumentTypeError, match=r"tasks is \[3\]; it must be a list of patterns of tasks"):
        chosen(tasks=[3])


@pytest.fixture(scope="module")
def shard(tmp_path_factory, questions, world_files, model):
    """Questions, encoder outputs and answers of three questions, as the rules before `knockout` leave them."""
    import torch

    from avflow import media
    from avflow.media import encoder_inputs

    folder = tmp_path_factory.mktemp("shard")
    pool = split_for_knockout([questions[i] for i in IDS], 3)
    write_questions(pool, folder / "q.jsonl")
    pq.write_table(pa.table({"question_id": IDS, "correct": [True] * 3}), folder / "e.parquet")
    with ShardWriter(folder / "f.safetensors", 10**8, {}) as out:
        for item in {m.media_id: m for q in pool for m in q.media}.values():
            path = world_files / "mini-video" / item.path
            frames, fps = media.read_frames(path, 2, 768)
            frames, sound = (
                encoder_inputs.resize_video(torch.from_numpy(frames), 56, 56),
                torch.from_numpy(media.read_audio(path)),
            )
            for name, tensor in model.encode("video", frames=frames, audio=sound, fps=fps).items():
                out.add(f"{item.media_id}/{name}", tensor)
    return folder


@pytest.fixture
def job(shard, tmp_path, monkeypatch, model):
    for name in ("q.jsonl", "f.safetensors", "e.parquet"):
        (tmp_path / name).symlink_to(shard / name)
    return Job(tmp_path, monkeypatch, model)


def kept(before: dict, after: dict) -> bool:
    return all(after[key] == row for key, row in before.items())


@pytest.mark.slow
def test_each_addition_computes_itself_alone_and_finished_rows_stay_bit_for_bit(job):
    before = job.run(TWO)
    assert len(before) == 2 * (1 + 2 * 3) and [name for name, *_ in job.asked] == IDS[:2]

    after = job.run(THREE)
    assert {str(k.route) for k in job.cuts(IDS[0])} == {"audio->last"} and len(job.cuts(IDS[0])) == 3
    assert kept(before, after) and len(after) == 2 * (1 + 3 * 3)
    routes = [key[2] for key in after if key[0] == IDS[0]]
    assert routes == ["none", *(route for route in THREE["routes"] for _ in range(3))], "rows stand in the order asked"

    three, additions = (
        after,
        [
            ({"controls": {"random_other": 1}}, lambda k: (k.control, k.draw) == ("random_other", 0)),
            ({"controls": {"random_other": 2}}, lambda k: (k.control, k.draw) == ("random_other", 1)),
            ({"widths": [3, 5]}, lambda k: k.window.width == 5),
            ({"styles": ["centred", "inverse"]}, lambda k: k.window.style == "inverse"),
            ({"value_zero": True}, lambda k: k.cut == "value_zero"),
            ({"stride": 2}, lambda k: k.window.centre % 4 == 2),
        ],
    )
    for more, new in additions:
        after = job.run({**THREE, **more})
        for question in IDS[:2]:
            assert len(job.cuts(question)) == 3 * 3 and all(map(new, job.cuts(question))), more
        assert kept(three, after)
    assert job.run({**THREE, "questions": 3}).keys() > three.keys() and [name for name, *_ in job.asked] == IDS[2:]
    assert kept(three, job.run({**THREE, "questions": 3})) and job.asked == []


def test_another_layout_computes_itself_alone_with_its_own_null_row(job):
    before = job.run(TWO)
    after = job.run(TWO, {**TWO, "routes": ["audio->last"], "layouts": ["question_first"]})
    assert [(name, layout, set(routes)) for name, layout, routes, _ in job.asked] == [
        (name, "question_first", {"audio->last"}) for name in IDS[:2]
    ]
    assert kept(before, after)
    null = [(key[0], key[1]) for key in after if key[2] == "none"]
    assert null == [(name, layout) for name in IDS[:2] for layout in ("paper_eq1", "question_first")]


def test_single_heads_compute_themselves_alone_and_are_verified(job):
    before = job.run(TWO)
    after = job.run({**TWO, "heads": "each"}, verify=4)
    assert kept(before, after) and len(after) == len(before) + 2 * 2 * 3 * 3, "two questions and routes, three centres and heads"
    assert {k.columns["heads"] for name in IDS[:2] for k in job.cuts(name)} == {"0", "1", "2"}
    assert partial_rows.read_metadata(job.out)["verified_difference"] < 1e-5
    assert job.run({**TWO, "heads": "each"}) == after and job.asked == [] and job.loads == 0
    grouped = job.run({**TWO, "heads": "groups"})
    assert {k.columns["heads"] for k in job.cuts(IDS[0])} == {"0,1,2"}, "its three heads share one key-value head"
    at = (*knockout_script.KEY,).index("heads") + 1
    for key, row in grouped.items():
        if key[at] == "0,1,2":
            one, whole = (float(np.frombuffer(found[LOGP], np.float32)[0]) for found in (row, before[(*key[:at], "all")]))
            assert one == pytest.approx(whole, abs=1e-4), "all heads together are the whole cut"


def test_the_strongest_heads_are_cut_in_the_questions_that_did_not_rank_them(job):
    one = {"routes": ["question->last"], "questions": 3, "widths": [1], "stride": 4, "heads": "each"}
    job.run(one)
    ranked, job.out = job.out, job.folder / "sets.parquet"
    budget = {"routes": ["question->last"], "strongest": {"shares": [0.2, 0.5], "draws": 2}}
    rows = job.run(budget, ranked=ranked, verify=3)
    asked = {name for name, *_ in job.asked}
    assert len(asked) == 1 and {key[0] for key in rows} == asked, "of three clips, two rank"
    sizes = [(k.control, len(k.heads)) for k in job.cuts(*asked)]
    assert sizes == [*[("none", 2), *[("random_heads", 2)] * 2], *[("none", 4), *[("random_heads", 4)] * 2], ("none", 9)]
    assert partial_rows.read_metadata(job.out)["verified_difference"] < 1e-5
    assert job.run(budget, ranked=ranked) == rows and job.asked == []
    job.run(budget, ranked=ranked, seed=1)
    assert job.asked, "another seed draws other heads"
    with pytest.raises(argparse.ArgumentTypeError, match="strongest is .*; it must be shares of the heads, from 0 to 1"):
        knockout_script.cuts(json.dumps([{**budget, "strongest": {"shares": [2]}}]))


def test_a_tables_null_row_does_not_depend_on_what_else_is_asked(job):
    apart = job.run({**TWO, "routes": ["audio->last"]})
    job.out = job.folder / "other.parquet"
    together = job.run(THREE)
    null = [key for key in apart if key[2] == "none"]
    assert len(null) == 2 and all(apart[key] == together[key] for key in null)


def test_a_random_control_does_not_depend_on_what_else_is_asked(job):
    def mass_of_controls() -> dict:
        controls = [row for row in pq.read_table(job.out).to_pylist() if row["control"] == "random_other"]
        return {(r["question_id"], r["route"], r["centre"], r["draw"]): r["removed_mass"] for r in controls}

    job.run({**TWO, "routes": ["question->last"], "controls": {"random_other": 2}})
    apart = mass_of_controls()
    job.out = job.folder / "other.parquet"
    job.run({**THREE, "controls": {"random_same": 1, "random_other": 3}})
    together = mass_of_controls()
    assert len(apart) == 2 * 3 * 2 and all(together[key] == pytest.approx(mass, rel=1e-6) for key, mass in apart.items())
    assert len({round(mass, 7) for mass in apart.values()}) == len(apart), "every draw is another one"


def test_a_route_that_leaves_and_comes_back_costs_nothing(job):
    three = job.run(THREE)
    two = job.run(TWO)
    assert job.asked == [] and job.loads == 0, "not even the model is loaded"
    assert set(two) == {key for key in three if key[2] != "audio->last"} and kept(two, three)
    again = job.run(THREE)
    assert job.asked == [] and list(again.items()) == list(three.items())
    assert partial_rows.read_metadata(job.out)["asked"] == {"cuts": [THREE], "width": 3}


def test_after_a_kill_only_the_rest_is_computed(job):
    before, job.stop_after = job.run(TWO), 1
    with pytest.raises(Killed):
        job.run(THREE)
    assert [name for name, *_ in job.asked] == IDS[:1]
    job.stop_after = None
    after = job.run(THREE)
    assert [(name, set(routes)) for name, _, routes, _ in job.asked] == [(IDS[1], {"audio->last"})]
    assert kept(before, after)
    side = job.out.with_name("k.parquet.partial")
    side.write_bytes(side.read_bytes()[:-100])  # as a kill in the middle of the last piece leaves it
    assert job.run(THREE) == after
    assert [(name, set(routes)) for name, _, routes, _ in job.asked] == [(IDS[1], {"audio->last"})]


def test_after_a_kill_at_any_write_questions_asked_together_are_asked_together_again(job):
    """Asked alone, their rows would differ by rounding."""
    job.patch.setattr(shard_job, "same_media", lambda question: "all")
    budget, side = {"routes": ["question->last"], "questions": 3, "stride": 12}, job.out.with_name("k.parquet.partial")
    whole, writes, write = job.run(budget), [], partial_rows.PartialRows._write
    assert [name for name, *_ in job.asked] == IDS

    def until(last):
        def killed(partial, *payload):
            if len(writes) == last + 1:  # after the header, whose writing opens the file
                raise Killed
            writes.append(payload)
            write(partial, *payload)

        return killed

    for last in range(20):
        side.unlink()
        writes.clear()
        job.patch.setattr(partial_rows.PartialRows, "_write", until(last))
        try:
            job.run(budget)
            break
        except Killed:
            job.patch.setattr(partial_rows.PartialRows, "_write", write)
            assert job.run(budget) == whole, f"killed before write {last}"
            assert [name for name, *_ in job.asked] in (IDS, []), f"killed before write {last}"
    assert 3 < last < 19


@pytest.mark.parametrize("piece", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_damaged_record_costs_only_its_own_rows(job, piece):
    job.run(TWO)
    whole = job.run(THREE)
    side = job.out.with_name("k.parquet.partial")
    data, at, ends = bytearray(side.read_bytes()), len(partial_rows.MAGIC), []
    while at < len(data):
        at += partial_rows.FRAME.size + partial_rows.FRAME.unpack_from(data, at)[0]
        ends.append(at)
    starts = [start + partial_rows.FRAME.size for start in ends[:-1]]
    mine = [start for start in starts if data[start + partial_rows.PART.size :].startswith(f"{IDS[0]}\0".encode())]
    data[mine[piece] + 500] ^= 0xFF
    side.write_bytes(data)
    assert job.run(THREE) == whole
    routes = [set(TWO["routes"]), {"audio->last"}][piece]
    assert [(name, set(found)) for name, _, found, _ in job.asked] == [(IDS[0], routes)]


@pytest.mark.slow
def test_a_change_of_a_rows_inputs_discards_its_rows(job):
    one = {"routes": ["question->last"], "questions": 1, "stride": 6}
    job.run(one)
    for more in ({"seed": 1}, {"seed": 1, "engine": "naive"}):
        job.run(one, **more)
        assert len(job.cuts(IDS[0])) == 2, more
    job.run(one, **more, width=5)
    assert [k.window.width for k in job.cuts(IDS[0])] == [5, 5]
    job.run(one, **more)
    assert job.asked == [], "the width says which rows are asked, and every row says its own"


def test_added_rows_are_verified_like_all_others_and_keep_the_batch_plan(job):
    job.run(TWO)
    job.patch.setattr(batch_plan, "CPU_ROWS", 100)
    job.run(THREE, verify=5)
    facts = partial_rows.read_metadata(job.out)
    assert facts["verified"] == 5 and facts["verified_difference"] < 1e-5
    assert facts["batch_plan"]["rows"] == 8192, "as it was made with the first rows"


@pytest.mark.slow
def test_more_questions_of_a_discard_sweep_are_asked_alone(job):
    asked, own = [], discard_sweep.sweep_all
    job.patch.setattr(discard_sweep, "sweep_all", lambda model, q, *rest: asked.append(q.question_id) or own(model, q, *rest))
    given = {"discards": json.dumps({"av_video": {"Audio": "audio"}}), "random": 1, "stride": 6}
    tables = []
    for first in (1, 3, 2):
        options = job.options(**given, first=first)
        for name in ("--evaluate", "--width", "--cuts"):
            del options[options.index(name) : options.index(name) + 2]
        job.patch.setattr(sys, "argv", ["discard_sweep.py", *options])
        discard_sweep.main()
        tables.append(pq.read_table(job.out).replace_schema_metadata())
    assert asked == IDS
    assert tables[1].slice(0, len(tables[0])).equals(tables[0]) and tables[1].slice(0, len(tables[2])).equals(tables[2])


@pytest.mark.slow
def test_from_the_command_line_a_changed_budget_finds_its_rows(job):
    said = process("knockout", *job.options(TWO)).stderr
    assert "0 of 2 questions were finished before\n" in said
    before = as_bytes(pq.read_table(job.out))
    job.out.unlink()  # as Snakemake does before it starts a job again
    said = process("knockout", *job.options(THREE)).stderr
    assert "0 of 2 questions were finished before; 2 more have some rows and get new ones\n" in said
    after = as_bytes(pq.read_table(job.out))
    assert kept(before, after) and len(after) == len(before) + 2 * 3


@pytest.mark.slow
def test_a_question_that_the_model_cannot_be_asked_is_left_out_everywhere_and_costs_no_later_run(job, shard, monkeypatch, capsys):
    """Yes and No take several of tiny-omni's tokens; its answers a, b, c, d and 1 to 4 take one each."""
    import evaluate

    pool = read_questions(shard / "q.jsonl")
    relabel = lambda q, labels: replace(  # noqa: E731
        q,
        options=tuple(replace(o, label=label) for o, label in zip(q.options, labels)),
        answer=labels[[o.label for o in q.options].index(q.answer)],
    )
    pool = [relabel(pool[0], "abcd"), relabel(pool[1], ("Yes", "No", "True", "False")), pool[2]]
    for name in ("q.jsonl", "e.parquet"):
        (job.folder / name).unlink()
    write_questions(pool, job.folder / "q.jsonl")

    def ask():
        job.loads = 0
        options = dict(zip(*[iter(job.options())] * 2))
        for name in ("--evaluate", "--width", "--cuts"):
            del options[name]
        options["--out"] = str(job.folder / "e.parquet")
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *(part for pair in options.items() for part in pair)])
        evaluate.main()
        return pq.read_table(job.folder / "e.parquet")

    table = ask()
    said = capsys.readouterr().err
    assert "1 of 3 questions are left out for tiny-omni:" in said
    assert f"left out: question {IDS[1]}: letter Yes is not a single token in this prompt" in said
    assert table["question_id"].to_pylist() == [IDS[0], IDS[2]]
    assert list(partial_rows.read_metadata(job.folder / "e.parquet")["left_out"]) == [IDS[1]]
    first, last = table.to_pylist()
    assert first["answer"] in "abcd" and len(first["option_logits"]) == 4 and math.isnan(first["logit_A"])
    assert max(first["option_logits"]) == first["option_logits"]["abcd".index(first["answer"])]
    assert last["option_logits"] is None and last["logit_A"] > -1e9
    assert ask()["option_logits"].equals(table["option_logits"])
    assert "3 of 3 questions were finished before" in capsys.readouterr().err, "it is remembered"

    for which in ("all", "correct", "wrong"):
        found = job.run({"routes": ["audio->question"], "questions": which, "stride": 12}, verify=2)
        asked = {"all": {IDS[0], IDS[2]}, "correct": {i["question_id"] for i in (first, last) if i["correct"]}}
        asked["wrong"] = asked["all"] - asked["correct"]
        assert {key[0] for key in found} == asked[which]
    assert job.loads <= 1
