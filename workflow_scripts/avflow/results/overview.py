"""Appendices F to I: the effects of every main figure by task and by model, and all models on a normalised depth."""

import numpy as np
import pandas as pd

from . import effects
from .attention import rows_of

FIGURES = {  # main figure -> its subject and the role of its dataset
    "figure_3": ("Fig. 3: interactions", "video"),
    "figure_4": ("Fig. 4: routes to the answer", "video"),
    "figure_5": ("Fig. 5: gathering in the reference", "items"),
    "figure_6": ("Fig. 6: selecting the option", "items"),
}
ITEMS = {name for name, (_, role) in FIGURES.items() if role == "items"}  # in these, orders of templates make routes impossible
COMPARED = {  # routes in which all models are compared
    "figure_3": ["cross_frame", "audio<->video"],
    "figure_4": ["video->question", "audio->question", "question->last"],
    "figure_5": ["candidates->reference", "reference->last"],
    "figure_6": ["correct_candidate->correct_option", "reference->correct_option", "correct_option->last"],
}


def read(tables: dict, models: dict, datasets: dict, reading) -> dict[str, effects.Effects]:
    """Main figure -> its effects, for figures with a table.

    tables: figure -> path, or empty; models: name -> window width; datasets: role -> name. The paper's curves are left out,
    because they are of groups of tasks, and panels here show single tasks or all tasks.
    """
    reading = {**reading, "published": ""}
    roles = {name: role for name, (_, role) in FIGURES.items() if tables.get(name)}
    return {name: effects.read(tables[name], models, datasets[role], reading) for name, role in roles.items()}


def task_shares(path, models, dataset: str) -> pd.DataFrame:
    """Mean share of the last token's attention by model, task, group, layer and class (name)."""
    rows = rows_of(path, ["shares"], models, dataset)
    rows["share"] = [np.mean(heads) for heads in rows["values"]]
    return rows.groupby(["model", "task", "group", "layer", "name"], sort=False)["share"].mean().reset_index()


def normalised(found: dict, depths: dict) -> pd.DataFrame:
    """Mean change over all groups, by model, figure, route and depth.

    The 95 % bands hold all layers and routes of a model in a figure simultaneously. depth: the window's centre divided by the
    model's last layer, 0 to 1. depths: model -> number of layers.
    """
    table = []
    for figure, routes in ((name, routes) for name, routes in COMPARED.items() if name in found):
        for model in dict.fromkeys(found[figure].rows["model"]):
            for route, curve in found[figure].of(model=model).curves(routes).items():
                points = zip(curve.centres, curve.centres / (depths[model] - 1), curve.mean, curve.low, curve.high)
                names = ("centre", "depth", "change", "ci_low", "ci_high")
                asked = found[figure].of(model=model).cut_in([route])[route][1]
                about = dict(model=model, figure=figure, route=route, n=curve.n, n_asked=asked)
                table += [about | dict(zip(names, p)) for p in points]
    columns = ["model", "figure", "route", "n", "n_asked", "centre", "depth", "change", "ci_low", "ci_high"]
    return pd.DataFrame(table, columns=columns)
