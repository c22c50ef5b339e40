"""A claim's verdict follows from the tables, and is "not testable" when they do not suffice.

Also tests avflow.results.measures.
"""

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from avflow.errors import InputError
from avflow.questions import layouts
from avflow.results import claims, measures
from avflow.study import plain_route
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
        (dict(measure="centre_of_lowest", route="question->last", group="all", expected="within 30 33"), 10 * 35 / 11, "agree"),
        (dict(measure="order", route="audio->question", then="question->last", group="hear", expected="above 0"), 5, "agree"),
        (dict(measure="mean", route="question->last", group="all", centres=[31, 33], expected="below -20"), -70, "agree"),
        (dict(measure="largest", route="question->last", group="all", centres=[0, 20], expected="within -1 1"), 0, "agree"),
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
    weak = dict(measure="mean", route="audio->question", group="see", centres=[16, 16], expected="below 0")
    alone = judged(folder, weak).iloc[0]
    assert alone["verdict"] == "agree" and alone["clear"] and alone["ci_high"] < 0 and 0.01 < alone["p_family"] < 0.05
    sure = dict(measure="lowest", route="audio->question", group="hear", expected="below -20")
    missing = dict(measure="lowest", route="audio->last", group="hear", expected="below -20")
    together = judged(folder, weak, sure, missing, *[{**weak, "claim": f"c{i}"} for i in range(8)])
    assert together["p_family"][0] == pytest.approx(min(1, 9 * alone["p_family"])) and together["clear"].sum() == 1
    assert together["clear"][1] and np.isnan(together["p_family"][2]) and not together["clear"][2]
    assert set(together["verdict"]) == {"agree", "not testable"}, "the verdict itself follows the number"


def test_a_number_without_an_interval_is_never_clear(folder):
    order = dict(measure="order", route="audio->question", then="question->last", group="hear", expected="above 0")
    row = judged(folder, order).iloc[0]
    assert row["verdict"] == "agree" and not row["clear"] and np.isnan(row["p_family"])


@pytest.mark.parametrize("study", ["miniature", "paper"])
def test_the_shipped_claims_are_read_and_name_what_exists(study):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    found = claims.read(ROOT / config["studies"][study]["claims"])
    assert len(found) >= 25 and len({claim["claim"] for claim in found}) == len(found)
    for claim in found:
        routes = [claim[key] for key in ("route", "then") if key in claim] + claim.get("routes", [])
        known = map(plain_route, config["knockout"]["cuts"][claim.get("analysis", "figure_4")]["routes"])
        assert set(routes) <= set(known), claim
        assert study == "miniature" or "source" in claim and "paper" in claim


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- {claim: c, measure: deepest, expected: below 0}", "claim 'c' has measure 'deepest'; known: lowest, highest"),
        ("- {claim: c, measure: lowest, expected: small}", "claim 'c' expects 'small'; write below x, above x or within x y"),
    ],
)
def test_a_bad_claim_is_named(tmp_path, text, reason):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        claims.read(path)


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
