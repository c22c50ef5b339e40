"""A claim's verdict follows from the tables, and is "not testable" when they do not suffice.

Also tests avflow.storage.claim_entries, avflow.results.measures and avflow.results.route_measures.
"""

from itertools import chain, product

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from avflow.errors import InputError
from avflow.figure_table import decided_by
from avflow.miniature import planting
from avflow.questions import layouts
from avflow.results import claims, measures, route_measures
from avflow.tracing import row_schemas

LAYERS = 12
PLANTED = {  # group -> route -> the mean change at its deepest centre, and that centre
    "hear": {"audio->question": (-60, 5), "video->question": (0, 5), "question->last": (-70, 10)},
    "see": {"audio->question": (0, 5), "video->question": (-50, 5), "question->last": (-70, 10)},
}


@pytest.fixture
def folder(tmp_path):
    """Knockouts of 20 questions a group, answers and answers without a sense, as planted."""
    rng, cuts, answers, without = np.random.default_rng(0), [], [], []
    empty = {name: None for name in row_schemas.KNOCKOUT.names}
    for group, routes in PLANTED.items():
        for number in range(20):
            about = dict(
                model="m", dataset="clips", question_id=f"{group}_{number}", cluster=f"c{number}", group=group, task=group
            )
            about |= dict(setting="av_video", layout="paper_eq1", needs="A" if group == "hear" else "V")
            for route, (depth, deepest) in routes.items():
                for centre in range(LAYERS):
                    change = depth * (centre == deepest) + rng.normal(0, 0.05)
                    row = dict(empty, **about, route=route, style="centred", width=3, centre=centre, cut="mask", control="none")
                    row |= dict(window_start=max(0, centre - 1), window_stop=min(LAYERS, centre + 2), applicable=True)
                    cuts.append(row | dict(correct_clean=True, p_base_clean=0.9, logp_base=np.log(0.9 * (1 + change / 100))))
            shared = dict(about, answer="A", content="x", **{f"logit_{x}": 0.0 for x in "ABCD"})
            answers.append(dict(shared, correct=True))
            lost = {"muted": "hear", "blanked": "see", "swapped": "hear"}
            for variant in ("muted", "blanked", "swapped", "text_only", "shuffled_1"):
                right = variant == "shuffled_1" or (lost.get(variant, group) != group) or number % 4 == 0
                without.append(dict(shared, correct=right, variant=variant))
    pd.DataFrame(cuts).to_parquet(tmp_path / "knockout_figure_4.parquet")
    pd.DataFrame(answers).to_parquet(tmp_path / "evaluate.parquet")
    pd.DataFrame(without).to_parquet(tmp_path / "reliance.parquet")
    assert "paper_eq1" not in layouts.NAMES
    return tmp_path


def judged(folder, *asked, least=10):
    found = measures.Tables(folder, {"m": 3}, {"video": "clips", "items": "other"}, 300, 0)
    return claims.judge([{"claim": "c", **claim} for claim in asked], found, least)


@pytest.mark.parametrize(
    ("claim", "value", "verdict"),
    [
        (dict(measure="lowest", route="audio->question", group="hear", expected="below -20"), -60, "agree"),
        (dict(measure="lowest", route="audio->question", group="see", expected="below -20"), 0, "differ"),
        (dict(measure="largest", route="video->question", group="hear", expected="within -1 1"), 0, "agree"),
        (dict(measure="largest", route="video->question", group="see", expected="within -1 1"), -50, "differ"),
        (dict(measure="lowest", route="audio->question", group="hear", expected="-55 +- 6"), -60, "agree"),
        (dict(measure="lowest", route="audio->question", group="hear", expected={"m": "-50 +- 6"}), -60, "differ"),
        (dict(measure="centre_of_fall", route="question->last", group="all", expected="10 +- 0.5"), 10, "agree"),
        (dict(measure="centre_of_fall", route="question->last", group="all", expected="9 +- 0.5"), 10, "differ"),
        (dict(measure="depth_of_fall", route="question->last", group="all", expected="within 0.9 0.92"), 10 / 11, "agree"),
        (dict(measure="centre_of_fall", route="video->question", group="hear", expected="5 +- 0.5"), np.nan, "not testable"),
        (dict(measure="windows", route="question->last", group="all", expected="within 1 1"), 1, "agree"),
        (dict(measure="questions", route="question->last", group=["hear", "see"], expected="within 20 20"), 20, "agree"),
        (dict(measure="order", route="audio->question", then="question->last", group="hear", expected="above 0"), 5, "agree"),
        (dict(measure="mean", route="question->last", group="all", layers=[10, 10], expected="below -20"), -70, "agree"),
        (dict(measure="largest", route="question->last", group="all", depths=[0, 0.6], expected="within -1 1"), 0, "agree"),
        (
            dict(measure="largest", route=["audio->question", "video->question"], group=["hear"], expected="within -1 1"),
            -60,
            "differ",
        ),
        (
            dict(measure="largest", route=["question->last"], group=["hear", "hum"], expected="within -1 1"),
            np.nan,
            "not testable",
        ),
        (dict(measure="accuracy_change", variant="muted", group="hear", expected="below -40"), -75, "agree"),
        (dict(measure="accuracy_change", variant="muted", group="see", expected="below -40"), 0, "differ"),
        (dict(measure="accuracy", variant="text_only", group="all", expected="within 10 40"), 25, "agree"),
        (dict(measure="same_content", group="all", expected="above 95"), 100, "agree"),
        (dict(measure="rank_correlation", tasks=["hear", "see"], expected="above 0.8"), 0.9, "agree"),
        (dict(measure="false_positives", cannot={"hear": ["video->question"]}, expected="within 0 5"), 0, "agree"),
        (dict(measure="false_positives", cannot={"hear": ["audio->question"]}, expected="within 0 5"), 100 / 12, "differ"),
        (dict(measure="lowest", route="audio->last", group="hear", expected="below -20"), np.nan, "not testable"),
        (dict(measure="masking", setting="video->last", expected="within -2 2"), np.nan, "not testable"),
        (dict(measure="discarding", block="video", setting="All", expected="within -2 2"), np.nan, "not testable"),
    ],
)
def test_a_claim_gets_the_verdict_of_its_number(folder, claim, value, verdict):
    (row,) = judged(folder, claim).to_dict("records")
    assert row["verdict"] == verdict, row
    assert np.isnan(row["value"]) if np.isnan(value) else row["value"] == pytest.approx(value, abs=0.15), row


def test_a_window_belongs_to_a_fall_from_a_third_of_its_depth_on():
    shares = route_measures.effect_windows(np.array([[-31.0, -29.0, -90.0, 5.0], [9.0, 31.0, 90.0, -200.0]]), -1)
    assert shares[0].tolist() == [31, 0, 90, 0] and shares[1].tolist() == [0, 0, 0, 200]
    assert route_measures.effect_windows(np.array([9.0, 31.0, 90.0, -200.0]), 1).tolist() == [0, 31, 90, 0]


def test_a_claim_compares_two_measurements_with_an_interval_that_holds_both(folder):
    rule = dict(measure="lowest", route="audio->question", group="hear", expected="below -50")
    alone, other = judged(folder, rule, {**rule, "group": "see"}).to_dict("records")
    for than in ({"group": "see"}, {"route": "video->question"}):
        (row,) = judged(folder, {**rule, "than": than}).to_dict("records")
        assert row["value"] == pytest.approx(-60, abs=0.2) and row["verdict"] == "agree"
    (row,) = judged(folder, {**rule, "than": {"group": "see"}}).to_dict("records")
    assert row["ci_low"] == pytest.approx(alone["ci_low"] - other["ci_high"])
    assert row["ci_high"] == pytest.approx(alone["ci_high"] - other["ci_low"])
    later = dict(measure="centre_of_fall", route="question->last", group="hear", than={"route": "audio->question"})
    assert judged(folder, {**later, "expected": "5 +- 0.5"})["value"].tolist() == [5]


@pytest.mark.parametrize(("strength", "verdict"), [(0.0, "differ"), (0.01, "agree"), (0.4, "agree"), (0.6, "differ")])
def test_an_effect_must_be_twice_its_random_control_which_must_have_been_cut(folder, strength, verdict):
    path = folder / "knockout_figure_4.parquet"
    rows = pd.read_parquet(path)
    change = strength * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1)
    random = rows.assign(control="random_other", draw=0, logp_base=np.log(rows["p_base_clean"] * (1 + change)))
    pd.concat([rows, random[random["question_id"].str.endswith(("0", "1", "2"))]]).to_parquet(path)
    rule = dict(measure="lowest", route="audio->question", group="hear", expected="below -20")
    (row,) = judged(folder, rule).to_dict("records")
    assert row["verdict"] == verdict and row["control"] == pytest.approx(-60 * strength, abs=0.2)
    (row,) = judged(folder, {**rule, "than": {"control": "random"}, "expected": "below -20"}).to_dict("records")
    assert row["value"] == pytest.approx(-60 * (1 - strength), abs=0.2) and np.isnan(row["control"])
    (row,) = judged(folder, dict(measure="largest", route="video->question", group="hear", expected="within -1 1")).to_dict(
        "records"
    )
    assert row["verdict"] == "agree" and np.isnan(row["control"]), "where nothing is, a control says nothing"


def test_scrambled_labels_show_a_difference_as_rarely_as_chance(folder):
    scrambled = dict(measure="scrambled", route="audio->question", groups=["hear", "see"], expected="within 0 10")
    (row,) = judged(folder, scrambled).to_dict("records")
    assert row["verdict"] == "agree" and row["value"] < 10
    rows = pd.read_parquet(folder / "knockout_figure_4.parquet")
    assert rows["group"].nunique() == 2, "labels do differ before they are drawn anew"


def test_too_few_questions_give_no_verdict_and_clear_needs_the_whole_interval(folder):
    claim = dict(measure="lowest", route="audio->question", group="hear", expected="below -20")
    assert judged(folder, claim, least=21)["verdict"].tolist() == ["not testable"]
    assert judged(folder, claim)["clear"].tolist() == [True]
    loose = dict(measure="accuracy_change", variant="muted", group="see", expected="within -2 2")
    row = judged(folder, loose).iloc[0]
    assert row["verdict"] == "agree" and not row["clear"], "20 unchanged answers exclude no loss of two points"


def test_clear_verdicts_stand_for_all_claims_about_a_model_together(folder):
    """A claim that is clear alone, p = 0.02, is not clear nine times over; a strong one stays clear."""
    rows = pd.read_parquet(folder / "knockout_figure_4.parquet")
    at = (rows["route"] == "audio->question") & (rows["group"] == "see") & (rows["centre"] == 5)
    noise = np.random.default_rng(0).normal(0, 5, at.sum())
    rows.loc[at, "logp_base"] = np.log(0.9 * (1 - 0.021 + (noise - noise.mean()) / 100))
    rows.to_parquet(folder / "knockout_figure_4.parquet")
    weak = dict(measure="mean", route="audio->question", group="see", layers=[5, 5], expected="below 0")
    alone = judged(folder, weak).iloc[0]
    assert alone["verdict"] == "agree" and alone["clear"] and alone["ci_high"] < 0 and 0.01 < alone["p_family"] < 0.05
    sure = dict(measure="lowest", route="audio->question", group="hear", expected="below -20")
    missing = dict(measure="lowest", route="audio->last", group="hear", expected="below -20")
    together = judged(folder, weak, sure, missing, *[{**weak, "claim": f"c{i}"} for i in range(8)])
    assert together["p_family"][0] == pytest.approx(min(1, 9 * alone["p_family"])) and together["clear"].sum() == 1
    assert together["clear"][1] and np.isnan(together["p_family"][2]) and not together["clear"][2]
    assert set(together["verdict"]) == {"agree", "not testable"}, "the verdict itself follows the number"


def test_a_verdict_whose_p_value_is_above_5_percent_is_not_clear(folder):
    found = judged(folder, dict(measure="accuracy_change", variant="muted", group="hear", expected="below -40"))
    p, at = found["p_family"][0], found.loc[0, ["value", "ci_high"]].astype(float)
    between = at["value"] + 0.9 * (at["ci_high"] - at["value"])  # the interval reaches a little beyond the range
    (row,) = judged(
        folder, dict(measure="accuracy_change", variant="muted", group="hear", expected=f"below {between:.3f}")
    ).to_dict("records")
    assert p < 0.05 < row["p_family"] < 0.1 and row["verdict"] == "agree" and found["clear"][0] and not row["clear"]


def test_a_number_without_an_interval_is_never_clear(folder):
    counted = dict(measure="windows", route="audio->question", group="hear", expected="above 0")
    row = judged(folder, counted).iloc[0]
    assert row["verdict"] == "agree" and not row["clear"] and np.isnan(row["p_family"])


@pytest.mark.parametrize("study", ["miniature", "paper"])
def test_the_shipped_claims_are_read_and_name_what_exists(study):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    found = claims.read(ROOT / config["studies"][study]["claims"])
    pairs = {"conflict": config["conflict"]["routes"], "resample": [*chain(*config["resample"]["routes"].values())]}
    routes_of = {**{name: cut["routes"] for name, cut in config["knockout"]["cuts"].items()}, **pairs}
    assert len(found) >= 70 and len({(claim["claim"], claims.rule_of(claim)) for claim in found}) == len(found)
    for claim in found:
        for part in [claim, {**claim, **claim.get("than", {})}]:
            routes = [route for key in ("route", "then", "routes") for route in route_measures.listed(part.get(key, []))]
            cut_in = "resample" if claim["measure"] == "patched" else part.get("analysis", "figure_4")
            assert set(routes) <= set(routes_of[cut_in]), claim
        assert set(claim.get("models", [])) <= set(config["studies"][study]["models"])
        assert study == "miniature" or "source" in claim and "paper" in claim


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- {claim: c, measure: deepest, expected: below 0}", "claim 'c' has measure 'deepest'; known: lowest, highest"),
        ("- {claim: c, measure: lowest, expected: below 0}", "claim 'c' has no route, which lowest needs; add it"),
        ("- {claim: c, checks: {saving: below 0}, block: video, setting: All}", "claim 'c' has no column, which saving needs"),
        (
            "- {claim: c, measure: lowest, route: r, expected: small}",
            "claim 'c' expects 'small'; write below x, above x, within x y or x",
        ),
        ("- {claim: c, measure: lowest, route: r, expected: {m: small}}", "claim 'c' expects 'small'; write"),
        ("- {claim: c, route: r, checks: {lowest: below 0, deepest: below 0}}", "claim 'c' has measure 'deepest'; known: lowest"),
        (
            "- {claim: c, measure: lowest, route: r, than: {measure: deepest}, expected: below 0}",
            "claim 'c' has measure 'deepest'; known",
        ),
        (
            "- {claim: c, measure: lowest, route: r, centres: [1, 2], expected: below 0}",
            "claim 'c' has centres; write layers, as the model",
        ),
    ],
)
def test_a_bad_claim_is_named(tmp_path, text, reason):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        claims.read(path)


def test_a_cell_of_a_finished_table_is_read_and_a_missing_column_is_named(folder):
    table = pd.DataFrame(
        {"model": "m", "setting": ["none", "a", "b"], "change": [np.nan, -1, 3], "ci_low": -4, "ci_high": 5, "n": 30}
    )
    table.assign(correct_m=[7, 8, 9]).to_csv(folder / "tab1.csv", index=False)
    cell = dict(measure="cell", table="tab1", expected="within -2 2")
    (row,) = judged(folder, cell).to_dict("records")
    assert (row["value"], row["ci_low"], row["n"], row["verdict"]) == (3, -4, 30, "differ"), "the cell farthest from 0"
    asked = [{**cell, "where": {"setting": ["none", "a"]}}, {**cell, "where": {"setting": "none"}, "column": "correct_{model}"}]
    assert judged(folder, *asked)["value"].tolist() == [-1, 7]
    with pytest.raises(InputError, match="claim 'c': tab1.csv has no column 'changes', only model, setting, change, ci_low"):
        judged(folder, {**cell, "column": "changes"})


def test_elsewhere_holds_for_the_cells_that_no_other_rule_names(folder, tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(
        """
- {claim: sound is read in hear, route: audio->question, group: hear, measure: lowest, expected: below -20}
- {claim: pictures are read in see, route: video->question, group: see, measure: lowest, expected: {m: below -20}}
- {claim: the last token reads, route: question->last, group: [hear, see], measure: weakest, expected: below -60}
- {claim: one layer is not all, route: video->last, group: see, measure: highest, layers: [3, 3], expected: above -1}
- {claim: other cuts say nothing of these, route: video->last, group: hear, measure: lowest, analysis: graded, expected: below 0}
- {claim: nothing else matters, analysis: figure_4, measure: elsewhere, expected: within -1 1}
"""
    )
    rules = claims.read(path)
    found = measures.Tables(folder, {"m": 3}, {"video": "clips", "items": "other"}, 300, 0)
    verdicts = claims.judge(rules, found, 10).set_index("claim")
    assert verdicts.loc[["sound is read in hear", "nothing else matters"], "verdict"].tolist() == ["agree", "agree"]
    assert verdicts.loc["the last token reads", "value"] == pytest.approx(-70, abs=0.2), "the higher of two lowest points"
    assert "named" not in verdicts.loc["nothing else matters", "rule"]
    del rules[0], rules[-1]["named"]
    rules[-1]["named"] = claims._named_elsewhere(rules[-1], rules)
    unnamed = claims.judge(rules, found, 10).set_index("claim").loc["nothing else matters"]
    assert unnamed["value"] == pytest.approx(-60, abs=0.2) and unnamed["verdict"] == "differ", "nobody names hear's sound now"
    assert ("video->last", "see", None) not in rules[-1]["named"] and ("video->question", "see", ["m"]) in rules[-1]["named"]


def test_every_cell_of_the_miniatures_figures_has_a_rule_and_every_planted_route_an_effect():
    rules = claims.read(ROOT / "resources" / "claims" / "miniature.yaml")
    shipped = ROOT / "figures" / "shipped" / "tables"
    for number in (3, 4, 5, 6):
        cuts = {"analysis": f"figure_{number}", "data": "items" if number > 4 else "video"}
        rows = pd.read_parquet(shipped / f"knockout_figure_{number}.parquet", columns=["group", "task", "route", "control"])
        rows = rows[rows["control"] == "none"].drop_duplicates()
        elsewhere = [rule for rule in rules if rule["measure"] == "elsewhere" and rule["analysis"] == cuts["analysis"]]
        held = {group for rule in elsewhere for group in route_measures.listed(rule.get("group", rows["group"].unique()))}
        assert held == set(rows["group"]), "elsewhere must be asked for every task"
        effects = set()
        for rule in rules:
            mine = rule.get("analysis", "figure_4") == cuts["analysis"] and rule["measure"] in ("lowest", "weakest")
            if not mine or rule.get("control") or "than" in rule:
                continue
            ranges = rule["expected"].values() if isinstance(rule["expected"], dict) else [rule["expected"]]
            if all(claims.bounds(text)[1] < 0 for text in ranges):
                effects |= set(product(route_measures.listed(rule["route"]), route_measures.listed(rule.get("group", "all"))))
        for row in rows.itertuples():
            if row.route in planting.CARRIES.get(row.task, ()):
                assert (row.route, row.group) in effects, f"{row.route} is planted in {row.task}, and no rule asks for it"


def test_one_entry_stands_for_several_rules(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(
        """
- {claim: "{table} is coherent", each: {table: [evaluate, reliance]}, measure: coherent, expected: within 99 100}
- {claim: "{group} reads sound", route: r, measure: lowest, each: {group: {hear: below -20, see: {m: within -1 1}}}}
"""
    )
    found = claims.read(path)
    assert [(one["claim"], one["expected"]) for one in found] == [
        ("evaluate is coherent", "within 99 100"),
        ("reliance is coherent", "within 99 100"),
        ("hear reads sound", "below -20"),
        ("see reads sound", {"m": "within -1 1"}),
    ]
    assert [one.get("table", one.get("group")) for one in found] == ["evaluate", "reliance", "hear", "see"]
    assert found[3]["models"] == ["m"]
    assert decided_by(found[0]) == {"evaluate.parquet"} and decided_by(found[1]) == {"evaluate.parquet", "reliance.parquet"}


def test_checks_give_one_claim_per_measure_and_a_range_by_model_names_its_models(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text("- {claim: c, route: r, checks: {lowest: {m: below 0, n: below -1}, centre_of_fall: 5 +- 0.5}}")
    shared = {"claim": "c", "route": "r"}
    assert claims.read(path) == [
        {**shared, "measure": "lowest", "expected": {"m": "below 0", "n": "below -1"}, "models": ["m", "n"]},
        {**shared, "measure": "centre_of_fall", "expected": "5 +- 0.5"},
    ]
    assert claims.bounds("5 +- 0.5") == (4.5, 5.5) and claims.bounds("-60 +- 6") == (-66, -54)


def test_the_papers_value_has_its_conditions_and_a_planted_fact_has_none(folder):
    rule = dict(measure="lowest", route="audio->question", group="hear", expected="below -10")
    asked = {"clips": {"prompt": "the benchmark's", "fps": {"m": 2}}, "other": {"prompt": "the benchmark's", "fps": {"m": 2}}}
    rules = [rule, {**rule, "paper": -30}, {**rule, "paper": -30, "fps": 1}, {**rule, "paper": -30, "block": "items"}]
    tables = measures.Tables(folder, {"m": 3}, {"video": "clips", "items": "other"}, 300, 0)
    found = claims.judge([{"claim": "c", **one} for one in rules], tables, 10, asked)
    assert found["paper_conditions"].tolist()[1:] == [
        "fps and prompt not stated (here 2 fps, the benchmark's prompt)",
        "1 fps, prompt not stated (here 2 fps, the benchmark's prompt)",
        "prompt not stated (here the benchmark's prompt)",
    ]
    assert pd.isna(found["paper_conditions"][0]) and found["verdict"][1] == "agree"
