"""The paper's numbers, typed here a second time from its tables and figures, equal the shipped files.

Also tests avflow.results.task_groups.
"""

import math
import re

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from avflow.errors import InputError
from avflow.figures import attention_panels
from avflow.results import claims, published, task_groups
from avflow.tracing.interventions import Route

FOLDER = ROOT / "resources/published"

CURVES, ATTENTION = FOLDER / "curves.csv", FOLDER / "attention.csv"

MODEL = "qwen2.5-omni-3b"

DATA = {"figure_3": "av_speakerbench", "figure_4": "av_speakerbench", "figure_5": "av_odyssey", "figure_6": "av_odyssey"}

GROUPS = {
    "av_speakerbench": [
        "visual_recognition",
        "speech_attributes",
        "speech_recognition",
        "speaker_recognition",
        "speaker_detection",
    ],
    "av_odyssey": ["I2A", "A2I"],
}

WINDOW = 7

# Change in % @ centres of the windows; .. is a range, none is not stated, several stand behind commas. Read by eye.
FIGURE_3 = """
                     cross_frame  cross_audio_segment  audio<->video
visual_recognition   -8@14..16    -1@                  -4@17..20
speech_attributes    -11@14       -2@                  -2@
speech_recognition   -9.5@17      -5@15                -10.5@17
speaker_recognition  -11@14..16   -3@15                -5.5@17
speaker_detection    -5.5@15      -2@14                -8.5@18..19
all                  0@25..35     0@25..35             0@25..35
"""

FIGURE_4 = """
                     video->question          audio->question        question->last   video->last  audio->last
visual_recognition   -38@20                   -6@18..20              -40..-35@24..30  -2..2@0..35  -2..2@0..35
speech_attributes    -39@20                   0@0..35                -34..-30@24..30  -2..2@0..35  -2..2@0..35
speech_recognition   -10@18..20               -30@19..20,-7..-6@2..8 -46..-42@24..30  -2..2@0..35  -2..2@0..35
speaker_recognition  -31@19..20               -10@19                 -33..-28@24..30  -2..2@0..35  -2..2@0..35
speaker_detection    -6.5@19                  -13@20                 -40..-36@24..30  -2..2@0..35  -2..2@0..35
all                  @10,@14,@16,0@27..35     -                      -3@31            -            -
"""

FIGURE_5 = """
                       I2A                A2I
cross_candidate        -31@15..18,-12@3   -40@16
candidates->reference  -25@16..22         -35@19..22,-14@23..24
question->reference    -21@16..19         -27@17
candidates->question   -9@11..12          -4.5@16
reference->last        -11@23..29         -7.5@23..29
candidates->last       2.5@24..30         3@24..30
question->last         1@                 1@
"""

FIGURE_6 = """
                                      I2A                   A2I
correct_candidate->correct_option     -23@18..24            -41@18..24
incorrect_candidates->correct_option  -3@18,5@22..25        -13@18..23
reference->correct_option             7@18..19,-8@25        -12..-11@19..26
question->correct_option              -4.5@15               3@21
correct_option->last                  -16@30..34            -10@30..34
incorrect_options->last               -6@24..28,13@30..34   -9@24..28,7.5@30..34
correct_candidate->last               0@0..35               0@0..35
incorrect_candidates->last            2@                    3.5@24..28
"""

TABLE_1 = {"none": 42.24, "video->last": 42.24, "video->text": 42.31, "media->text": 42.52}

TABLE_4_VIDEO = """
      speech_recognition visual_recognition visual_counting speech_counting video_emotions audio_change prefill_ms
none  50.25 46.58 43.9  26.39 66.67 42.22 2288.65
Ques  50.25 46.83 44.39 26.39 66.67 40.00 2279.97
Audio 50.25 47.55 44.39 26.74 66.67 40.00 2232.45
Video 50.75 46.10 43.9  26.74 66.67 40.00 2098.75
All   49.75 46.59 42.93 26.04 66.67 42.22 2089.47
"""

TABLE_4_ITEMS = """
      animal/A2I animal/I2A bird/A2I bird/I2A transportation/A2I transportation/I2A prefill_ms
none  61.00 38.00 29.41 33.67 46.67 23.16 558.75
Ques  62.00 38.00 30.39 34.69 44.76 24.21 550.41
Ref   63.00 40.00 29.41 33.67 46.67 25.26 552.11
Cand  63.00 39.00 32.35 31.63 47.62 25.26 533.07
All   63.00 38.00 32.35 33.67 46.67 24.21 530.62
"""


def cells(text):
    """(row, column) -> cell of a table written as above."""
    head, *lines = text.strip().splitlines()
    for name, *values in map(str.split, lines):
        yield from (((name, column), value) for column, value in zip(head.split(), values, strict=True))


def limits(text):
    """ "-40..-35" -> (-40, -35), "3" -> (3, 3), "" -> (None, None)."""
    ends = [float(x) for x in text.split("..")] if text else [None]
    return ends[0], ends[-1]


def typed(figure, text):
    """The rows of a table above as curves.csv has them: (figure, group, route, change low, high, first, last)."""
    for (row, column), cell in cells(text):
        group, route = (row, column) if DATA[figure] == "av_speakerbench" else (column, row)
        for entry in cell.split(",") if cell != "-" else ():
            change, centres = map(limits, entry.split("@"))
            for one in GROUPS[DATA[figure]] if group == "all" else [group]:
                yield figure, one, route, *change, *centres


def every_curve():
    return pd.concat([published.curves(CURVES, dataset, MODEL) for dataset in GROUPS])


@pytest.mark.parametrize(
    ("figure", "text"), [("figure_3", FIGURE_3), ("figure_4", FIGURE_4), ("figure_5", FIGURE_5), ("figure_6", FIGURE_6)]
)
def test_the_curves_are_those_of_the_figures(figure, text):
    rows = published.curves(CURVES, DATA[figure], MODEL)
    rows = rows.loc[rows["figure"] == figure, ["figure", "group", "route", "change_low", "change_high", "first", "last"]]
    written = [tuple(None if x != x else x for x in row) for row in rows.itertuples(index=False)]
    assert len(written) == len(set(written))
    assert set(written) == set(typed(figure, text))


def test_the_attention_is_that_of_figure_1():
    rows = published.attention(ATTENTION, "av_speakerbench", MODEL)
    written = rows[["class", "first", "last", "share_low", "share_high"]].to_numpy().tolist()
    assert written == [["video", 30, 30, 0.01, 0.01], ["video", 31, 35, 0.06, 0.09], ["last", 0, 0, 0.38, 0.38]]
    assert set(rows["class"]) <= set(attention_panels.CLASSES) and set(rows["figure"]) == {"figure_1"}


def test_the_maskings_are_those_of_table_1():
    rows = published.read(FOLDER / "masking.csv")
    assert dict(zip(rows["setting"], rows["accuracy"].astype(float))) == TABLE_1
    assert (rows["dataset"] == "av_speakerbench").all() and (rows["n"] == "3212").all()
    answers = rows["accuracy"].astype(float) * 3212 / 100
    assert [math.ceil(n) for n in answers] == [1357, 1357, 1359, 1366], "the percentages are cut, not rounded"


@pytest.mark.parametrize(("text", "dataset"), [(TABLE_4_VIDEO, "av_speakerbench"), (TABLE_4_ITEMS, "av_odyssey")])
def test_the_discards_are_those_of_table_4(text, dataset):
    rows = published.read(FOLDER / "table_4.csv")
    rows = rows[(rows["dataset"] == "av_odyssey") == (dataset == "av_odyssey")]
    found = {}
    for row in rows.to_dict("records"):
        both = f"{row['task']}/{row['group']}"
        name = both if row["group"] in ("A2I", "I2A") else row["group"] if row["task"] == "*" else row["task"]
        assert row["dataset"] == ("worldsense" if name in ("video_emotions", "audio_change") else dataset)
        timed = name == "all"
        assert row["accuracy" if timed else "prefill_ms"] == ""
        found[row["discard"], "prefill_ms" if timed else name] = float(row["prefill_ms" if timed else "accuracy"])
    assert found == {key: float(value) for key, value in cells(text)} and len(found) == len(rows)


def test_table_4s_baseline_is_the_published_accuracy():
    rows = published.read(FOLDER / "accuracy.csv")
    rows = rows[rows["source"].str.startswith("arXiv 2606.10147")]
    known = {**dict(cells(TABLE_4_VIDEO)), **dict(cells(TABLE_4_ITEMS))}
    for row in rows[rows["level"] != "all"].to_dict("records"):
        name = row["group"] if row["task"] == "*" else row["task"] + (f"/{row['group']}" if row["group"] != "*" else "")
        assert float(row["accuracy"]) == float(known["none", name])
    assert rows[rows["level"] == "all"]["accuracy"].tolist() == [str(TABLE_1["none"])]


def test_the_layers_of_tables_1_and_4_are_configured():
    model = yaml.safe_load((ROOT / "config.yaml").read_text())["models"][MODEL]
    assert model["discard_layers"]["av_video"] == {"Ques": 29, "Audio": 26, "Video": 26}
    assert model["discard_layers"]["items"] == {"Ques": 29, "Ref": 31, "Cand": 25}
    assert model["masked_layers"] == [31, 35]


def test_every_curve_has_a_route_that_its_figure_cuts_and_a_group_of_its_dataset():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    tasks = set(published.read(FOLDER / "tasks.csv")["task"])
    for row in every_curve().to_dict("records"):
        assert str(Route.parse(row["route"])) == row["route"]
        assert row["route"] in config["knockout"]["cuts"][row["figure"]]["routes"]
        assert row["dataset"] == DATA[row["figure"]] and row["group"] in task_groups.TITLES
        if row["dataset"] == "av_speakerbench":
            assert row["group"] in config["datasets"]["av_speakerbench"]["groups"] or row["group"] in tasks
        else:
            assert row["group"] in published.read(FOLDER / "table_4.csv")["group"].tolist()
    for figure, dataset in DATA.items():
        rows = every_curve()
        rows = rows[rows["figure"] == figure]
        drawn = config["knockout"]["cuts"][figure]["routes"]
        wanted = {(group, route) for group in GROUPS[dataset] for route in drawn}
        assert set(zip(rows["group"], rows["route"])) == wanted, "every curve that the figure shows has a row"


@pytest.mark.parametrize(
    "route", ["cross_frame", "cross_audio_segment", "cross_candidate", "a->b", "audio<->video", "o.letter->x_1"]
)
def test_a_route_is_read_as_a_cut_reads_it(route):
    assert published.ROUTE.fullmatch(route) and Route.parse(route)


@pytest.mark.parametrize("route", ["", "video", "video=>last", "cross_word", "video->", "a->b->c", "<->video"])
def test_a_route_is_refused_as_a_cut_refuses_it(route):
    assert not published.ROUTE.fullmatch(route)
    with pytest.raises(InputError):
        Route.parse(route)


def test_the_kinds_fit_their_numbers():
    rows = every_curve()
    assert set(rows["kind"]) == set(published.KINDS)
    assert (rows.loc[rows["kind"].isin(["minimum", "plateau", "dip", "shoulder"]), "change_high"] < 0).all()
    assert (rows.loc[rows["kind"] == "maximum", "change_low"] > 0).all()
    nothing = rows[rows["kind"] == "near_zero"]
    assert (nothing["change_low"] == -nothing["change_high"]).all() and (nothing["change_high"] <= 2).all()
    for _, curve in rows.groupby(["figure", "group", "route"]):
        lowest = curve.loc[curve["kind"].isin(["minimum", "plateau"]), "change_low"]
        assert len(lowest) <= 1
        lesser = curve.loc[curve["kind"].isin(["dip", "shoulder"]), "change_low"]
        assert not len(lesser) or lesser.min() > lowest.min()


def test_the_curves_lie_in_the_models_layers_and_on_the_figures_axes():
    rows = every_curve()
    stated = rows.dropna(subset=["first"])
    assert (stated["first"] % 1 == 0).all() and (stated["last"] % 1 == 0).all()
    assert stated["first"].min() >= 0 and stated["last"].max() <= 35
    for figure, (low, high) in {"figure_3": (-16, 3), "figure_4": (-50, 3)}.items():
        assert rows.loc[rows["figure"] == figure, ["change_low", "change_high"]].stack().dropna().between(low, high).all()


def test_a_plateau_of_one_layer_is_as_wide_as_the_window():
    rows = every_curve()
    rows = rows[rows["kind"] == "plateau"]
    middles = {"question->last": 27, "reference->last": 26, "correct_candidate->correct_option": 21, "correct_option->last": 33}
    assert set(rows["route"]) == set(middles)
    for row in rows.to_dict("records"):
        first, last = (middles[row["route"]] + side * (WINDOW // 2) for side in (-1, 1))
        assert row["first"] == first and row["last"] <= last
        assert row["last"] == last or "reaches layer 34 or beyond" in row["note"]
        assert row["last"] - row["first"] + 1 <= WINDOW


def middle(rows):
    """Change halfway between its limits, by row."""
    return (rows["change_low"] + rows["change_high"]) / 2


def centre(rows, route, extreme="idxmin"):
    """The middle of the centres at which a route's curve is lowest, or highest."""
    rows = rows[rows["route"] == route]
    return rows.loc[getattr(middle(rows), extreme)(), ["first", "last"]].mean()


def shown(claim, rows):
    """The number that a claim's measure finds in the published curves of one group."""
    rows = rows[rows["figure"] == claim.get("analysis", "figure_4")]
    if claim["measure"].startswith("depth_of"):
        return centre(rows, claim["route"], {"depth_of_fall": "idxmin", "depth_of_rise": "idxmax"}[claim["measure"]]) / LAST
    first, last = (depth * LAST for depth in claim.get("depths", (-math.inf, math.inf)))
    outside = (rows["first"] > last) | (rows["last"] < first) | (rows["first"].isna() & ("depths" in claim))
    routes = claim["route"] if isinstance(claim["route"], list) else [claim["route"]]
    changes = middle(rows[rows["route"].isin(routes) & ~outside]).dropna()
    assert len(changes), "there is a row about it"
    assert claim["measure"] != "lowest" or changes.min() <= 0, "a curve that begins at 0 has no lowest above it"
    of = {"lowest": changes.min, "highest": changes.max, "mean": changes.mean, "largest": lambda: changes[changes.abs().idxmax()]}
    return of[claim["measure"]]()


def found(claim):
    """The same over a claim's groups: the mean of all, or the value farthest from 0 of those in a list."""
    data = {"video": "av_speakerbench", "items": "av_odyssey"}[claim.get("data", "video")]
    assert DATA[claim.get("analysis", "figure_4")] == data
    rows, group = published.curves(CURVES, data, MODEL), claim.get("group", "all")
    groups = {"all": GROUPS[data]}.get(group, [group]) if isinstance(group, str) else group
    values = [shown(claim, rows[rows["group"] == one]) for one in groups]
    return sum(values) / len(values) if group == "all" else max(values, key=abs)


PAPER, LAST = claims.read(ROOT / "resources/claims/paper.yaml"), 35

OF_CURVES = [claim for claim in PAPER if "route" in claim and claim["paper"] is not None]


@pytest.mark.parametrize("claim", OF_CURVES, ids=[claim["claim"] for claim in OF_CURVES])
def test_a_findings_value_is_that_of_the_curves(claim):
    value = found(claim) - (found({**claim, **claim["than"]}) if "than" in claim else 0)
    exact = 0.5 if claim.get("group") == "all" else 0.005 if claim["measure"].startswith("depth_of") else 1e-9
    assert claim["paper"] == pytest.approx(value, abs=exact), "of all groups the mean, rounded; of depths two digits"
    low, high = claims.bounds(claim["expected"])
    assert low <= claim["paper"] <= high


def test_what_the_paper_does_not_show_has_no_value():
    unknown = [claim for claim in PAPER if claim["paper"] is None]
    (claim,) = (claim for claim in unknown if "route" in claim and claim.get("analysis") != "sinks")
    rows = published.curves(CURVES, "av_odyssey", MODEL)
    assert claim["measure"] == "lowest" and set(rows.loc[rows["route"] == claim["route"], "kind"]) == {"maximum"}
    assert {claim["measure"] for claim in unknown} == {"lowest", "sinks", "discarded_accuracy", "removed", "largest"}


def test_a_finding_that_the_paper_states_for_its_main_model_alone_names_it():
    main = [claim for claim in PAPER if "models" in claim]
    assert len(main) >= 8 and all(claim["models"] == ["qwen2.5-omni-3b"] for claim in main)
    sizes = [claim for claim in PAPER if "+-" in str(claim["expected"]) or claim["measure"] in ("accuracy", "attention")]
    assert len(sizes) == 4 and all(claim in main for claim in sizes)


def test_every_finding_of_the_paper_has_a_rule():
    sources = {claim["source"] for claim in PAPER}
    assert {"Finding 1", "Finding 2", "Finding 3", "Finding 4", "Section 4.2", "Table 1", "Table 4"} <= sources
    assert {f"Figure {number}" for number in (1, 3, 4, 5, 6)} <= sources


def test_attention_to_video_rises_by_what_figure_1_shows():
    (claim,) = (claim for claim in PAPER if claim["measure"] == "attention")
    rows = published.attention(ATTENTION, "av_speakerbench", MODEL)
    before, after = 100 * rows.loc[rows["class"] == "video", ["share_low", "share_high"]].mean(axis=1)
    assert claim["paper"] == pytest.approx(after - before)
    assert [depth * LAST for depth in claim["depths"]] == pytest.approx([31, 35], abs=0.1)
    assert [depth * LAST for depth in claim["than"]["depths"]] == pytest.approx([30, 30], abs=0.1)


WORLDSENSE = ("video_emotions", "audio_change")


def is_of(claim, task):
    """Whether a claim about discards is about a task of Table 4."""
    name = task.split("/")[0]
    if "dataset" in claim:
        return claim["dataset"] == "worldsense" and name in WORLDSENSE
    return name in claim.get("tasks", [name])


def test_candidates_that_only_help_when_cut_agree_with_the_claim_and_an_effect_as_small_as_any_found_does_not():
    """The published curve rises from 0 to 3 %, so its lowest is 0; the smallest fall that the paper calls one is 4.5 %."""
    rows = published.curves(CURVES, "av_odyssey", MODEL)
    falls = rows[(rows["figure"] == "figure_5") & rows["kind"].isin(["minimum", "plateau"])]["change_high"]
    of_candidates = [c for c in PAPER if c.get("route") == "candidates->last" and c["measure"] == "lowest"]
    assert of_candidates and falls.max() == -4.5
    for claim in of_candidates:
        low, high = claims.bounds(claim["expected"])
        assert falls.max() < low < 0 < high


def test_the_findings_about_tables_1_and_4_have_their_values():
    accuracy, *masking = [c["paper"] for c in PAPER if c["measure"] in ("accuracy", "masking")]
    settings = [c["setting"] for c in PAPER if c["measure"] == "masking"]
    assert accuracy == TABLE_1["none"]
    assert masking == [round(TABLE_1[setting] - TABLE_1["none"], 2) for setting in settings]
    questions = {"video": (201, 410, 205, 288, 167 - 45, 45), "items": (100, 100, 102, 98, 105, 95)}
    ours = [c for c in PAPER if c["measure"] == "discarding"]
    assert {c["setting"] for c in ours if c["block"] == "video"} == {"Audio", "Video", "Ques", "All"}
    assert {c["setting"] for c in ours if c["block"] == "items"} == {"Cand", "Ref", "Ques", "All"}
    for claim in ours:
        table = dict(cells(TABLE_4_VIDEO if claim["block"] == "video" else TABLE_4_ITEMS))
        tasks = [task for row, task in table if row == "none" and task != "prefill_ms"]
        changes = [float(table[claim["setting"], task]) - float(table["none", task]) for task in tasks]
        pairs = [
            (change, n) for task, change, n in zip(tasks, changes, questions[claim["block"]], strict=True) if is_of(claim, task)
        ]
        assert claim["paper"] == round(sum(a * b for a, b in pairs) / sum(n for _, n in pairs), 1), "of all its questions"
    for claim in (c for c in PAPER if c["measure"] == "saving"):
        table = dict(cells(TABLE_4_VIDEO if claim["block"] == "video" else TABLE_4_ITEMS))
        assert claim["paper"] == round(100 * (float(table["All", "prefill_ms"]) / float(table["none", "prefill_ms"]) - 1), 1)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.name)
def test_every_published_row_names_its_source(path):
    if path.name not in ("models.csv", "datasets.csv"):
        assert published.read(path, "source", "note")["source"].str.match(r"arXiv \d{4}\.\d{5}").all()
    assert path.name in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "figure_3,av",
            "figure_9,av",
            "line 2: figure 'figure_9' is not known; write one of figure_3, figure_4, figure_5, figure_6",
        ),
        (",minimum,", ",lowest,", "line 2: kind 'lowest' is not known; write one of minimum,"),
        (",cross_frame,", ",cross_word,", "line 2: route 'cross_word' is not understood; write it as in config.yaml"),
        (",14,16,", ",16,14,", "line 2: first 16 is above last 14; swap them"),
        (",-8,-8,", ",-8,-9,", "line 2: change_low -8 is above change_high -9; swap them"),
        (",-8,-8,", ",-8,,", "line 2: change_low '-8' and change_high '' are not two numbers; write both or none"),
        (",-8,-8,", ",,,", "line 2: a minimum needs change_low and change_high; write them in %, a single value in both"),
        (",14,16,", ",about 14,16,", "line 2: first 'about 14' and last '16' are not two numbers; write both or none"),
        ("change_low", "low", "there is no column 'change_low', only figure"),
    ],
)
def test_a_bad_row_is_named_with_its_line_value_and_remedy(tmp_path, old, new, message):
    path, text = tmp_path / "curves.csv", CURVES.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=re.escape(f"{path}: {message}")):
        published.curves(path, "another", "another")


def test_a_bad_share_is_named(tmp_path):
    path, text = tmp_path / "attention.csv", ATTENTION.read_text()
    path.write_text(text.replace("0.06,0.09", "6,9"))
    with pytest.raises(InputError, match="line 3: share 6 to 9 is not within 0 and 1; write 0.06 for 6 %"):
        published.attention(path, "av_speakerbench", MODEL)
    path.write_text(text.replace(",31,35,", ",,,"))
    with pytest.raises(InputError, match="line 3: first and last are empty; write both"):
        published.attention(path, "av_speakerbench", MODEL)


ACCURACY, COUNTS = ROOT / "resources/published/accuracy.csv", ROOT / "resources/published/tasks.csv"


def test_every_published_number_names_its_source():
    for path, number in ((ACCURACY, "accuracy"), (COUNTS, "n")):
        table = published.read(path, "dataset", "task", "group", number, "source", "note")
        assert table["source"].str.match(r"arXiv \d{4}\.\d{5}").all()
        assert pd.to_numeric(table[number]).notna().all()
    with pytest.raises(InputError, match="there is no column 'accuracy', only dataset, task, group, n, source, note; restore"):
        published.read(COUNTS, "accuracy")


def test_the_sizes_of_the_speaker_benchmarks_tasks_add_up_to_its_questions():
    counts = published.read(COUNTS)
    sizes = counts[(counts["dataset"] == "av_speakerbench") & ~counts["task"].isin(["all", "knockout"])]["n"].astype(int)
    assert len(sizes) == 12 and sizes.sum() == 3212
    both = counts[(counts["dataset"] == "av_odyssey") & counts["task"].isin(["animal", "bird", "transportation"])]
    assert both.groupby("task")["n"].apply(lambda n: n.astype(int).sum()).to_dict() == {
        "animal": 200,
        "bird": 200,
        "transportation": 200,
    }
