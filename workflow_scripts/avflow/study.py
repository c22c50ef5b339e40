"""Read config.yaml into a Study: which models answer which datasets, and what is cut, read and discarded.

    study = Study.read("config.yaml", study="miniature")
    study.models, study.analyses, study.budget("figure_4", "mini-video"), study.routes("figure_4")

The rules take every list from a Study; a notebook can do the same. figure_table.py holds what each figure needs, and jobs.py what
each rule's jobs are told. A bad configuration raises InputError with one line. Importing this module loads neither torch nor
Snakemake.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from . import places
from .config_checks import check_names, check_order, check_routes, check_sampling, check_schema, check_spans
from .errors import InputError

OWN_RULES = ("resample", "conflict", "where")  # parts of config.yaml with a rule, a table and a figure app_<part> of their own
SETTINGS_OF = {"video": "av_video", "items": "items"}  # role of a dataset in a study -> the setting it must have


class Study:
    """One study of config.yaml. Lists keep the order of config.yaml, except that the main model comes first.

    config: the contents of config.yaml; missing keys with a default are filled in, and the study's `changes` made, in place.
    folder: the start of relative paths.
    Raises InputError if a key, a value or a name is wrong.
    """

    def __init__(self, config: dict, folder: Path | str = "."):
        check_schema(config)
        self.config, self.folder = config, Path(folder)
        self.name: str = config["study"]
        check_names("study", [self.name], config["studies"])
        self.chosen: dict = config["studies"][self.name]
        if changes := self.chosen.get("changes"):
            config.update(places.merged(config, changes))
            check_schema(config)
        self.main_model: str = self.chosen["main_model"]
        self.video: str = self.chosen["video"]
        self.items: str = self.chosen["items"]
        self.discards: dict[str, dict[str, list[str]]] = self.chosen.get("discards", {})  # part of Table 4 -> dataset -> tasks
        self.tried: list[str] = list(dict.fromkeys(name for tasks in self.discards.values() for name in tasks))
        self._check_every_name()
        self._check_checkpoints()
        self.models: list[str] = sorted(self.chosen["models"], key=lambda name: name != self.main_model)
        self.datasets: list[str] = self.chosen["datasets"]
        self.roles: dict[str, str] = self._roles()
        self.settings: dict[str, str] = {self.setting(name): name for name in self.roles}  # setting -> the study's dataset of it
        self._check_discards()
        self.swept: list[str] = [name for name in self.settings.values() if name in self.tried]  # discards after every layer
        self.cuts: dict[str, dict] = config["knockout"]["cuts"]
        self.analyses: list[str] = [name for name in self.cuts if self.cut_in(name)]
        self._check_orders()
        self._check_strongest()
        self.attended: list[str] = [d for d in self.datasets if self.asked("attention", d) is not None]
        self.patched: list[str] = self._chosen_in("resample")
        self.mixed: list[str] = self._chosen_in("conflict")  # datasets of clips whose pictures are asked about with another sound
        self.located: list[str] = self._chosen_in("where")  # datasets of clips whose times and places are cut
        self._check_spans()
        self.kept_open: list[str] = [  # datasets that are also answered with only the found routes open
            d
            for d in self.datasets
            if self.asked("sufficiency", d) is not None
            and any(self.budget(name, d) is not None for name in config["sufficiency"]["analyses"])
        ]
        self.shipped: bool = config["tables"] == "shipped"  # draw figures from the shipped tables and compute nothing
        if self.shipped and self.name != "miniature":
            raise InputError(
                f"config.yaml: tables is 'shipped', but study is {self.name!r}; only miniature has shipped tables: leave one out"
            )
        self.paths: dict[str, str] = self._paths()
        places.check_all(self)

    @classmethod
    def read(cls, path: Path | str = "config.yaml", study: str | None = None, **changes) -> "Study":
        """Read a study from a config.yaml. study: its name, by default the file's; changes: new values of top-level keys.

        Raises InputError if the file cannot be read, or as `Study` does.
        """
        import yaml

        try:
            config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
        return cls({**config, **({"study": study} if study else {}), **changes}, Path(path).parent)

    @property
    def stamp(self) -> str:
        """What every figure of the study says at its head, such as "pilot, n = 100"; empty for most studies."""
        return self.chosen.get("stamp", "")

    # One model or dataset.

    def model(self, name: str) -> dict:
        return self.config["models"][name]

    def dataset(self, name: str) -> dict:
        return self.config["datasets"][name]

    def setting(self, dataset: str) -> str:
        """av_video or items."""
        return self.dataset(dataset)["setting"]

    @property
    def windows(self) -> dict[str, int]:
        """Model -> number of layers in a knockout window, main model first."""
        return {name: self.model(name)["window"] for name in self.models}

    @property
    def keeps_frames(self) -> bool:
        return self.chosen.get("keep_frames", True)

    @property
    def keeps_features(self) -> bool:
        return self.chosen.get("keep_features", True)

    def datasets_of_type(self, *types: str) -> list[str]:
        """All datasets of config.yaml that have one of these types."""
        return [name for name, dataset in self.config["datasets"].items() if dataset["type"] in types]

    # What is cut and read in each dataset.

    def budget(self, analysis: str, dataset: str) -> dict | None:
        """What an analysis cuts in a dataset, or None if it does not cut there.

        If figures show the logit difference, all questions are cut, because it is defined for wrong answers too.
        """
        cuts = self.cuts[analysis]
        special = cuts["datasets"].get(dataset, cuts["datasets"].get(self.roles.get(dataset)))
        if special is None:
            return None
        wanted = {key: value for key, value in cuts.items() if key != "datasets"} | special
        if self.config["figures"].get("metric") == "logit_difference" and wanted.get("questions") != "wrong":
            most = [wanted[key] for key in ("questions", "first") if isinstance(wanted.get(key), int)]
            wanted |= {"questions": "all", **({"first": min(most)} if most else {})}
        return wanted

    def budgets(self, analysis: str, dataset: str) -> list[dict]:
        """The same as a list of budgets for knockout.py. Random controls get their own budget if they use fewer questions."""
        wanted = self.budget(analysis, dataset)
        few = (wanted or {}).get("controls", {}).get("questions")
        if wanted is None or few is None:
            return [] if wanted is None else [wanted]
        controls = {kind: draws for kind, draws in wanted["controls"].items() if kind != "questions"}
        plain = {key: value for key, value in wanted.items() if key != "controls"}
        return [plain, plain | {"controls": controls, "first": min(few, plain.get("first", few))}]

    def cut_in(self, analysis: str) -> list[str]:
        """The study's datasets in which an analysis cuts."""
        return [dataset for dataset in self.datasets if self.budget(analysis, dataset) is not None]

    def routes(self, analysis: str) -> list[str]:
        """The routes that an analysis's figure draws; none for an analysis that config.yaml lacks.

        A dataset may have routes of its own. Of these, the figure draws those that the analysis has, too.
        """
        return self.cuts.get(analysis, {}).get("routes", [])

    def asked(self, part: str, dataset: str) -> dict | None:
        """Which questions of a dataset a part of config.yaml, such as "attention", uses, or None if it does not use it."""
        settings = self.config[part]["datasets"]
        return settings.get(dataset, settings.get(self.roles.get(dataset)))

    def _chosen_in(self, part: str) -> list[str]:
        """The study's datasets in which a part, one of `OWN_RULES`, asks questions. None without the part."""
        return [d for d in self.datasets if part in self.config and self.asked(part, d) is not None]

    # Files. Models and datasets with a `repo` in config.yaml come from the hub.

    def from_hub(self, kind: str) -> list[str]:
        """The study's "models" or "datasets" that are downloaded from the hub."""
        return [name for name in getattr(self, kind) if "repo" in self.config[kind][name]]

    def checkpoint_folder(self, model: str) -> str:
        """The folder of a model's checkpoint: the user's own, or the download."""
        given = self.model(model).get("checkpoint")
        return self.found(given) if given else f"{self.paths['downloads']}/models/{model}"

    def media_root(self, dataset: str) -> str:
        """The folder from which media paths in a dataset's questions start."""
        given = self.dataset(dataset).get("media_folder")
        return self.found(given) if given else f"{self.paths['results']}/datasets/{dataset}"

    def questions_file(self, dataset: str) -> str:
        """The file that a dataset's questions are prepared from: the user's own, or the one that the miniature renders."""
        given = self.dataset(dataset).get("questions_file")
        return self.found(given) if given else f"{self.media_root(dataset)}/test.csv"

    def questions_made(self, dataset: str, end: str = "jsonl") -> str:
        """The file of a dataset's questions in the shared shape, or with "dropped.tsv" of those that were left out."""
        return f"{self.paths['results']}/questions/{dataset}.{end}"

    def media_folder(self, dataset: str) -> str:
        """The folder that holds a dataset's media."""
        root = self.media_root(dataset)
        return root if "media_folder" in self.dataset(dataset) else f"{root}/media"

    @property
    def claims(self) -> list[str]:
        """The file of claims, or none."""
        return [self.found(self.chosen["claims"])] if "claims" in self.chosen else []

    def found(self, path: str) -> str:
        """A path of config.yaml: from the working directory or, if nothing is there, the repository's file of this path."""
        return places.found(path, self.folder)

    def own(self, path: str) -> str:
        """A file of the repository, wherever the working directory is."""
        return places.own(path, self.folder)

    def shards(self, stage: str, datasets: Iterable[str] | None = None, models=None, below: str = "") -> list[str]:
        """All shards of one stage of the computation, or only those of some datasets or models. below: an analysis's folder."""
        return [
            f"{self.paths['results']}/{stage}/{model}/{dataset}{below}/{n}.parquet"
            for dataset in (self.datasets if datasets is None else datasets)
            for n in range(self.dataset(dataset)["shards"])
            for model in models or self.models
        ]

    def table(self, name: str) -> str:
        """The path of a table of the study, such as "tab1.csv"."""
        return f"{self.paths['tables']}/{name}"

    def knockout_tables(self, *analyses: str) -> list[str]:
        """The knockout tables of these analyses, without analyses that the study lacks."""
        return [self.table(f"knockout_{name}.parquet") for name in analyses if name in self.analyses]

    @property
    def attends_video(self) -> bool:
        """True if attention is read in the study's own audio-visual video, as Figures 1 and 2 and Table 1 need."""
        return self.roles.get(self.video) == "video" and self.video in self.attended

    def check_writable(self) -> None:
        """Raise InputError if results or logs cannot be written. Called before any job starts."""
        for folder in (Path(self.paths["results"]), Path(self.paths["logs"])):
            there = next(p for p in (folder, *(self.folder / folder).absolute().parents) if p.is_dir())
            if not os.access(there, os.W_OK):
                raise InputError(
                    f"{folder} cannot be written (read-only disk, or permissions of {there}); change that, or put it elsewhere:"
                    " use a symbolic link, or pathvars in a config file"
                )

    # Checks of the configuration, run once.

    def _check_every_name(self) -> None:
        config, where, chosen = self.config, f"studies/{self.name}", self.chosen
        datasets = ["video", "items", *config["datasets"]]
        check_names(f"{where}/models", chosen["models"], config["models"])
        check_names(f"{where}/main_model", [self.main_model], chosen["models"])
        check_names(f"{where}/datasets", chosen["datasets"], config["datasets"])
        check_names(f"{where}/video and items", [self.video, self.items], chosen["datasets"])
        check_names("datasets (their setting)", map(self.setting, chosen["datasets"]), config["spans"])
        check_names(f"{where}/discards", self.tried, config["datasets"])
        check_names("pruning/kinds (for discards)", map(self.setting, self.tried), config["pruning"]["kinds"])
        for name, analysis in config["knockout"]["cuts"].items():
            check_names(f"knockout/cuts/{name}/datasets", analysis["datasets"], datasets)
        for part in ("attention", "sufficiency", *(part for part in OWN_RULES if part in config)):
            check_names(f"{part}/datasets", config[part]["datasets"], datasets)
        for dataset in config.get("where", {}).get("datasets", {}):
            if dataset == "items" or dataset in config["datasets"] and self.setting(dataset) != "av_video":
                raise InputError(f"config.yaml: where/datasets names {dataset!r}, which has no clips; name a dataset of av_video")
        check_names("sufficiency/analyses", config["sufficiency"]["analyses"], config["knockout"]["cuts"])
        for name, model in config["models"].items():
            check_names(f"models/{name}/sampling", [model["sampling"]], config["sampling"])
        for name, how in config["sampling"].items():
            check_sampling(name, how)

    def _check_orders(self) -> None:
        for name, dataset in self.config["datasets"].items():
            if "layout" in dataset and dataset["setting"] != "items":
                raise InputError(
                    f"config.yaml: datasets/{name}/layout is {dataset['layout']!r}, but only datasets of setting items have a"
                    f" layout, and this one is of {dataset['setting']}; remove it"
                )
        for analysis in self.analyses:
            for dataset in self.cut_in(analysis):
                orders = self.budget(analysis, dataset).get("layouts", [])
                check_order(f"knockout/cuts/{analysis}/layouts", dataset, self.setting(dataset), orders)

    def _check_spans(self) -> None:
        """Every route that the study uses must name spans that its dataset's questions have, and so must unions of spans."""
        unions = self.config["spans"]
        for setting in dict.fromkeys(map(self.setting, [*self.datasets, *self.tried])):
            check_spans(f"spans/{setting}", setting, unions[setting])
            if setting in map(self.setting, self.tried):
                for kind, about in self.config["pruning"]["kinds"][setting].items():
                    where = f"pruning/kinds/{setting}/{kind}"
                    check_spans(where, setting, {"tokens": [about["tokens"]]}, unions[setting])
                    check_routes(f"{where}/routes", about["routes"], setting, unions[setting])
        for where, routes, setting in self._routes():
            check_routes(where, routes, setting, unions[setting])

    def _routes(self) -> Iterable[tuple[str, list[str], str]]:
        """(key of config.yaml, its routes, the setting of a dataset that uses them), for all that is cut, masked or patched."""
        for name in self.analyses:
            for dataset in self.cut_in(name):
                yield f"knockout/cuts/{name}/routes", self.budget(name, dataset).get("routes", []), self.setting(dataset)
        masks = self.config["attention"]
        if "av_video" in map(self.setting, self.attended):  # items are looked at without masks
            yield "attention/masked", masks["masked"], "av_video"
            yield "attention/masked_early/routes", masks["masked_early"]["routes"], "av_video"
            yield "attention/change/route", [masks["change"]["route"]], "av_video"
        for setting in map(self.setting, self.patched):
            yield f"resample/routes/{setting}", self.config["resample"]["routes"][setting], setting
        for setting in map(self.setting, self.mixed):
            yield "conflict/routes", self.config["conflict"]["routes"], setting

    def _check_strongest(self) -> None:
        """The analysis that ranks heads must cut single ones, in the same datasets as the analysis that cuts the strongest."""
        for analysis, dataset in ((name, d) for name in self.analyses for d in self.cut_in(name)):
            if strongest := self.budget(analysis, dataset).get("strongest"):
                where, of = f"knockout/cuts/{analysis}/strongest/of", strongest["of"]
                check_names(where, [of], self.cuts)
                if "heads" not in (self.budget(of, dataset) or {}):
                    raise InputError(f"config.yaml: {where} names {of!r}, which cuts no single heads in {dataset}; add `heads`")

    def _check_checkpoints(self) -> None:
        for name in self.chosen["models"]:
            given = self.model(name).get("checkpoint", "")
            if "repo" not in self.model(name) and not (self.folder / self.found(given) / "config.json").is_file():
                raise InputError(f"config.yaml: models/{name}/checkpoint is {given!r}, which holds no checkpoint (config.json)")

    def _roles(self) -> dict[str, str]:
        """Dataset -> its role, "video" or "items". A study with only one kind of dataset names it for both roles."""
        roles = {}
        for role, setting in SETTINGS_OF.items():
            name = self.chosen[role]
            if self.setting(name) == setting:
                roles[name] = role
            elif self.video != self.items:
                raise InputError(
                    f"config.yaml: studies/{self.name}/{role} is {name!r}, which has another setting; name a dataset of {setting}"
                )
        return roles

    def _check_discards(self) -> None:
        for name in self.tried:
            own = self.settings.get(self.setting(name))
            if own not in self.tried:
                raise InputError(
                    f"config.yaml: studies/{self.name}/discards names {name!r}, of setting {self.setting(name)}, but not the"
                    f" study's own dataset of that setting ({own}), on which the layers are chosen; add it"
                )

    def _paths(self) -> dict[str, str]:
        """Snakemake's path variables; `pathvars` in config.yaml win. Downloads lie apart, so deleting results keeps them."""
        given = self.config.get("pathvars", {})
        results = given.get("results", "results/shipped" if self.shipped else f"results/{self.name}")
        logs = "logs/shipped" if self.shipped else f"logs/{self.name}"
        drawn = self.own("figures/shipped") if self.shipped else results  # figures read files below this folder
        found = {"results": results, "logs": logs, "downloads": "downloads", "tables": f"{results}/tables", "drawn": drawn}
        return {**found, **{name: given[name] for name in given if name in found}}
