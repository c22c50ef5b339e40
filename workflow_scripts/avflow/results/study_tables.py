"""The tables of a study as measures read them: each is read once, when a claim first asks for it. An absent table is None."""

from pathlib import Path

import pandas as pd

from . import attention, conflict, effects
from .statistics import cluster_bootstrap

CUT = [*effects.KEY, "route", "width", "centre", "control", "draw"]  # what names a row


class Tables:
    """A study's tables, its models and its datasets, and the settings of intervals."""

    def __init__(self, folder, models: dict, datasets: dict, draws: int, seed: int):
        """models: name -> width of the window; datasets: video, items -> name."""
        self.folder, self.models, self.datasets = Path(folder), models, datasets
        self.draws, self.seed, self.kept = draws, seed, {}

    def once(self, key, compute):
        """compute(), which is called only once for each key."""
        if key not in self.kept:
            self.kept[key] = compute()
        return self.kept[key]

    def path(self, name: str):
        path = self.folder / f"{name}.parquet"
        return path if path.is_file() else None

    def parquet(self, name: str) -> pd.DataFrame | None:
        path = self.path(name)
        return None if path is None else self.once(name, lambda: pd.read_parquet(path))

    def csv(self, name: str) -> pd.DataFrame | None:
        path = self.folder / f"{name}.csv"
        return self.once(f"{name}.csv", lambda: pd.read_csv(path)) if path.is_file() else None

    def dataset(self, claim: dict) -> str:
        """The dataset of a claim: `data` is video (the default), items, or a dataset's name."""
        data = claim.get("data", "video")
        return self.datasets.get(data, data)

    def layers(self, model: str) -> int:
        """The number of a model's layers, from the windows that were cut in it."""

        def found():
            stops = [pd.read_parquet(p, columns=["model", "window_stop"]) for p in self.folder.glob("knockout_figure_*.parquet")]
            return pd.concat(stops).groupby("model")["window_stop"].max()

        return int(self.once("layers", found)[model])

    def knockouts(self, claim: dict, model: str) -> pd.DataFrame | None:
        """A model's rows of `effects.changes` for a claim's analysis, data, cut, style, width and answered; None without table.

        With the random controls. Without `width` it is the model's own. A cut counts once; the measure `complete` tells if there
        are more.
        """
        analysis, cut = claim.get("analysis", "figure_4"), claim.get("cut", "mask")
        if analysis == "conflict":
            return self._mixed(self.dataset(claim), cut, model)
        style, width, answered = claim.get("style", "centred"), claim.get("width"), claim.get("answered", "right")
        path, widths = self.path(f"knockout_{analysis}"), {model: self.models[model] if style == "centred" else None}
        if width is not None:
            widths = {model: width}
        if path is None:
            return None
        options = dict(style=style, answered=answered, cut=cut)
        key = ("knockouts", analysis, self.dataset(claim), model, width, *options.values())
        return self.once(key, lambda: effects.changes(path, widths, self.dataset(claim), **options).drop_duplicates(CUT))

    def _mixed(self, dataset: str, cut: str, model: str) -> pd.DataFrame | None:
        """The same for conflicts, whose changes are those of the preference, in nats."""
        path, key = self.path("conflict"), ("mixed", dataset, cut, model)
        return None if path is None else self.once(key, lambda: conflict.changes(path, [model], [dataset], cut))

    def cuts(self, claim: dict, model: str) -> pd.DataFrame | None:
        """The real cuts among `knockouts`; with `control: random`, the size-matched controls in their place."""
        rows = self.knockouts(claim, model)
        if rows is None:
            return None
        if claim.get("control") == "random":
            key = ("controls", claim.get("analysis", "figure_4"), self.dataset(claim), claim.get("cut", "mask"), model)
            return self.once(key, lambda: effects.random_keys(rows))
        return rows[rows["control"] == "none"]

    def cuts_of(self, claim: dict, model: str, routes: list) -> pd.DataFrame | None:
        """The rows of `cuts` of some routes; None without the table, or if any of the routes has none."""
        names = ("analysis", "data", "cut", "style", "width", "answered", "control")

        def by_route():
            rows = self.cuts(claim, model)
            return {} if rows is None else dict(tuple(rows.groupby("route")))

        parts = self.once(("routes", model, *(str(claim.get(name)) for name in names)), by_route)
        if not set(routes) <= set(parts):
            return None
        return parts[routes[0]] if len(routes) == 1 else pd.concat([parts[route] for route in dict.fromkeys(routes)])

    def every_answer(self) -> pd.DataFrame:
        """The answers of both tables, with the variant."""
        tables = [self.parquet("evaluate").assign(variant="as_is"), self.parquet("reliance")]
        return self.once("answers", lambda: pd.concat(tables))

    def answers(self, claim: dict, model: str) -> pd.DataFrame | None:
        """A model's answers to all questions as they are (variant "as_is"), and to those asked again in every other variant."""
        if not (self.path("reliance") and self.path("evaluate")):
            return None
        rows = self.every_answer()
        return rows[(rows["dataset"] == self.dataset(claim)) & (rows["model"] == model)]

    def attended(self, kinds: tuple, claim: dict, model: str) -> pd.DataFrame | None:
        """A model's rows of some kinds from the table of the rule attention; None without the table."""
        path, data = self.path("attention"), self.dataset(claim)
        if path is None:
            return None
        return self.once(("attention", kinds, data, model), lambda: attention.rows_of(path, kinds, [model], data))

    def interval(self, values, clusters):
        """Mean, low and high of the columns of `values` (n, m), with a pointwise 95 % interval over clips."""
        return cluster_bootstrap(values, clusters, self.draws, self.seed)


def of_group(rows: pd.DataFrame, claim: dict) -> pd.DataFrame:
    """The rows of a claim's group of tasks, or of a list of groups together; "all", the default, takes every row."""
    return rows if claim.get("group", "all") == "all" else rows[in_group(rows, claim)]


def in_group(rows: pd.DataFrame, claim: dict) -> pd.Series | bool:
    """Whether rows are of a claim's group of tasks, or of a list of groups (rows,); True for "all", the default."""
    group = claim.get("group", "all")
    return True if group == "all" else rows["group"].isin([group] if isinstance(group, str) else group)
