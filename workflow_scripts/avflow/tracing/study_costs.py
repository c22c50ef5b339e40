"""What a study costs: seconds and bytes of every part of it, from published facts and measured rates (`costs`)."""

from types import SimpleNamespace

from ..errors import InputError
from . import costs


class StudyCosts:
    """A study of config.yaml, with the facts and rates that determine its costs."""

    def __init__(self, settings: dict, shapes, facts, rates, correct: float):
        self.settings, self.shapes, self.facts, self.rates, self.correct = settings, shapes, facts, rates, correct
        for kind, known in (("models", shapes), ("datasets", facts)):
            unknown = [name for name in settings[kind] if name not in known]
            if unknown:
                raise InputError(f"{unknown[0]} has no row in resources/published/{kind}.csv; add one to estimate its costs")
        self.facts = {**facts, **{name: self._limited(name, facts[name]) for name in settings["datasets"]}}

    def _limited(self, dataset: str, facts: SimpleNamespace) -> SimpleNamespace:
        """The facts of a dataset of which only so many questions of every task are taken, and discarded from."""
        told, found = self.settings["datasets"][dataset], SimpleNamespace(**vars(facts))
        if per_task := told.get("questions"):
            found.questions = min(facts.questions, per_task * facts.tasks)
            found.knockout_questions = min(facts.knockout_questions, per_task * facts.knockout_tasks)
            found.media = facts.media * self.clips(dataset, found.questions) / self.clips(dataset, facts.questions)
            found.in_use = facts.in_use * found.media / facts.media
        most = [told[key] * facts.tasks for key in ("questions", "discard_questions") if key in told]
        found.table_4_questions = min([facts.table_4_questions, *most])
        return found

    def media(self, model: str, dataset: str, other: str | None = None) -> list[costs.Medium]:
        """The media of one question of a dataset: a clip; or four candidates and a reference, at average sizes.

        other: a sampling instead of the model's own.
        """
        facts, family = self.facts[dataset], self.settings["models"][model]["family"]
        sampling = self.settings["sampling"][other or self.settings["models"][model]["sampling"]]
        size = int(facts.width), int(facts.height)
        if self.settings["datasets"][dataset]["setting"] == "av_video":
            return [costs.medium(family, sampling, "video", facts.video_seconds, *size)]
        picture = costs.medium(family, sampling, "image", 0, *size)
        sound = costs.medium(family, sampling, "audio", facts.audio_seconds, *size)
        return [picture] * 4 + [sound]  # image candidates, sound reference: the commoner and the longer direction

    def spans(self, model: str, dataset: str, other: str | None = None):
        setting, media = self.settings["datasets"][dataset]["setting"], self.media(model, dataset, other)
        unions = self.settings["spans"][setting]
        if setting == "av_video":
            return costs.skeleton(setting, media[0], None, None, unions)
        return costs.skeleton(setting, None, media[0], media[-1], unions)

    def encoding(self, model: str, dataset: str, other: str | None = None) -> float:
        """Seconds to encode all questions' media, without starts."""
        facts, media = self.facts[dataset], self.media(model, dataset, other)
        family = self.settings["models"][model]["family"]
        alike = [m for m, shape in self.shapes.items() if self.settings["models"].get(m, {}).get("family") == family]
        tokens, setting = sum(m.tokens for m in media), self.settings["datasets"][dataset]["setting"]
        return facts.media / len(media) * self.rates.encode(alike, setting, tokens)

    def encoded(self, model: str, dataset: str, other: str | None = None) -> float:
        """Seconds to encode all questions' media. other: a sampling instead of the model's own."""
        return self.encoding(model, dataset, other) + self.starts(model, dataset, "features")

    def clips(self, dataset: str, number: float) -> float:
        """About how many clips `number` of a dataset's questions ask about, if drawn evenly. In items, each has its own."""
        facts = self.facts[dataset]
        if self.settings["datasets"][dataset]["setting"] != "av_video":
            return number
        return facts.media * (1 - (1 - min(1.0, number / facts.questions)) ** (facts.questions / facts.media))

    def answered(self, model: str, dataset: str, times: int = 1, first: int | None = None) -> float:
        """Seconds to answer each question, or the `first` of every task, `times` times. Questions about a clip share some."""
        facts, spans = self.facts[dataset], self.spans(model, dataset)
        number = min(facts.questions, first * facts.tasks) if first else facts.questions
        shared = costs.shared_tokens(spans) / spans.length
        runs = number * (1 - shared) + self.clips(dataset, number) * shared
        answer = self.rates.answer(self.shapes[model], spans.length)
        return times * runs * answer + self.starts(model, dataset, "evaluate")

    def relied(self, model: str, dataset: str, variants: int) -> float:
        """Seconds to ask questions in each variant without a sense. Silence and grey are encoded at most once per medium."""
        facts, first = self.facts[dataset], self.settings["datasets"][dataset].get("reliance_questions")
        share = min(1.0, first * facts.tasks / facts.questions) if first else 1.0
        return self.answered(model, dataset, variants, first) + share * self.encoding(model, dataset)

    def frames(self, model: str, dataset: str) -> float:
        """Bytes of a dataset's decoded frames in the model's sampling."""
        media = self.media(model, dataset)
        return self.facts[dataset].media / len(media) * sum(3 * m.frames * m.pixels for m in media)

    def features(self, model: str, dataset: str) -> float:
        """Bytes of a dataset's encoder outputs, in bf16."""
        media, shape = self.media(model, dataset), self.shapes[model]
        numbers = shape.hidden * sum(m.tokens + shape.levels * m.grids * m.per_grid for m in media)
        return 2 * self.facts[dataset].media / len(media) * numbers

    def largest_shard(self, model: str) -> float:
        """Bytes of encoder outputs in a model's largest shard."""
        datasets = self.settings["datasets"]
        return max(self.features(model, name) / dataset["shards"] for name, dataset in datasets.items())

    def starts(self, model: str, dataset: str, stage: str) -> float:
        """Seconds that a job of a stage takes in every shard besides its questions."""
        return self.settings["datasets"][dataset]["shards"] * (self.rates.start(model) + self.rates.job(stage))

    def cuts(self, model: str, dataset: str, budgets: list[dict], other: str | None = None) -> tuple[float, float]:
        """Seconds and rows of an analysis's knockouts in a dataset. Budgets after the first add only their controls.

        Budgets with `tasks` ask for tasks outside the questions for interventions, which are taken to be of the same size.
        """
        facts, shape, seconds, rows = self.facts[dataset], self.shapes[model], 0.0, 0.0
        every = self.settings["datasets"][dataset]["shards"]
        shards = min(every, budgets[0].get("shards", every)) if budgets else every
        spans, width = self.spans(model, dataset, other), self.settings["models"][model]["window"]
        for i, budget in enumerate(budgets):
            asked = budget.get("questions", "correct")
            number = facts.knockout_questions * {"all": 1, "wrong": 1 - self.correct}.get(asked, self.correct)
            tasks = len(budget["tasks"]) if "tasks" in budget else facts.knockout_tasks
            number *= tasks / facts.knockout_tasks
            for most in (asked, budget.get("first")):
                if isinstance(most, int):
                    number = min(number, most * tasks)
            clips, share = self.clips(dataset, number), shards / every
            share *= 0.5 if "strongest" in budget else 1  # the other half of the questions ranks the heads
            number, clips = share * number, share * clips
            if "directions" in budget:  # patches need both clips of a pair encoded, and both runs; questions share nothing
                number *= budget["directions"]
                clips = number
                seconds += number * self.encoding(model, dataset) / facts.questions
            ideal, count = costs.sweep(spans, shape.layers, [budget], width, (shape.heads, shape.kv_heads))
            once, alike = costs.once_per_clip(spans, shape.layers, [budget], width)
            if i:
                base, real = costs.sweep(spans, shape.layers, [{**budget, "controls": {}}], width)
                ideal, count, once, alike = ideal - base, count - real, 0.0, 0
            seconds += number * self.rates.knockouts(shape, spans.length, ideal - once, count - alike)
            seconds += clips * self.rates.knockouts(shape, spans.length, once, alike)
            rows += number * count
        zero = any(budget.get("value_zero") for budget in budgets)
        return seconds + shards * (self.rates.checks(shape, spans.length, zero) + self.rates.start(model)), rows

    def open_choices(self, model: str, dataset: str) -> float:
        """Seconds of the knockouts of all choices that the paper leaves open, with media in another sampling encoded anew."""
        return sum(sum(seconds) for seconds in self.open_jobs(model, dataset))

    def open_jobs(self, model: str, dataset: str) -> list[tuple[float, float]]:
        """The same by job: seconds of its knockouts, and of its media in another sampling."""
        found, (share, jobs) = [], self.settings["open_choices"][model][dataset]
        for job in jobs:
            other, start = job["sampling"], self.cuts(model, dataset, [], job["sampling"])[0]
            cut = start + sum(self.cuts(model, dataset, [budget], other)[0] - start for budget in job["budgets"])
            found.append((share * cut, share * self.encoded(model, dataset, other) if other else 0.0))
        return found

    def first_answers(self, model: str, dataset: str) -> float:
        """Seconds of features and answers in those shards of a dataset in which the choices are shown."""
        share = self.settings["open_choices"][model][dataset][0]
        return share * (self.encoded(model, dataset) + self.answered(model, dataset))

    def discards(self, model: str, dataset: str) -> float:
        """Seconds of discarding after every layer in a dataset; 0 if it is not swept."""
        asked, facts, shape = self.settings["discards"], self.facts[dataset], self.shapes[model]
        if dataset not in asked["swept"]:
            return 0.0
        swept, spans = asked["swept"][dataset], self.spans(model, dataset)
        kinds = asked["kinds"][self.settings["datasets"][dataset]["setting"]]
        ideal, count = costs.discards(spans, shape.layers, kinds, swept["random"], swept["stride"])
        number = min(facts.knockout_questions, swept.get("first", facts.knockout_questions) * facts.knockout_tasks)
        return number * self.rates.discards(shape, spans.length, ideal, count) + self.starts(model, dataset, "discard_sweep")

    def table_4(self, model: str, dataset: str) -> float:
        """Seconds of Table 4's forwards in a dataset, with its media encoded once more, and of its timed questions."""
        asked = self.settings["discards"]
        if dataset not in asked["tried"]:
            return 0.0
        kinds = asked["kinds"][self.settings["datasets"][dataset]["setting"]]
        facts, shape, tokens = self.facts[dataset], self.shapes[model], self.spans(model, dataset).length
        settings, media = 3 + len(kinds) + asked["ranked"], self.encoding(model, dataset) / facts.questions
        each = media + (settings + asked["random"][dataset]) * self.rates.forward(shape, tokens)
        timed, repeats = asked["timed"][dataset]
        timing = min(facts.table_4_questions, timed) * self.rates.timings(shape, tokens, settings, repeats, media)
        return facts.table_4_questions * each + timing + self.starts(model, dataset, "pruning")

    def looks(self, model: str, dataset: str, budget: dict) -> float:
        """Seconds of a budget's full forwards: `forwards` per question. `first`: only the first n questions of every task.

        `again`: the media are encoded for it once more. `maps`: its first questions also have maps of attention.
        """
        facts = self.facts[dataset]
        shards = self.settings["datasets"][dataset]["shards"]
        share = min(1, budget.get("shards", shards) / shards)
        number = min(facts.questions, budget["first"] * facts.knockout_tasks) if "first" in budget else facts.questions
        shape, tokens = self.shapes[model], self.spans(model, dataset).length
        if budget.get("maps"):
            each, maps = self.rates.attention(shape, tokens)
            seconds = number * each + min(number, budget["maps"] * facts.knockout_tasks) * maps
            return share * (seconds + self.starts(model, dataset, "attention"))
        encoded = self.encoded(model, dataset) if budget.get("again") else 0.0
        seconds = number * budget["forwards"] * self.rates.forward(shape, tokens)
        return share * (seconds + encoded + self.starts(model, dataset, "evaluate"))
