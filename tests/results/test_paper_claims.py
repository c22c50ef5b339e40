"""The paper's findings as rules: each agrees with tables that show what the paper shows, and differs from ones that do not."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from table_rows import entry

from avflow.results import claims, measures, published
from avflow.tracing import row_schemas

MODEL, PRINTED, LAYERS, N = "qwen2.5-omni-3b", "Qwen2.5-Omni-3B", 36, 10
DATASETS = {"video": "av_speakerbench", "items": "av_odyssey"}
PUBLISHED = ROOT / "resources" / "published"
RULES = claims.read(ROOT / "resources" / "claims" / "paper.yaml")
UNSTATED = 15  # the middle of a fall whose layers the paper does not state
EFFECTS = [c for c in RULES if c["measure"] in ("lowest", "highest", "mean") and "than" not in c and "paper" in c]
EFFECTS = [c for c in EFFECTS if c["paper"] is not None and not np.prod(claims.bounds(c["expected"])) <= 0]


def curves() -> dict:
    """(figure, dataset, group, route) -> the paper's changes by layer: every stated fall and rise in its layers, 0 elsewhere."""
    found = {}
    for dataset in DATASETS.values():
        rows = published.curves(PUBLISHED / "curves.csv", dataset, PRINTED)
        for row in rows.sort_values("kind", key=lambda kind: kind == "near_zero", ascending=False).to_dict("records"):
            change = found.setdefault((row["figure"], dataset, row["group"], row["route"]), np.zeros(LAYERS))
            first, last = (UNSTATED if np.isnan(row[end]) else int(row[end]) for end in ("first", "last"))
            size = (row["change_low"] + row["change_high"]) / 2
            if not np.isnan(size) and row["kind"] != "near_zero":
                change[first : last + 1] = size
    return found


def cuts(shape: dict, control=lambda change: 0 * change) -> dict[str, pd.DataFrame]:
    """Tables of knockouts with these mean changes, and random controls whose changes are control(change)."""
    rng, parts, empty = np.random.default_rng(0), {}, dict.fromkeys(row_schemas.KNOCKOUT.names)
    for (figure, dataset, group, route), change in shape.items():
        for kind, mean in (("none", change), ("random_other", control(change))):
            changes = mean + rng.normal(0, 0.1, (N, LAYERS))
            centre = np.tile(np.arange(LAYERS), N)
            ids = np.repeat([f"{group}_{number}" for number in range(N)], LAYERS)
            rows = pd.DataFrame({**empty, "question_id": ids, "centre": centre})
            rows = rows.assign(cluster=ids, dataset=dataset, group=group, task=group, route=route, model=MODEL, control=kind)
            rows = rows.assign(width=7, style="centred", cut="mask", layout="paper", applicable=True, correct_clean=True, draw=0)
            rows["window_start"], rows["window_stop"] = (centre - 3).clip(0), (centre + 4).clip(max=LAYERS)
            rows = rows.assign(p_base_clean=0.5, logp_base=np.log(0.5 * (1 + changes.ravel().clip(-99.9) / 100)))
            parts.setdefault(f"knockout_{figure}", []).append(rows)
    return {name: pd.concat(some, ignore_index=True) for name, some in parts.items()}


def attention(rise: float, sinks: int, first: int) -> pd.DataFrame:
    """1 % of attention for video, `rise` more from layer 31 on, and there `sinks` sink tokens, `first` of them first."""
    rows = []
    for i in range(N):
        about = dict(model=MODEL, dataset="av_speakerbench", group="g", task="g", study_split="knockout", setting="av_video")
        rows.append(entry(i, "tokens", [100.0], name="video", number=10.0, **about))
        for layer in range(LAYERS):
            late = layer >= 31
            rows.append(entry(i, "shares", [0.01 + late * rise / 100] * 2, layer=layer, name="video", **about))
            rows.append(entry(i, "sink_dimensions", [5.0] if late and sinks else [], layer=layer, **about))
            if late and sinks:
                marked = [float(position) for position in range(sinks)]
                rows.append(entry(i, "sinks", marked, layer=layer, name="video", number=float(first), **about))
    return pd.DataFrame(rows).assign(layer=lambda table: table["layer"].astype(float))


def sink_cuts(share: float, change: float) -> dict[str, pd.DataFrame]:
    """Cuts of video's sinks from layer 31 on. They draw `share` % more attention than as many others, and `change` the answer."""
    shape = {("sinks", "av_speakerbench", "all", f"video_sinks->{to}"): np.full(LAYERS, change) for to in ("last", "question")}
    (rows,) = cuts(shape).values()
    rows = rows.assign(applicable=rows["centre"] >= 31, removed_mass=0.01 + (rows["control"] == "none") * share / 100)
    rows["control"] = rows["control"].replace("random_other", "random_same")
    zero = rows[rows["control"] == "none"].assign(cut="value_zero")
    return {"knockout_sinks": pd.concat([rows, zero], ignore_index=True)}


def answers(accuracy: float) -> pd.DataFrame:
    right = np.arange(3212) < round(3212 * accuracy / 100)
    table = pd.DataFrame({"question_id": [f"q{number}" for number in range(3212)], "correct": right})
    return table.assign(
        cluster=table["question_id"], model=MODEL, dataset="av_speakerbench", group="g", task="g", variant="as_is"
    )


def discards(loss: float, of_random: float, saved: float) -> pd.DataFrame:
    """The paper's Table 4, with `loss` points lost by every discard, `of_random` by random ones, and `saved` % of the prefill."""
    known = published.read(PUBLISHED / "table_4.csv")
    known = known[known["accuracy"] != ""]
    counts, parts = {"speech_recognition": 201, "*": 410, "visual_counting": 205, "speech_counting": 288}, []
    for row in known.to_dict("records"):
        n = counts.get(row["task"], 100)
        told = dict(dataset=row["dataset"], model=MODEL, group=row["group"] if row["dataset"] == "av_odyssey" else row["task"])
        told |= dict(task=row["task"], setting="items" if row["dataset"] == "av_odyssey" else "av_video", draw=0)
        ids = [f"{row['task']}_{told['group']}_{number}" for number in range(n)]
        base = float(row["accuracy"])
        every = {row["discard"]: base - loss * (row["discard"] != "none")}
        every |= {"random": base - of_random} if row["discard"] == "none" else {}
        for discard, accuracy in every.items():
            part = pd.DataFrame({"question_id": ids, "correct": np.arange(n) < round(n * accuracy / 100)})
            part["prefill_ms"] = 100.0 - saved * (discard == "All")
            parts.append(part.assign(cluster=ids, discard=discard, **told))
    return pd.concat(parts, ignore_index=True)


def table_1(loss: float) -> pd.DataFrame:
    found = [
        dict(model=MODEL, part="late", group="all", setting=setting, n=3212, change=-loss)
        for setting in ("video->last", "video->text", "media->text")
    ]
    return pd.DataFrame(found).assign(ci_low=-loss - 1, ci_high=-loss + 1)


PAPERS = dict(rise=6.5, sinks=2, first=2), 42.24, dict(loss=0, of_random=5, saved=8), 0.0, dict(share=5, change=0)
OTHERS = dict(rise=0.0, sinks=2, first=0), 36.0, dict(loss=12, of_random=6, saved=0), 5.0, dict(share=0, change=-12)
WORLDS = {  # name -> shape of the curves, and what else the tables show
    "published": (lambda change: change, PAPERS),
    "nothing matters": (lambda change: 0 * change, (dict(rise=0.0, sinks=0, first=0), *OTHERS[1:])),
    "everything matters everywhere": (lambda change: 0 * change - 30, OTHERS),
    "mirrored in depth": (lambda change: change[::-1], OTHERS),
    "twelve layers late": (lambda change: np.concatenate([np.zeros(12), change[:-12]]), OTHERS),
}


def judged(folder, shape, rest, control=lambda change: 0 * change) -> pd.DataFrame:
    looks, accuracy, pruned, loss, of_sinks = rest
    tables = cuts(shape, control) | {"attention": attention(**looks), "evaluate": answers(accuracy)}
    tables |= sink_cuts(**of_sinks)
    tables |= {"reliance": answers(accuracy)[:1].assign(variant="muted"), "pruning": discards(**pruned)}
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    table_1(loss).to_csv(folder / "tab1.csv", index=False)
    return claims.judge(RULES, measures.Tables(folder, {MODEL: 7}, DATASETS, 20, 0), least=10)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Name of a world -> the verdict on every claim."""
    shapes = {name: {key: shape(change) for key, change in curves().items()} for name, (shape, _) in WORLDS.items()}
    judge = {name: judged(tmp_path_factory.mktemp("world"), shapes[name], rest) for name, (_, rest) in WORLDS.items()}
    judge["controls as strong"] = judged(tmp_path_factory.mktemp("world"), curves(), PAPERS, control=lambda change: change)
    return {name: found.reset_index(drop=True) for name, found in judge.items()}


@pytest.mark.parametrize("number", range(len(RULES)), ids=[claim["claim"] for claim in RULES])
def test_a_finding_agrees_with_what_the_paper_shows_and_differs_from_something_else(verdicts, number):
    assert verdicts["published"]["verdict"][number] == "agree", verdicts["published"].loc[number].to_dict()
    others = [verdicts[name].loc[number] for name in WORLDS if name != "published"]
    assert "differ" in {row["verdict"] for row in others}, [(row["value"], row["expected"]) for row in others]


def test_an_effect_of_a_route_differs_if_random_keys_do_as_much(verdicts):
    table = verdicts["controls as strong"]
    effects = [number for number, claim in enumerate(RULES) if claim in EFFECTS]
    assert len(effects) >= 20 and set(table.loc[effects, "verdict"]) == {"differ"}
    assert (verdicts["published"].loc[effects, "control"].abs() < 0.5).all()


def test_claims_about_the_main_model_alone_are_not_made_for_others():
    named = [claim for claim in RULES if "models" in claim]
    found = claims.judge(named, measures.Tables("nowhere", {"another": 7}, DATASETS, 20, 0), least=10)
    assert len(named) >= 8 and not len(found)
