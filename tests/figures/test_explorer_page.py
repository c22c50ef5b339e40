"""The explorer's page holds the tables' values, lists what it leaves out, and uses no network.

Also tests avflow.results.explorer_data, avflow.results.explorer_maps and avflow.figures.explorer_clips.
"""

import base64
import gzip
import io
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, script
from PIL import Image

from avflow.errors import InputError
from avflow.figures import explorer_clips, explorer_page, palette
from avflow.results import effects, explorer_data, explorer_maps
from avflow.results.explorer_data import LETTERS
from avflow.storage.shard_writer import ShardWriter, room_for
from avflow.tracing import row_schemas

LIBRARY = ROOT / "resources/plotly/plotly-basic.min.js.gz"
TEMPLATE = ROOT / "report/explorer.html"
ROUTES, LAYERS, COUNT = ("video->question", "audio->question"), 6, 12


def rows_of(model, dataset="clips", seed=0, layout="paper_eq1"):
    """A knockout table of 12 questions, six clips, two groups; every third is answered wrongly, and two routes are cut.

    The cut of audio->question does not apply to the first question; nor does any in layer 0 to the second.
    """
    rng, found, empty = np.random.default_rng(seed), [], {name: None for name in row_schemas.KNOCKOUT.names}
    for number in range(COUNT):
        about = dict(
            empty, question_id=f"q{number:02}", dataset=dataset, cluster=f"c{number // 2}", setting="av_video", model=model
        )
        group = "hear" if number < 6 else "see"
        about |= dict(layout=layout, group=group, task=f"{group}{number % 3 // 2}", cut="mask", style="centred", draw=0)
        right = number % 3 > 0
        about |= dict(base_token=1, p_base_clean=0.8, correct_clean=right)
        about["margin_clean"] = 2.0 if right else -2.0
        null = dict(control="null", route="none", width=0, centre=-1, logp_base=np.log(0.8), applicable=True)
        found.append(about | null | dict(margin=about["margin_clean"]))
        found[-1]["answer"] = "A" if right else "C"
        for route in ROUTES:
            for centre in range(LAYERS):
                fits = not (number == 0 and route == "audio->question" or number == 1 and centre == 0)
                change, shift = rng.normal(-20, 30), rng.normal(0, 2)
                cut = dict(about, control="none", route=route, width=3, centre=centre, applicable=fits, answer="B")
                cut["margin"] = about["margin_clean"] + shift
                cut["logp_base"] = np.log(0.8 * max(1 + change / 100, 1e-6))
                if not fits:
                    cut |= dict.fromkeys(("margin", "logp_base"), np.nan)
                found.append(cut)
    return pd.DataFrame(found)


def write(folder, name, rows):
    """A knockout table as gather.py would write it."""
    rows.astype({"width": "int32", "centre": "int32", "draw": "int32"}).to_parquet(folder / f"knockout_{name}.parquet")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with tables, answers and questions of a study of two models, and its pages."""
    tmp_path = tmp_path_factory.mktemp("study")
    write(tmp_path, "figure_4", pd.concat([rows_of("small"), rows_of("large", seed=1)]))
    write(tmp_path, "windows", rows_of("small", seed=2))
    answers = pd.DataFrame(dict(model="small", dataset="clips", task=["hear0", "hear0", "see1"], correct=[True, False, True]))
    answers.to_parquet(tmp_path / "evaluate.parquet")
    shared = dict(dataset="clips", setting="av_video", layout_name="paper_eq1", needs="A", answer="A", correct_candidate=None)
    shared |= dict(media=[dict(id="v1", media_id="c", kind="video", role="video", path="c.mp4", index=1)], group="g", task="t")
    shared |= dict(options=[dict(label=x, text=f"<i>{x}", candidate=None) for x in "ABC"])
    shared["layout"] = [dict(seg="media", id="v1"), dict(seg="question", text="what?"), dict(seg="options")]
    lines = [json.dumps(dict(shared, question_id=f"q{n:02}", question=f"What, number {n}? </script>")) for n in range(COUNT)]
    (tmp_path / "clips.jsonl").write_text("\n".join(lines))
    explore(tmp_path, report=tmp_path / "report.html")
    return tmp_path


def files(folder):
    """What the script reads besides tables."""
    read = ["--evaluated", folder / "evaluate.parquet", "--questions", folder / "clips.jsonl"]
    return [*read, "--template", TEMPLATE, "--library", LIBRARY]


def explore(folder, *tables, check=True, out="page.html", **options):
    """Run the script as the rule does."""
    options = {"study": "mine", "draws": 200, "models": "small", **options}
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    names = [folder / f"knockout_{name}.parquet" for name in tables or ("figure_4", "windows")]
    return script("explorer", *names, *files(folder), *given, "--out", folder / out, check=check)


def parts_of(text):
    """Part -> what it holds, unpacked, of a page."""
    return {
        n: explorer_page.unpacked(t) for n, t in re.findall(r'<script type="text/plain" id="([\w-]+)">([^<]*)</script>', text)
    }


def block_of(parts, analysis, model):
    """A block as the page reads it: facts, who, values (2, C, Q, L), letters (C, Q, L), bands (2, subsets, 3, C, L), counts."""
    about = json.loads(parts["about"])
    number, facts = next((n, b) for n, b in enumerate(about["blocks"]) if (b["analysis"], b["model"]) == (analysis, model))
    shape = (len(facts["curves"]), len(facts["centres"]))
    curves, size = parts[f"{number}-curves"], len(facts["subsets"]) * 3 * shape[0] * shape[1]
    bands = [
        explorer_page.decoded(curves[4 * m * size : 4 * (m + 1) * size], q, 4) for m, q in enumerate(about["quanta"]["curves"])
    ]
    bands = np.stack(bands).reshape(2, -1, 3, *shape)
    counts = np.frombuffer(curves[8 * size :], "<u2").reshape(-1, *shape)
    if not facts["whole"]:
        return facts, None, None, None, bands, counts
    who, cuts = json.loads(parts[f"{number}-who"]), parts[f"{number}-cuts"]
    size = shape[0] * len(who["ids"]) * shape[1]
    values = [
        explorer_page.decoded(cuts[2 * m * size : 2 * (m + 1) * size], q, 2) for m, q in enumerate(about["quanta"]["questions"])
    ]
    full = (shape[0], len(who["ids"]), shape[1])
    letters = np.frombuffer(cuts[4 * size :], np.uint8).reshape(full)
    return facts, who, np.stack(values).reshape(2, *full), letters, bands, counts


def test_the_page_holds_the_values_of_the_tables_within_their_quantum(study):
    parts = parts_of((study / "page.html").read_text())
    for analysis, model in (("figure_4", "small"), ("figure_4", "large"), ("windows", "small")):
        facts, who, values, letters, _, _ = block_of(parts, analysis, model)
        rows = pd.read_parquet(study / f"knockout_{analysis}.parquet").query("model == @model")
        null = rows[rows["control"] == "null"].set_index("question_id")
        for row in rows[(rows["control"] == "none") & rows["applicable"]].to_dict("records"):
            curve = facts["curves"].index([[r["name"] for r in facts["routes"]].index(row["route"]), 0, 0])
            at = (curve, who["ids"].index(row["question_id"]), facts["centres"].index(row["centre"]))
            assert values[0][at] == pytest.approx(100 * (np.exp(row["logp_base"]) / 0.8 - 1), abs=0.0501)
            assert values[1][at] == pytest.approx(row["margin"] - row["margin_clean"], abs=0.00501)
            assert (
                LETTERS[letters[at]] == row["answer"]
                and LETTERS[who["clean"][0][at[1]]] == null.loc[row["question_id"], "answer"]
            )
            assert bool(who["correct"][0][at[1]]) == row["correct_clean"]
    texts = json.loads(parts["texts"])
    assert texts["q03"] == ["What, number 3? </script>", [[x, f"<i>{x}"] for x in "ABC"], "A"] and len(texts) == COUNT
    assert json.loads(parts["about"])["accuracy"] == {"small": {"clips": {"hear0": [1, 2], "see1": [1, 1]}}}


def test_letters_of_any_label_come_back_from_the_page():
    rows = rows_of("small").replace({"answer": {"A": "E", "B": "No", "C": "7"}})
    gold = {name: "E" for name in rows["question_id"]}
    rows = rows.astype({"width": "int32", "centre": "int32", "draw": "int32"})
    sink = io.BytesIO()
    rows.to_parquet(sink)
    (block,) = explorer_data.read_blocks(pa.BufferReader(sink.getvalue()), "figure_4", gold)
    assert {LETTERS[i] for i in block.answer[block.answer >= 0]} == {"No"}
    assert {LETTERS[i] for i in block.clean[0]} == {"E", "7"}
    assert LETTERS[:4] == ("A", "B", "C", "D") and len(LETTERS) < 128, "codes are int8, and A to D keep theirs"


def test_what_does_not_apply_is_missing_and_never_zero(study):
    facts, who, values, letters, bands, counts = block_of(parts_of((study / "page.html").read_text()), "figure_4", "small")
    audio = [r["name"] for r in facts["routes"]].index("audio->question")
    assert np.isnan(values[:, audio, 0]).all() and (letters[audio, 0] == 255).all(), "the route in question 0"
    assert np.isnan(values[:, :, 1, 0]).all() and (letters[:, 1, 0] == 255).all(), "layer 0 in question 1"
    missing = np.isnan(values[0]).sum()
    assert missing == LAYERS + 2 and (letters == 255).sum() == missing
    everything = next(n for n, s in enumerate(facts["subsets"]) if (s["kind"], s["population"]) == ("all", "all"))
    assert counts[everything, audio].tolist() == [10, 11, 11, 11, 11, 11]
    assert bands[0, everything, 0, audio] == pytest.approx(np.nanmean(values[0, audio], 0), abs=0.06)


def test_curves_and_bands_are_those_of_the_figures(study):
    facts, _, _, _, bands, _ = block_of(parts_of((study / "page.html").read_text()), "figure_4", "small")
    rows = effects.relative_change(study / "knockout_figure_4.parquet", {"small": 3}, "clips")
    for group in ("hear", "see"):
        subset = next(n for n, s in enumerate(facts["subsets"]) if (s["name"], s["population"]) == (group, "correct"))
        for curve, (route, _, _) in enumerate(facts["curves"]):
            here = rows[(rows["group"] == group) & (rows["route"] == facts["routes"][route]["name"])]
            drawn = effects.pointwise(here, 200, 0)
            for part, wanted in zip(bands[0, subset, :, curve], (drawn.mean, drawn.low, drawn.high)):
                assert part == pytest.approx(wanted, abs=0.0051)


def test_a_reader_can_choose_groups_tasks_and_how_a_question_was_answered(study):
    facts, *_, counts = block_of(parts_of((study / "page.html").read_text()), "figure_4", "small")
    chosen = {(s["kind"], s["name"], s["population"]): counts[n].max() for n, s in enumerate(facts["subsets"])}
    assert chosen["all", "", "correct"] == 8 and chosen["all", "", "wrong"] == 4 and chosen["all", "", "all"] == 12
    assert chosen["group", "hear", "correct"] == 4 and chosen["task", "see1", "all"] == 2
    assert [r["label"] for r in facts["routes"]] == ["Video ↛ Question", "Audio ↛ Question"]
    assert [r["colour"] for r in facts["routes"]] == [palette.PURPLE.lower(), palette.BLUE.lower()]


def test_equal_tables_give_equal_bytes_and_a_report_where_all_fits_the_same_page(study):
    first = (study / "page.html").read_bytes()
    explore(study, out="again.html")
    assert first == (study / "again.html").read_bytes() == (study / "report.html").read_bytes()
    assert not list(study.glob("*.part"))


def test_orders_of_the_prompt_keep_their_own_uncut_answers(tmp_path):
    other = rows_of("small", layout="question_first", seed=3)
    null = other["control"] == "null"
    other.loc[null, ["answer", "correct_clean"]] = ["B", False]
    write(tmp_path, "order_video", pd.concat([other, rows_of("small")]))
    (block,) = explorer_data.read_blocks(
        tmp_path / "knockout_order_video.parquet", "order_video", {f"q{n:02}": "A" for n in range(COUNT)}
    )
    assert block.layouts == ["paper_eq1", "question_first"] and (block.clean[1] == 1).all() and not block.correct[1].any()
    facts = explorer_page.prepare(block, 20, 0).facts
    assert sorted(facts["variants"]) == ["order paper_eq1", "order question_first"] and facts["population"] == "all"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda rows: rows.drop(columns="p_base_clean"),
            "figure_4.parquet: has no column p_base_clean; delete it and make it again",
        ),
        (
            lambda rows: rows.replace("q03", "q99"),
            "question q99 (1 in all) is in none of the question files; give its dataset's",
        ),
        (lambda rows: rows[1:], "question q00 of small has no uncut row; delete"),
        (
            lambda rows: pd.concat([rows, rows[5:6]]),
            "two rows of one cut (route video->question, centre 4, question q00 of small)",
        ),
    ],
)
def test_a_bad_table_is_named_with_the_remedy(tmp_path, spoil, message):
    write(tmp_path, "figure_4", spoil(rows_of("small")))
    with pytest.raises(InputError, match=re.escape(message)):
        explorer_data.read_blocks(tmp_path / "knockout_figure_4.parquet", "figure_4", {f"q{n:02}": "A" for n in range(COUNT)})


def test_another_table_and_too_small_a_budget_are_refused_in_one_line(study):
    done = script("explorer", study / "evaluate.parquet", *files(study), "--study", "x", "--out", study / "no.html", check=False)
    wanted = f"error: {study}/evaluate.parquet: not a table of knockouts; give files named knockout_<analysis>.parquet\n"
    assert done.returncode == 2 and done.stderr == wanted
    done = explore(study, "windows", check=False, budget=1000, out="no.html")
    last = done.stderr.splitlines()[-1]
    assert (
        done.returncode == 2
        and last == "error: the explorer's page does not fit into 1000 bytes; raise --budget, or give fewer tables"
    )
    assert not (study / "no.html").exists()


# Maps of clips.

FRAMES = np.zeros((8, 3, 20, 40), np.uint8)
FRAMES[4:, 0] = 200  # red from 2 s on


def where_rows(model, name, right=True):
    """A clip of 4 s: two slices of the sound and of the pictures, and two tiles in each. Each part and layer has its own loss."""
    shared = dict(model=model, dataset="clips", question_id=name, cluster="c", task="t", group="g", correct_clean=right)
    shared |= dict(applicable=True, cut="mask", control="none", p_base_clean=0.5)
    found, boxes = [], {"": (None,) * 4, "_0_0": (0, 0, 0.5, 1), "_0_1": (0.5, 0, 1, 1)}
    parts = [("audio.time", i, "") for i in (0, 1)] + [("video.time", i, "") for i in (0, 1)]
    parts += [("video.cell", i, tile) for i in (0, 1) for tile in ("_0_0", "_0_1")]
    for number, (source, i, tile) in enumerate(parts):
        part = dict(zip(("left", "top", "right", "bottom"), boxes[tile]), source=source, part=f"{source}_{i}{tile}")
        part |= dict(start=2.0 * i, stop=2.0 * i + 2, route=f"{source}_{i}{tile}->question")
        for style, centre in (("top_down", 0), ("centred", 0), ("centred", 3)):
            for alone in (True, False):
                change = -10 * number - centre - (style == "top_down") if alone else -0.5
                cut = {"style": style, "centre": centre, "alone": alone, "logp_base": np.log(0.5 * (1 + change / 100))}
                found.append({**shared, **part, **cut})
    return [{**dict.fromkeys(row_schemas.WHERE.names), **row} for row in found]


@pytest.fixture(scope="module")
def mapped(study):
    """The pages of the study with maps of two questions of one model, and of one question of the other."""
    rows = (
        where_rows("small", "q03") + where_rows("small", "q04") + where_rows("large", "q03") + where_rows("small", "q05", False)
    )
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.WHERE), study / "where.parquet")
    tensors = {"c/frames": FRAMES, "c/audio": np.sin(np.arange(64000) / 5).astype(np.float32)}
    with ShardWriter(study / "frames.safetensors", room_for(tensors), {}) as shard:
        for name, tensor in tensors.items():
            shard.add(name, tensor)
    explore(study, maps=study / "where.parquet", frames=study / "frames.safetensors", out="mapped.html")
    return parts_of((study / "mapped.html").read_text())


def picture(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_page_holds_the_map_of_every_question_that_has_one(mapped):
    about = json.loads(mapped["about"])
    assert {model: set(ids) for model, ids in about["maps"].items()} == {"small": {"q03", "q04"}, "large": {"q03"}}
    map_ = json.loads(mapped[f"map-{about['maps']['large']['q03']}"])
    assert map_["clip"] == about["maps"]["small"]["q03"], "both models show the same pictures"
    assert map_["targets"] == ["question"] and map_["layers"] == [0, 3] and map_["seconds"] == 4
    assert map_["parts"][0] == ["audio.time", 0, 2, None, None, None, None] and map_["parts"][7] == [
        "video.cell",
        2,
        4,
        0.5,
        0,
        1,
        1,
    ]
    change = np.array(map_["alone"]) * map_["quantum"]
    assert np.array(map_["without"]) * map_["quantum"] == pytest.approx(np.full((1, 8, 3), -0.5), abs=0.11)
    assert (
        change.shape == (1, 8, 3)
        and change[0, 0] == pytest.approx([-1, 0, -3])
        and change[0, 7] == pytest.approx([-71, -70, -73])
    )


def test_the_pictures_of_a_map_are_its_clips_in_time_and_small(mapped, study):
    clip = json.loads(mapped[f"clip-{json.loads(mapped['about'])['maps']['small']['q04']}"])
    frames = picture(clip["frames"])
    assert frames.shape == (72, 2 * 144, 3) and frames[:, :140].max() < 20 and frames[:, 148:, 0].min() > 180
    sound = picture(clip["sound"])
    assert sound.shape == (64, 400) and sound[:, 200].argmin() > 48, "a tone of 509 Hz is dark, near the bottom"
    assert clip["events"] == [] and len(mapped[f"clip-{0}"]) < 30_000
    assert explorer_clips.strip(FRAMES, [(0.0, 4.0)], 4.0).startswith("data:image/jpeg")


def test_maps_take_a_share_of_the_page_and_what_is_left_out_is_said(mapped, study):
    maps = explorer_maps.maps_of(study / "where.parquet", ["small", "large"], ["q03", "q04"])
    assert [(m.model, m.question_id, m.times) for m in maps] == [
        (*of, [[0, 2], [2, 4]]) for of in (("small", "q03"), ("small", "q04"), ("large", "q03"))
    ]
    clips = {"q03": {"events": []}, "q04": {"events": [], "frames": "x" * 10}}
    parts, known = explorer_page._map_parts(maps, clips, 10_000)
    assert known == {"small": {"q03": 0, "q04": 1}, "large": {"q03": 2}} and set(parts) == {
        "clip-0",
        "clip-1",
        "map-0",
        "map-1",
        "map-2",
    }
    few, some = explorer_page._map_parts(maps, clips, len(parts["clip-0"]) + len(parts["map-0"]))
    assert some == {"small": {"q03": 0}} and set(few) == {"clip-0", "map-0"}
    assert explorer_page.left_out({"figure_4": explorer_page.WHOLE}, 1.0, 10**6, 2)[0] == "Left out: 2 maps of clips."
    assert not json.loads(parts_of((study / "page.html").read_text())["about"])["maps"], "no table, no map"


def synthetic(analysis, model, routes, questions, layers, rng):
    """A block as large as wanted: a tenth of the cells with large effects, noise of a half-precision model in the others."""
    shape = (routes, questions, layers)
    change = np.where(rng.random(shape) < 0.1, rng.uniform(-100, 5, shape), rng.normal(0, 1, shape)).astype(np.float32)
    answer = np.where(rng.random(shape) < 0.05, rng.integers(4, size=shape), 0).astype(np.int8)
    ids = np.array([f"{'clips' if analysis < 'figure_5' else 'items'}_{n:04}" for n in range(questions)])
    groups = np.array(["ABCDE"[n % 5] for n in range(questions)])
    names = [dict(zip(explorer_data.CURVE, ("paper", "centred", 7, "mask", "none", 0, f"a->b{n}"))) for n in range(routes)]
    clean = np.zeros((1, questions), dtype=np.int8)
    tasks = np.char.add(groups, (np.arange(questions) % 3).astype(str))
    facts = (ids, ids, tasks, groups, names, np.arange(layers), ["paper"], clean, clean + 1)
    return explorer_data.Block(analysis, model, "d", *facts, change, rng.normal(0, 0.3, shape).astype(np.float32), answer)


@pytest.fixture(scope="module")
def paper():
    """Blocks of the size of the paper's study, prepared, and the texts of its questions."""
    rng = np.random.default_rng(0)
    sizes = {"figure_3": (3, 1150), "figure_4": (8, 1150), "figure_5": (7, 500), "figure_6": (8, 500), "windows": (18, 300)}
    blocks = [synthetic(a, m, *of, layers, rng) for m, layers in zip("abcd", (36, 28, 36, 28)) for a, of in sizes.items()]
    words = np.array(["".join(rng.choice(list("aeinorst"), 6)) for _ in range(2000)])
    names = sorted({i for block in blocks for i in block.questions.tolist()})
    texts = {i: [" ".join(rng.choice(words, 16)), [[x, " ".join(rng.choice(words, 3))] for x in "ABCD"], "A"] for i in names}
    return [explorer_page.prepare(block, 5, 0) for block in blocks], texts


ABOUT = {"study": "paper", "models": list("abcd"), "accuracy": {}, "draws": 5, "seed": 0}


@pytest.mark.slow
def test_the_papers_study_fits_into_ten_megabytes(paper):
    prepared, texts = paper
    main = sum(p.block.change.size for p in prepared if p.block.analysis in explorer_page.FIGURES)
    assert main > 2_500_000
    text = explorer_page.page(TEMPLATE.read_text(), LIBRARY.read_bytes(), prepared, texts, ABOUT, explorer_page.FULL)
    assert len(text.encode()) < 10_000_000
    about = json.loads(parts_of(text)["about"])
    assert about["share"] == 1 and all(b["whole"] for b in about["blocks"] if b["analysis"] in explorer_page.FIGURES)


@pytest.mark.slow
def test_a_smaller_page_leaves_out_in_the_stated_order_and_says_so(paper):
    prepared, texts = paper
    text = explorer_page.page(
        TEMPLATE.read_text(), LIBRARY.read_bytes(), prepared, texts, ABOUT, explorer_page.REPORT, "More is elsewhere."
    )
    assert len(text.encode()) <= explorer_page.REPORT
    parts = parts_of(text)
    about = json.loads(parts["about"])
    assert {b["analysis"] for b in about["blocks"]} == set(explorer_page.FIGURES), "other analyses go first"
    said = " ".join(about["left_out"])
    assert "Left out: Appendix E: width of the window." in said and said.endswith("More is elsewhere.")
    assert (
        about["share"] < 1 and f"lists {100 * about['share']:.3g} % of the questions behind the curves, chosen at random" in said
    )
    who = {(b["analysis"], b["model"]): json.loads(parts[f"{n}-who"])["ids"] for n, b in enumerate(about["blocks"]) if b["whole"]}
    assert who["figure_4", "a"] == who["figure_4", "d"] == who["figure_3", "b"], "the same questions of every model"
    assert set(json.loads(parts["texts"])) == {i for ids in who.values() for i in ids}
    steps = [levels | {"share": share} for levels, share in explorer_page.plans(["figure_4", "windows", "value_zero"])]
    assert [s["value_zero"] for s in steps[:5]] == [2, 1, 1, 0, 0] and [s["windows"] for s in steps[:5]] == [2, 2, 1, 1, 0]
    assert all(s["figure_4"] == 2 for s in steps[:-1]) and steps[-1]["figure_4"] == 1 and steps[5]["share"] == 0.5


def test_codes_come_back_within_half_a_quantum_and_clipped_at_the_ends():
    values = np.array([0.0, -0.04, 0.06, -100.0, 12.34, np.nan, 4000.0, -4000.0, 3276.7])
    back = explorer_page.decoded(explorer_page.encoded(values, 0.1, 2), 0.1, 2)
    assert np.isnan(back[5]) and back[6:8] == pytest.approx([3276.7, -3276.7]) and back[8] == pytest.approx(3276.7)
    assert np.abs(back[:5] - values[:5]).max() <= 0.05 + 1e-9


def test_the_page_uses_no_network(study):
    text = re.sub(r'<script type="text/plain" id="[\w-]+">[^<]*</script>', "", (study / "page.html").read_text())
    assert not re.search(
        r"https?:|//[a-z0-9-]+\.[a-z]{2,}/|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text
    )
    assert not re.search(r"\b(src|srcset|href|action|poster)\s*=", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none';") and "http" not in policy and "form-action 'none'" in policy
    assert "{{" not in text and str(study) not in text
    assert 'modeBarButtons: [["toImage"]]' in text, "no button of plotly.js that sends a figure to a server"


def test_the_library_is_the_version_that_is_named_and_comes_with_its_licence():
    head = gzip.decompress(LIBRARY.read_bytes())[:300].decode()
    version = re.search(r"plotly\.js \(basic - minified\) v([\d.]+)", head)[1]
    assert f"plotly.js-basic-dist-min@{version}" in (ROOT / "CONTRIBUTING.md").read_text() and "MIT license" in head
    assert "MIT" in (ROOT / "resources/plotly/LICENSE").read_text()


def test_an_empty_table_gives_no_block(tmp_path):
    write(tmp_path, "failed", rows_of("small")[:0])
    assert explorer_data.read_blocks(tmp_path / "knockout_failed.parquet", "failed", {}) == []
    with pytest.raises(InputError, match="has no column"):
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "knockout_x.parquet")
        explorer_data.read_blocks(tmp_path / "knockout_x.parquet", "x", {})
