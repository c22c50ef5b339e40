"""Seconds from measurements: what each job of the study takes on the measured GPU.

One question's knockouts, and discards after every layer, take this many seconds:

    f * ideal * (seconds of one clean forward) + c * (number of cuts or discards)

f and c of knockouts are fitted to the sweeps of benchmarks/knockout.json. The time of a clean forward is its floating-point
operations divided by the rate of the measured forward nearest in size. All other rates are fitted by benchmarks/stages.py to the
stages of benchmarks/full_size.json: what a job takes besides its questions, what its checks take, and by how much attention in a
sweep of a long prompt is slower than its operations say. Checks, maps and the shares of attention that cuts remove are in
proportion to (query, key) pairs of all heads and layers.
"""

import math

import numpy as np

from ..errors import InputError
from .costs import Shape, flops

WARM_UPS = 3  # untimed runs before the timed ones, as on a GPU in `timing`


def fit(terms, measured, given=None) -> np.ndarray:
    """Coefficients of `terms` (n, k), none negative, by least squares of the relative error. given: known besides them."""
    terms, measured = np.asarray(terms, float), np.asarray(measured, float)
    wanted, used = (measured - (0 if given is None else np.asarray(given, float))) / measured, list(range(terms.shape[1]))
    while used:
        found = np.linalg.lstsq(terms[:, used] / measured[:, None], wanted)[0]
        if found.min() >= 0:
            break
        used.pop(int(found.argmin()))
    coefficients = np.zeros(terms.shape[1])
    coefficients[used] = found if used else []
    return coefficients


def pairs(shape: Shape, tokens: int) -> float:
    """(query, key) pairs of all heads and layers, in units of 10^12."""
    return shape.layers * shape.heads * tokens**2 / 1e12


class Rates:
    """sweeps: benchmarks/knockout.json. stages: benchmarks/full_size.json. shapes: by model. fitted: benchmarks/stages.json."""

    def __init__(self, sweeps: list[dict], stages: list[dict], shapes: dict[str, Shape], fitted=None):
        by_size = {shape.size: shape for shape in shapes.values()}
        sweeps = [
            case for case in sweeps if case["model"] in by_size and "reply" not in case and not case["case"].endswith("heads")
        ]
        if not sweeps:
            raise InputError("benchmarks/knockout.json holds no model of a known size; run benchmarks/knockout.py")
        self.device, self.fitted = sweeps[0]["device"], fitted or {}
        self.stages = {case["model"]: case for case in stages}
        self.swept = [(c["model"], flops(by_size[c["model"]], c["tokens"]), c["clean_ms"] / 1000) for c in sweeps]
        self.forwards = self.swept + [
            (shapes[case["model"]].size, flops(shapes[case["model"]], case["tokens"][s]["all"]), of["none"]["prefill_ms"] / 1000)
            for case in stages
            for s, of in case["discards"].items()
            if case["model"] in shapes and "none" in of
        ]
        terms = [[c["clean_ms"] / 1000 * c["ideal"], c["interventions"]] for c in sweeps]
        self.per_forward, self.per_knockout = fit(terms, [c["rows_s"] for c in sweeps])

    def forward(self, shape: Shape, tokens: int, stacked: bool = False) -> float:
        """Seconds of one clean forward. stacked: of as many rows in a large batch, for which launches cost nothing.

        So the shortest prompts, which are bound by launches, say nothing about a stack.
        """
        wanted = flops(shape, tokens)
        same = [c for c in self.forwards if c[0] == shape.size] or self.forwards
        if stacked:
            same = [c for c in same if c[1] >= min(work for size, work, _ in self.swept if size == c[0])]
        _, work, seconds = min(same, key=lambda c: abs(math.log(c[1] / wanted)))
        return seconds * wanted / work

    def knockouts(self, shape: Shape, tokens: int, ideal: float, count: int) -> float:
        """Seconds of one question's knockouts."""
        swept = self.per_forward * ideal * self.forward(shape, tokens, stacked=True) + self.per_knockout * count
        return swept + self.fitted.get("knockout", {}).get("swept_pairs", 0.0) * ideal * pairs(shape, tokens)

    def checks(self, shape: Shape, tokens: int, value_zero: bool = False) -> float:
        """Seconds that a job of knockouts takes besides its questions: its own, and those of its checks by full forwards."""
        known = self.fitted.get("knockout", {})
        each = known.get("pairs", 0.0) + (known.get("value_zero_pairs", 0.0) if value_zero else 0.0)
        return known.get("job", 0.0) + each * pairs(shape, tokens)

    def answer(self, shape: Shape, tokens: int) -> float:
        """Seconds of one question that is asked once."""
        return self.fitted.get("evaluate", {}).get("forwards", 1.0) * self.forward(shape, tokens)

    def attention(self, shape: Shape, tokens: int) -> tuple[float, float]:
        """Seconds of one question whose attention is read, and what its maps take besides."""
        known = self.fitted.get("attention", {})
        return known.get("forwards", 1.0) * self.forward(shape, tokens), known.get("pairs", 0.0) * pairs(shape, tokens)

    def discards(self, shape: Shape, tokens: int, ideal: float, count: int) -> float:
        """Seconds of one question's discards after every layer."""
        known = self.fitted.get("discard_sweep", {"forwards": self.per_forward, "each": self.per_knockout})
        return known["forwards"] * ideal * self.forward(shape, tokens) + known["each"] * count

    def timings(self, shape: Shape, tokens: int, settings: int, repeats: int, encoders: float) -> float:
        """Seconds to time one question of Table 4: prompt and generated token in every setting, and the encoders."""
        token = shape.layers * self.fitted.get("pruning", {}).get("token_layer", 0.0)
        return (repeats + WARM_UPS) * (settings * (self.forward(shape, tokens) + token) + encoders)

    def job(self, stage: str) -> float:
        """Seconds that a job of a stage takes besides its questions, without loading the model, in a process of its own."""
        known = self.fitted.get(stage, {})
        return known.get("job", 0.0) + known.get("cold", 0.0)

    def encoders(self, model: str, setting: str) -> float:
        """Seconds of the encoders on the one question of benchmarks/full_size.json, as measured; NaN if it was not."""
        told = self.stages.get(model, {}).get("discards", {}).get(setting, {}).get("none", {})
        return told.get("encoder_ms", math.nan) / 1000

    def encode(self, models: list[str], setting: str, tokens: int) -> float:
        """Seconds of one question's encoders, at the fastest rate of a family's `models`, whose encoders are of one size."""
        found = []
        for model in models:
            seconds = self.encoders(model, setting)
            if not math.isnan(seconds):
                counted = self.stages[model]["tokens"][setting]
                media = sum(counted.get(name, 0) for name in ("video", "audio", "candidates", "reference"))
                found.append(seconds / media)
        if not found:
            raise InputError(f"benchmarks/full_size.json holds none of {', '.join(models)}; run benchmarks/full_size.py")
        return tokens * min(found)

    def start(self, model: str) -> float:
        """Seconds to load a model onto the GPU. Raises InputError for a model that was not measured."""
        if model not in self.stages:
            raise InputError(
                f"benchmarks/full_size.json does not hold {model}; run benchmarks/full_size.py on a GPU to measure it"
            )
        return self.stages[model]["stages"]["load"]["seconds"]
