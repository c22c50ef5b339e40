"""The workflow as a user runs it: in a fresh copy of the tracked files, with a small miniature."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from workflow_runs import planned, snakemake

from avflow.results.agreement import KEYS
from avflow.study import Study

FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "app_baseline", "app_discard_layers", "app_order", "app_pareto")

FIGURES += ("app_reliance", "app_training", "app_window", "app_world", "app_answer_probability", "app_options", "app_cumulative")

FIGURES += ("app_sufficiency", "app_failed", "app_attention_change", "app_tasks", "app_models", "app_resample", "app_free")

# What rests on knockouts through the layers that are chosen by them.
DISCARDS = ("discard_sweep", "gather_discard_sweep", "discard_layers", "pruning", "gather_pruning", "app_discard_layers")

DISCARDS += ("app_pareto", "tab4")

TABLES = ("tab1", "tab2", "tab3")

MODEL = "tiny-salmonn"  # of tests/small.yaml


@pytest.fixture(scope="module")
def everything(copy):
    """Rule -> number of its jobs in a plan of the default target."""
    return planned(snakemake(copy, "--dry-run", "--cores", "2", "--forceall").stdout)


@pytest.fixture(scope="module")
def done(copy):
    """The copy after `snakemake --cores all`."""
    run = snakemake(copy, "--cores", "2")
    assert run.returncode == 0, run.stdout[-6000:]
    return copy


def test_the_example_of_the_api_page_runs_and_its_engines_agree(done):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)
    example = example.replace("tiny-omni", MODEL)
    check = "print('difference', float((swept - full).abs().max() / full_base.abs().max()))"
    command = [sys.executable, "-c", f"{example}\n{check}"]
    run = subprocess.run(command, cwd=done, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [line[0] for line in lines] == ["none", *["audio->question"] * 12, "difference"]
    assert float(lines[-1][1]) < 1e-5 and float(lines[1][3]) == pytest.approx(float(lines[0][3]), abs=1e-4)


def test_everything_is_made_and_nothing_half_made_is_left(done):
    for name in FIGURES:
        for kind in ("pdf", "png"):
            assert (done / f"results/miniature/figures/{name}.{kind}").stat().st_size > 5000
    for name in TABLES:
        assert MODEL in (done / f"results/miniature/tables/{name}.csv").read_text()
        assert r"\bottomrule" in (done / f"results/miniature/tables/{name}.tex").read_text()
    assert "{{" not in (done / "results/miniature/explorer.html").read_text(), "the page has its data"
    assert not [p for p in (done / "results").rglob("*.part")]
    assert pq.read_table(done / "results/miniature/tables/evaluate.parquet").num_rows == 8 * 4 + 7 * 3 + 2 * 3 + 2


def test_the_small_run_shows_the_routes_that_the_world_plants(done):
    from avflow.results.effects import relative_change

    table = done / "results/miniature/tables/knockout_figure_4.parquet"
    rows = relative_change(table, {MODEL: 3}, "mini-video")
    lowest = rows.groupby(["group", "route", "centre"])["change"].mean().groupby(["group", "route"]).min()
    assert lowest["hear", "audio->question"] < -20 and lowest["see", "video->question"] < -20
    for group, route in (("hear", "video->question"), ("see", "audio->question")):
        assert lowest[group, route] > -5
    for group in ("hear", "see", "while-hear", "while-see"):
        assert lowest[group, "question->last"] < -20
        assert lowest[group, "audio->last"] > -2 and lowest[group, "video->last"] > -2


def test_every_row_carries_what_the_interface_promises(done):
    table = pq.read_table(done / "results/miniature/tables/knockout_windows.parquet").to_pandas()
    promised = (
        "question_id dataset study_split cluster setting layout task group model route style width window_start window_stop"
        " centre cut control draw n_blocked_edges removed_mass base_token logit_A logit_B logit_C logit_D logp_base logp_gold"
        " p_base_clean margin margin_clean kl answer correct_clean applicable"
    )
    assert set(promised.split()) <= set(table.columns)
    assert (table["control"] == "null").sum() == len(table[["model", "question_id"]].drop_duplicates())
    orders = pq.read_table(done / "results/miniature/tables/knockout_order_items.parquet").to_pandas()
    assert set(orders["layout"]) == {"paper_eq3", "original", "reference_first", "reference_last", "question_first"}
    assert (orders["control"] == "null").sum() == orders.groupby(["model", "question_id", "layout"]).ngroups
    assert table["removed_mass"].dropna().between(0, 1 + 1e-6).all()
    from avflow.storage.partial_rows import read_metadata

    facts = read_metadata(done / f"results/miniature/knockout/{MODEL}/mini-video/figure_4/0.parquet")
    assert {"code", "checkpoint", "versions", "device", "dtype", "seed", "plan", "seconds", "peak_bytes"} <= set(facts)


SHIPPED = [name for name in KEYS if name not in ("attention", "sufficiency")]

DIFFERENT = {  # what the miniature in small does otherwise: column -> values
    "reliance": {"variant": ["swapped"]},  # another clip's sound is drawn among all clips
    "knockout_figure_4": {"control": ["random_same"]},  # a kind of control that only the small run draws
    "pruning": {"discard": ["random"]},  # layers are chosen from fewer windows, so many plans differ
}


@pytest.mark.parametrize("name", SHIPPED)
def test_fresh_results_equal_the_shipped_tables(done, name):
    """What figures are redrawn from with tables=shipped is what this machine computes, in every row that both have."""
    fresh, shipped = (
        pq.read_table(where / f"tables/{name}.parquet").to_pandas()
        for where in (done / "results/miniature", done / "figures/shipped")
    )
    for column, other in DIFFERENT.get(name, {}).items():
        fresh = fresh[~fresh[column].isin(other)]
    both = fresh.merge(shipped, on=KEYS[name], suffixes=("", "_shipped"), validate="one_to_one")
    always = ("none", "FastV-0.5")  # other plans of discards follow from knockouts, of which the small run has fewer
    sure, found = (t[t["discard"].isin(always)] if name == "pruning" else t for t in (fresh, both))
    assert len(found) >= 0.99 * len(sure) > 0
    for column in ("logp_base", "p_base_clean", "margin", "margin_clean"):
        if f"{column}_shipped" in both:
            one, other = (both[c].to_numpy(dtype=float) for c in (column, f"{column}_shipped"))
            if column == "logp_base":
                one, other = np.exp(one), np.exp(other)
            assert np.array_equal(np.isnan(one), np.isnan(other)), column
            assert np.nanmax(np.abs(one - other), initial=0) < (0.02 if "margin" in column else 0.005), column
    one, other = (both[name].fillna("in free words") for name in ("answer", "answer_shipped"))
    assert (one == other).mean() > 0.99
    if name == "evaluate":
        replies = both.loc[both["reply_ids"].notna(), ["reply_ids", "reply_ids_shipped"]]
        assert len(replies) and all(list(mine) == list(told) for mine, told in replies.itertuples(index=False))


def test_figures_are_redrawn_from_the_shipped_tables_and_nothing_is_computed(copy):
    every = snakemake(copy, "figures", "-n", "--config", "tables=shipped", small=False)
    assert every.returncode == 0, every.stdout[-3000:]
    assert set(planned(every.stdout)) == {*FIGURES, "figures"}
    some = [f"results/shipped/figures/{name}.png" for name in ("fig4", "app_world", "app_baseline", "app_discard_layers")]
    drawn = snakemake(copy, *some, "--cores", "2", "--config", "tables=shipped", small=False)
    assert drawn.returncode == 0, drawn.stdout[-3000:]
    assert all((copy / name).stat().st_size > 20_000 for name in some)
    refused = snakemake(copy, "figures", "-n", "--config", "tables=shipped", "study=paper", small=False)
    assert refused.returncode and "tables is 'shipped', but study is 'paper'; only miniature has" in refused.stdout


def test_table_4_has_every_setting_of_every_part(done):
    video, items = (pd.read_csv(done / f"results/miniature/tables/tab4_{block}.csv") for block in ("video", "items"))
    columns = "model setting task n accuracy change ci_low ci_high flops_llm kv_bytes prefill_ms encoder_ms decode_ms_per_token"
    for block, kinds in ((video, ["Ques", "Audio", "Video"]), (items, ["Ques", "Ref", "Cand"])):
        assert list(block.columns)[:13] == columns.split()
        assert list(block.columns)[-4:] == ["n_swept", "swept_change_earlier", "swept_change", "swept_change_later"]
        for _, task in block.groupby(["part", "dataset", "task"]):
            assert list(task["setting"]) == ["none", *kinds, "All"]
            base, other = task.iloc[0], task.iloc[1:]
            assert np.allclose(other["change"], other["accuracy"] - base["accuracy"]) and np.isnan(base["change"])
            assert ((other["ci_low"] <= other["change"]) & (other["change"] <= other["ci_high"])).all()
            assert (task["flops_llm"].iloc[-1] <= task["flops_llm"]).all() and (
                task["kv_bytes"].iloc[-1] <= task["kv_bytes"]
            ).all()
            assert task["prefill_ms"].notna().all() and task["encoder_ms"].notna().all()
            assert task["layers"].iloc[-1].count("(") >= 3, "the table says by which rule"
    assert set(video["part"]) == {"knockout", "cross_task", "cross_dataset"} and set(video["dataset"]) >= {
        "mini-graded",
        "mini-fresh",
    }
    assert set(items["part"]) == {"knockout", "cross_dataset"}
    rows = pq.read_table(done / "results/miniature/tables/pruning.parquet").to_pandas()
    random, together = (rows[rows["discard"] == way].groupby("question_id") for way in ("random", "All"))
    assert (random["n_discarded"].first() == together["n_discarded"].first()).all() and (random["draw"].nunique() == 2).all()
    assert {"FastV-0.5", "VTW"} <= set(rows["discard"])
    clean = rows[rows["discard"] == "none"].set_index("question_id")["correct"]
    answers = pq.read_table(done / "results/miniature/tables/evaluate.parquet").to_pandas().set_index("question_id")["correct"]
    assert clean.loc[clean.index.intersection(answers.index)].equals(answers.loc[clean.index.intersection(answers.index)])


def test_layers_follow_the_stated_rule(done):
    from avflow.results.effects import relative_change

    layers = json.loads((done / f"results/miniature/discard_layers/{MODEL}.json").read_text())
    rows = relative_change(done / "results/miniature/tables/knockout_figure_4.parquet", {MODEL: 3}, "mini-video")
    for kind, routes in (("Audio", ["audio->question", "audio->last"]), ("Video", ["video->question", "video->last"])):
        mean = rows[rows["route"].isin(routes)].groupby(["route", "group", "centre"])["change"].mean()
        assert layers["av_video"][kind]["layer"] == mean[mean < -1].reset_index()["centre"].max()
    assert layers["items"]["VTW"]["tokens"] == "vision" and "KL" in layers["items"]["VTW"]["why"]


def test_a_second_run_has_nothing_to_do(done):
    assert "Nothing to be done" in snakemake(done, "--cores", "2").stdout


@pytest.mark.parametrize("profile", ["profiles/default", "profiles/slurm"])
def test_touching_every_source_reruns_nothing(done, profile):
    for path in done.rglob("*"):
        if path.is_file() and not {"results", "logs", ".snakemake"} & set(path.relative_to(done).parts):
            path.touch()
    run = snakemake(done, "--dry-run", "--cores", "2", "--workflow-profile", profile)
    assert "Nothing to be done" in run.stdout, run.stdout[-3000:]


def test_a_figure_is_a_target_of_its_own(copy):
    jobs = planned(snakemake(copy, "fig4", "--dry-run", "--cores", "2", "--forceall").stdout)
    assert jobs["fig4"] == 1 and "fig5" not in jobs and "app_baseline" not in jobs
    assert jobs["knockout"] == 1, "no other figure's knockouts are computed"
    assert jobs["evaluate"] == jobs["extract_features"] == jobs["gather_answers"] == 1, "nor another dataset's answers"
    listed = snakemake(copy, "--list-target-rules").stdout
    assert all(re.search(rf"^{name}\n? +\S+", listed, re.MULTILINE) for name in FIGURES + TABLES)


def test_the_open_choices_are_drawn_on_request_from_jobs_of_their_own(copy, everything):
    run = snakemake(copy, "app_sensitivity", "--dry-run", "--cores", "2", "--forceall")
    jobs = planned(run.stdout)
    assert jobs["app_sensitivity"] == jobs["gather_sensitivity"] == 1 and "gather_knockout" not in jobs
    assert jobs["knockout"] == 4, "base, other spans and other frames of clips; base of items"
    assert jobs["preprocess_media"] == 3 and jobs["extract_features"] == 2, "clips twice"
    assert jobs["extract_features_in_another_sampling"] == 1
    wanted = r"^rule knockout:.*?features/{0}/mini-video/salmonn-56px-half/0.safetensors.*?analysis=sensitivity_frames_fewer,"
    assert re.search(wanted.format(MODEL), run.stdout, re.M | re.S)
    assert "gather_sensitivity" not in everything and "app_sensitivity" not in everything


def test_conflicts_and_sinks_are_drawn_on_request_from_jobs_of_their_own(copy, everything):
    run = snakemake(copy, "app_conflict", "app_sinks", "--dry-run", "--cores", "2", "--forceall")
    jobs = planned(run.stdout)
    assert jobs["app_conflict"] == jobs["app_sinks"] == jobs["gather_conflict"] == 1
    assert jobs["conflict"] == 2 and jobs["knockout"] == 1, "two datasets, and sinks in one"
    assert jobs["extract_features"] == 2, "sinks read attention in clips and items; conflicts encode for themselves"
    assert not {"conflict", "app_conflict", "app_sinks"} & set(everything)


def test_times_and_places_are_drawn_on_request_from_a_job_of_their_own(copy, everything):
    run = snakemake(copy, "app_where", "--dry-run", "--cores", "2", "--forceall", "--printshellcmds")
    jobs = planned(run.stdout)
    assert jobs["app_where"] == jobs["gather_where"] == jobs["where"] == jobs["extract_features"] == jobs["preprocess_media"] == 1
    assert "--tokens" in run.stdout and "evaluate" not in jobs
    assert not {"where", "app_where"} & set(everything)


def same_rows(one, other):
    """Equal to the bit, where what does not apply is NaN in both."""
    return one.schema.equals(other.schema) and one.to_pandas().equals(other.to_pandas())


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text


def test_editing_a_knockout_module_reruns_only_knockouts_and_their_figures(done):
    module = done / "workflow_scripts/avflow/tracing/interventions.py"
    before = edited(module, "half = width // 2", "half = int(width) // 2")
    try:
        jobs = planned(snakemake(done, "--dry-run", "--cores", "2").stdout)
        assert jobs.keys() - {"all", "tables"} == {
            "knockout",
            "gather_knockout",
            "fig3",
            "app_order",
            "app_window",
            "fig4",
            "fig5",
            "fig6",
            "app_reliance",
            *DISCARDS,
            "claims",
            "explorer",
            "app_options",
            "app_cumulative",
            "app_failed",
            "app_tasks",
            "app_models",
            "attention",
            "gather_attention",
            "fig1",
            "fig2",
            "tab1",
            "app_answer_probability",
            "app_attention_change",
            "sufficiency",
            "gather_sufficiency",
            "app_sufficiency",
            "table_page",
            "resample",
            "gather_resample",
            "app_resample",
            "app_free",
        }
    finally:
        module.write_text(before)


@pytest.mark.parametrize(
    ("modules", "reruns"),
    [
        (["figures/miniature_pictures"], {"app_training", "app_world"}),
        (["figures/order_panels"], {"app_order"}),
        (["study", "questions/worldsense", "questions/readers"], set()),
    ],
)
def test_editing_a_module_reruns_only_what_imports_it(done, modules, reruns):
    """A figure whose notebook imports it; nothing for what the rules alone ask, or for another benchmark's reader."""
    paths = [done / f"workflow_scripts/avflow/{module}.py" for module in modules]
    before = [path.read_text() for path in paths]
    try:
        for path, text in zip(paths, before):
            path.write_text(text + "\nEDITED = True\n")
        run = snakemake(done, "--dry-run", "--cores", "2")
        jobs = planned(run.stdout) if "Job stats:" in run.stdout else {}
        assert jobs.keys() - {"all", "figures"} == reruns, run.stdout[-2000:]
    finally:
        for path, text in zip(paths, before):
            path.write_text(text)


def test_a_comment_reruns_jobs_but_keeps_their_finished_questions(done):
    module = done / "workflow_scripts/avflow/tracing/interventions.py"
    before = edited(module, "half = width // 2", "half = width // 2  # layers on either side")
    table = done / f"results/miniature/knockout/{MODEL}/mini-video/figure_4/0.parquet"
    rows = pq.read_table(table)
    try:
        run = snakemake(done, str(table.relative_to(done)), "--cores", "2")
        assert run.returncode == 0 and planned(run.stdout)["knockout"] == 1, run.stdout
        finished, asked = map(int, re.search(r"(\d+) of (\d+) questions were finished before", run.stdout).groups())
        assert finished == asked > 0
        assert same_rows(pq.read_table(table), rows)
    finally:
        module.write_text(before)
        snakemake(done, str(table.relative_to(done)), "--cores", "2")


def test_a_killed_knockout_goes_on_where_it_stopped_with_equal_rows(done):
    source = done / "results/miniature"
    out = source / "killed.parquet"
    options = dict(
        model=MODEL, family="video_salmonn", checkpoint=f"resources/{MODEL}", width=3, verify=0,
        questions=source / "questions/mini-video.jsonl", features=source / f"features/{MODEL}/mini-video/0.safetensors",
        evaluate=source / f"evaluate/{MODEL}/mini-video/0.parquet", out=out, threads=1, device="cpu",
        spans='{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}',
    )  # fmt: skip
    routes = Study.read(done / "config.yaml").cuts["figure_4"]["routes"]
    controls = {"random_same": 1, "random_other": 1}  # of tests/small.yaml, for two questions a task
    cuts = [{"routes": routes, "stride": 5}, {"routes": routes, "stride": 5, "controls": controls, "first": 2}]
    command = [sys.executable, "workflow_scripts/knockout.py", "--cuts", json.dumps(cuts)]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    side = Path(f"{out}.partial")
    process = subprocess.Popen(command, cwd=done, stderr=subprocess.DEVNULL)
    small = side.stat().st_size if side.exists() else 0
    while process.poll() is None and (not side.exists() or side.stat().st_size < small + 20000):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert side.exists() and not out.exists()
    again = subprocess.run(command, cwd=done, capture_output=True, text=True)
    finished, asked = map(int, re.search(r"(\d+) of (\d+) questions were finished before", again.stderr).groups())
    assert again.returncode == 0 and 0 < finished < asked
    assert same_rows(pq.read_table(out), pq.read_table(source / f"knockout/{MODEL}/mini-video/figure_4/0.parquet"))


def test_verification_is_recorded_and_notices_a_wrong_row(done):
    from avflow.storage.partial_rows import read_metadata

    shard = done / f"results/miniature/knockout/{MODEL}/mini-video/figure_4/0.parquet"
    facts = read_metadata(shard)
    assert facts["verified"] == 3 and facts["verified_difference"] < 1e-5 and facts["plan"]["engine"] == "sweep"
    module = done / "workflow_scripts/avflow/tracing/schedule.py"
    before = edited(module, "keys[node[0]][layer] is not None", "False")
    try:
        run = snakemake(done, str(shard.relative_to(done)), "--cores", "2")
        assert run.returncode != 0 and not shard.exists()
        assert re.search(r"error: question mini_video__\S+, route \S+, centre \d+: \S+ off the full forward; delete", run.stdout)
    finally:
        module.write_text(before)
        snakemake(done, str(shard.relative_to(done)), "--cores", "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed: 0 ", "sead: 0 "), "config.yaml: sead is unknown; known: study, tables, "),
        (("tables: fresh", "tables: published"), "config.yaml: tables is 'published', which is now called 'shipped'"),
        (("models: [tiny-omni, ", "models: [tiny-oni, "), "names 'tiny-oni', which is not defined"),
    ],
)
def test_a_bad_configuration_is_refused_before_anything_runs(copy, change, message):
    """Every mistake is tested in test_study.py; here, that Snakemake shows its line."""
    before = edited(copy / "config.yaml", *change)
    try:
        run = snakemake(copy, "--dry-run", "--cores", "2", small=False)
        assert run.returncode != 0 and message in run.stdout, run.stdout[-2000:]
    finally:
        (copy / "config.yaml").write_text(before)


def test_a_figure_that_the_study_has_not_stops_with_the_reason(copy):
    clips = {"main_model": "tiny-omni", "video": "mini-video", "items": "mini-video"}
    clips |= {"models": ["tiny-omni"], "datasets": ["mini-video"]}
    settings = ["study=clips", f"studies={json.dumps({'clips': clips})}"]
    run = snakemake(copy, "fig5", "--dry-run", "--cores", "2", "--config", *settings, small=False)
    assert run.returncode != 0 and "knockout/cuts/figure_5 names no dataset of the study clips" in run.stdout


def test_every_computing_rule_logs_and_names_its_environment(copy):
    for path in (copy / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "shell:" in rule:
                assert "\n    log:" in rule and "\n    conda:" in rule, rule.split(":")[0]
                assert '"""' in rule.split("input:")[0], f"{rule.split(':')[0]} has no docstring"


def test_a_route_naming_a_span_that_does_not_exist_stops_before_anything_runs(done):
    before = edited(done / "config.yaml", "        - audio->last\n", "        - auido->last\n")
    try:
        run = snakemake(done, "fig4", "--cores", "2", "--dry-run")
        assert run.returncode != 0
        assert "figure_4/routes has the route auido->last, which names 'auido', but setting av_video has no such" in run.stdout
        assert "Traceback" not in run.stdout
    finally:
        (done / "config.yaml").write_text(before)
