"""The claims about the miniature hold on its finished tables, and turn red when these are damaged.

`PYTHONPATH=workflow_scripts:tests python tests/results/test_damage.py` prints how many claims turn red, for the table in
docs/calibration.md; it takes about five minutes. Also tests avflow.results.study_tables,
avflow.results.answer_measures, avflow.results.attention_measures and avflow.results.calibration_measures.
"""

import os
import tempfile
from pathlib import Path

import damages
import pandas as pd
import pytest
from conftest import ROOT
from finished_tables import finish, fourth_table, tables_of

from avflow.figure_table import decided_by
from avflow.results import claims, measures

CLAIMS = ROOT / "resources" / "claims" / "miniature.yaml"
DRAWS = 2  # verdicts follow from values; only `false_positives` needs intervals
UNNOTICED = set()  # names of damages that no claim notices, each with its reason


class Finished:
    """Name -> a fresh copy of a finished table."""

    def __init__(self, folder: Path):
        self.folder, self.kept = folder, {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self.kept:
            path = self.folder / f"{name}.parquet"
            self.kept[name] = pd.read_parquet(path) if path.is_file() else pd.read_csv(self.folder / f"{name}.csv")
        return self.kept[name].copy()


def write(changed: dict, finished: Path, folder: Path) -> set[str]:
    """A folder of the finished tables with the changed ones in their place. Returns the names of what differs."""
    for path in finished.iterdir():
        if path.stem not in changed:
            os.symlink(path, folder / path.name)
    for name, table in changed.items():
        if (finished / f"{name}.csv").is_file():
            table.to_csv(folder / f"{name}.csv", index=False)
        else:
            table.to_parquet(folder / f"{name}.parquet")
    if "pruning" not in changed:
        return set(changed)
    for kind in ("video", "items"):
        (folder / f"tab4_{kind}.csv").unlink()
    fourth_table(folder, DRAWS)
    return {*changed, "tab4_video", "tab4_items"}


def red(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The claims that agreed and no longer do."""
    key = ["claim", "rule", "model"]
    agreed = after[[*key, "verdict"]].merge(before.loc[before["verdict"] == "agree", key], on=key)
    return agreed[agreed["verdict"] != "agree"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of finished tables, these tables, the rules, and their verdicts."""
    folder = finish(tmp_path_factory.mktemp("finished"), DRAWS)
    rules = claims.read(CLAIMS)
    return folder, Finished(folder), rules, claims.judge(rules, tables_of(folder, DRAWS), least=10)


def test_all_claims_hold_on_the_shipped_tables_but_one_that_lacks_a_control(finished):
    verdicts = finished[-1]
    other = verdicts[verdicts["verdict"] != "agree"]
    assert set(zip(other["claim"], other["model"], other["verdict"])) == {
        ("false positives are rare for the question's size-matched random control", "tiny-salmonn", "not testable")
    }
    assert len(verdicts) >= 300


def turned(finished, damage, folder):
    """Yield the claims that turn red, as tables of some rows each."""
    whole, tables, rules, before = finished
    differing = write(damage(tables), whole, folder)
    damaged = tables_of(folder, DRAWS)
    for claim in sorted(rules, key=lambda claim: "whole" not in claim["claim"]):  # these are quick, and notice most
        decide = {name.split(".")[0] for name in decided_by(claim)}
        if decide & differing and len(found := red(before, claims.judge([claim], damaged, least=10))):
            yield found


@pytest.mark.parametrize("damage", damages.DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_table_turns_a_claim_red(finished, damage, tmp_path):
    first = next(turned(finished, damage, tmp_path), None)
    assert (first is None) == (damage.__name__ in UNNOTICED), first


def test_thirty_kinds_of_damage_are_tried_and_at_most_one_passes():
    assert len({damage.__name__ for damage in damages.DAMAGES}) >= 30
    assert len(UNNOTICED) <= 1


def test_every_measure_is_used_by_a_claim():
    used = {claim["measure"] for study in ("miniature", "paper") for claim in claims.read(CLAIMS.with_name(f"{study}.yaml"))}
    assert used == set(measures.MEASURES)


def main():
    """Print every damage with the number of claims that turn red, models counted separately."""
    with tempfile.TemporaryDirectory() as place:
        folder, rules = finish(Path(tempfile.mkdtemp(dir=place)), DRAWS), claims.read(CLAIMS)
        whole = (folder, Finished(folder), rules, claims.judge(rules, tables_of(folder, DRAWS), least=10))
        for damage in damages.DAMAGES:
            found = sum(map(len, turned(whole, damage, Path(tempfile.mkdtemp(dir=place)))))
            print(f"| {damage.__name__.replace('_', ' ')} | {found} |", flush=True)


if __name__ == "__main__":
    main()
