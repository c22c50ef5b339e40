"""The claims about the miniature hold on its finished tables, and turn red when these are damaged.

`PYTHONPATH=workflow_scripts:tests:tests/results python tests/results/test_damage.py` prints who notices each damage, for the
table in docs/calibration.md, and writes the rules that do to noticing_rules.json. It takes some minutes.

Also tests avflow.results.study_tables, avflow.results.answer_measures, avflow.results.attention_measures,
avflow.results.calibration_measures, avflow.results.coherence_measures, avflow.results.summed_tables and
avflow.results.specimen.
"""

import json
import os
import tempfile
from pathlib import Path

import columns
import damages
import pandas as pd
import pytest
from conftest import ROOT
from finished_tables import DERIVED, derive, finish, tables_of

from avflow.figure_table import decided_by
from avflow.results import claims, measures

CLAIMS = ROOT / "resources" / "claims" / "miniature.yaml"
DRAWS = 2  # verdicts follow from values; only `false_positives` needs intervals
TABLES = [claim["table"] for claim in claims.read(CLAIMS) if claim["measure"] == "specimen"]
UNNOTICED = set()  # names of damages that no claim notices, each with its reason
FIRST = (
    "coherent",
    "complete",
    "windows_fit",
    "null_rows",
    "questions",
    "elsewhere",
    "moves",
    "controlled",
    "clips",
)  # are quick
SHIPPED = "the comparison with the shipped run"
STEPS = ("identities", "other rules", SHIPPED)
NOTICING = Path(__file__).with_name("noticing_rules.json")  # damage -> the rule to try first, which only saves time


class Finished:
    """Name -> a fresh copy of a finished table."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.kept = {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self.kept:
            self.kept[name] = pd.read_csv(self.folder / f"{name}.csv")
        return self.kept[name].copy()


def write(changed: dict, finished: Path, folder: Path) -> None:
    """A folder of the finished tables with the changed ones in their place."""
    for path in finished.iterdir():
        if path.stem not in changed:
            os.symlink(path, folder / path.name)
    for name, table in changed.items():
        if (finished / f"{name}.csv").is_file():
            table.to_csv(folder / f"{name}.csv", index=False)
        else:
            table.to_parquet(folder / f"{name}.parquet", compression=None, index=False)


def red(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The claims that agreed and no longer do."""
    key = ["claim", "rule", "model"]
    agreed = after[[*key, "verdict"]].merge(before.loc[before["verdict"] == "agree", key], on=key)
    return agreed[agreed["verdict"] != "agree"]


def judged(folder: Path):
    """The folder of finished tables, these tables, the rules, and their verdicts."""
    finish(folder, DRAWS)
    rules = claims.read(CLAIMS)
    return folder, Finished(folder), rules, claims.judge(rules, tables_of(folder, DRAWS), least=10)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return judged(tmp_path_factory.mktemp("finished"))


def test_all_claims_hold_on_the_shipped_tables_but_one_that_lacks_a_control(finished):
    verdicts = finished[3]
    other = verdicts[verdicts["verdict"] != "agree"]
    assert set(zip(other["claim"], other["model"], other["verdict"])) == {
        ("false positives are rare for the question's size-matched random control", "tiny-salmonn", "not testable")
    }
    assert len(verdicts) >= 1200


def turned(finished, damage, folder, rules=None):
    """Yield the claims that turn red, as tables of some rows each, in the order of the rules.

    Rules about tables that are made from damaged ones come last.
    """
    whole, tables, every, before = finished
    changed = damage(tables)
    write(changed, whole, folder)
    rules, asked = every if rules is None else rules, {name for sources in DERIVED.values() for name in sources[1]}
    for made in (set(changed), lambda: derive(folder, changed, DRAWS)) if asked & set(changed) else (set(changed),):
        differing = made() if callable(made) else made
        damaged = tables_of(folder, DRAWS)
        damaged.kept |= {name: table for name, table in tables.kept.items() if name not in differing}  # read once for all damages
        for claim in rules:
            decide = {name.split(".")[0] for name in decided_by(claim)}
            if decide & differing and len(found := red(before, claims.judge([claim], damaged, least=10))):
                yield found


def apart(rules) -> dict:
    """Who notices -> the rules: identities, those that compare with the shipped run, and the others, the quick ones first."""
    kinds = {"coherent": "identities", "specimen": SHIPPED}
    found = {"identities": [], "other rules": [], SHIPPED: []}
    for claim in sorted(rules, key=lambda claim: claim["measure"] not in FIRST):
        found[kinds.get(claim["measure"], "other rules")].append(claim)
    return found


def noticing(finished, damage, place, rules):
    """The first of the rules that a damage turns red, None if there is none, or the error that stops the judging."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        try:
            found = next(turned(finished, damage, Path(folder), rules), None)
        except Exception as error:  # noqa: BLE001  # whatever stops the judging, the tables are not taken for whole
            return error
    return None if found is None else found["rule"].iloc[0]


def noticed_by(finished, damage, place, steps=STEPS, first=None) -> str:
    """Who notices a damage first, in the order of the steps. first: a rule that is tried before all others."""
    of = apart(finished[2])
    told = {claims.rule_of(claim): name for name in steps for claim in of[name]}
    found = first and noticing(finished, damage, place, [claim for claim in finished[2] if claims.rule_of(claim) == first])
    if not found:
        found = noticing(finished, damage, place, [claim for name in steps for claim in of[name]])
    return f"an error ({type(found).__name__})" if isinstance(found, Exception) else told.get(found, "nobody")


@pytest.mark.parametrize("damage", damages.DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_table_turns_a_claim_red_that_knows_nothing_of_the_shipped_run(finished, damage, tmp_path):
    known = json.loads(NOTICING.read_text()).get(damage.__name__)
    assert noticed_by(finished, damage, tmp_path, first=known) in (
        ("nobody",) if damage.__name__ in UNNOTICED else ("identities", "other rules")
    )


def test_thirty_kinds_of_damage_are_tried_and_at_most_one_passes():
    assert len({damage.__name__ for damage in damages.DAMAGES}) >= 100
    assert len(UNNOTICED) <= 1


def test_the_rules_to_try_first_are_rules_of_today():
    known, rules = json.loads(NOTICING.read_text()), {claims.rule_of(claim) for claim in claims.read(CLAIMS)}
    of_today = set(known) <= {damage.__name__ for damage in damages.DAMAGES} and set(known.values()) <= rules
    assert of_today, "make noticing_rules.json again, as the docstring of this file says"


def test_damages_of_columns_are_noticed(finished, tmp_path):
    """A few of the damages of columns.py, other ones for every table; all of them take hours."""
    tried = 0
    for place, name in enumerate(TABLES):
        every = [*columns.damages(finished[1], [name])]
        for words, _, damage, seed in every[7 * place % 29 :: max(1, len(every) // 2)]:
            before = finished[1][name]
            after = damage(before.copy(), seed)
            if columns.differs(before, after):
                changed = lambda tables, name=name, after=after: {name: after}
                assert noticed_by(finished, changed, tmp_path, ("identities", SHIPPED, "other rules")) != "nobody", words
                tried += 1
    assert tried >= len(TABLES)


def test_the_page_counts_rules_and_damages_as_they_are():
    page = (ROOT / "docs/calibration.md").read_text()
    measured = [claim["measure"] for claim in claims.read(CLAIMS)]
    coherent, specimens = measured.count("coherent"), measured.count("specimen")
    assert f"the finished tables in {len(damages.DAMAGES)} ways" in page
    for rules, of in (
        ("(`coherent`)", coherent),
        ("shipped models", len(measured) - coherent - specimens),
        ("(`specimen`)", specimens),
    ):
        assert f"{rules} | {of} |" in page, rules
    kinds = page.split("The damages, by kind:")[1].split("`tests/results/columns.py`")[0]
    assert sum(int(line.split("|")[2].split(":")[0].split(",")[0]) for line in kinds.splitlines()[4:] if line) == len(
        damages.DAMAGES
    )


def test_every_measure_is_used_by_a_claim():
    used = {claim["measure"] for study in ("miniature", "paper") for claim in claims.read(CLAIMS.with_name(f"{study}.yaml"))}
    assert used == set(measures.MEASURES)


def main():
    """Print every damage with who notices it first, and write the rules that do; those about the shipped run come last."""
    rules = {}
    with tempfile.TemporaryDirectory() as place:
        whole = judged(Path(tempfile.mkdtemp(dir=place)))
        of = apart(whole[2])
        told = {claims.rule_of(claim): name for name in STEPS for claim in of[name]}
        for damage in damages.DAMAGES:
            found = noticing(whole, damage, place, [claim for name in STEPS for claim in of[name]])
            print(f"{damage.__name__.replace('_', ' ')}: {told.get(found, found or 'nobody')}", flush=True)
            if isinstance(found, str):
                rules[damage.__name__] = found
    NOTICING.write_text(json.dumps(rules, indent=1) + "\n")


if __name__ == "__main__":
    main()
