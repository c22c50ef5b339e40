"""Measure how often the intervals of avflow hold the truth, and how often a loss is wrongly shown to be small.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/intervals.py --out benchmarks/intervals.json     about 5 minutes, one core
    .venv/bin/python benchmarks/intervals.py --share 0.02 --out /tmp/intervals.json                to see that it runs

The intervals are those of avflow/results/statistics.py. Worlds with a known truth are simulated and analysed like results. All
results are percentages:

    coverage      of nominal 95 % intervals
    missed_low    the whole interval lies above the truth; missed_high: below it
    within        true: coverage is 93 to 97
    rate          false positives of non-inferiority (nominal 2.5 %), when the true loss is the margin
    se            Monte Carlo standard error of coverage or rate

Intervals see effects of five kinds:

    normal        standard normal
    relative      like changes of probability under a cut: 85 % near 0 (standard deviation 1), 15 % fall, mostly to near -100
    rare          the same, but only 5 % fall
    unbounded     lognormal: gains exceed losses
    answers       right or wrong, 90 % right

With `questions` "1-4", each clip has one to four questions, which share half of their effects. A band covers 6 routes x 12
layers, correlated by 0.9 from layer to layer and by 0.5 between routes. For comparison, the results also have the percentile
bootstrap, and a max-t band studentised by the standard error of all draws.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from avflow.results import (
    Clustered,
    cluster_bootstrap,
    non_inferior,
    paired_change,
    paired_score_interval,
    simultaneous_band,
)

CLUSTERS, QUESTIONS, DRAWS = (50, 200, 1000), ("1", "1-4"), 2000
ROUTES, LAYERS = 6, 12


def effect(kind: str, x):
    """Effects of a kind, a monotonic function of standard normal x, and their true mean."""
    if kind == "normal":
        return x, 0.0
    if kind == "unbounded":
        return 100 * (np.exp(-0.2 + 0.6 * x) - 1), 100 * (np.exp(-0.2 + 0.18) - 1)
    if kind == "answers":
        return (x < norm.ppf(0.9)).astype(float), 0.9
    fall = {"relative": 0.15, "rare": 0.05}[kind]
    u = norm.cdf(x)
    small = norm.ppf(np.clip((u - fall) / (1 - fall), 1e-12, 1 - 1e-12))
    return np.where(u < fall, -100 * np.sqrt(np.clip(1 - u / fall, 0, 1)), small), -100 * fall * 2 / 3


def clips(k: int, questions: str, rng):
    """The clip of each question (n,), for k clips."""
    return np.arange(k) if questions == "1" else np.repeat(np.arange(k), rng.integers(1, 5, k))


def shared(clusters, shape, rng):
    """Standard normal numbers (n, *shape). On average, half of them are the same for all questions of a clip."""
    own = rng.normal(size=(len(clusters), *shape))
    if len(clusters) == clusters.max() + 1:
        return own
    common = rng.normal(size=(clusters.max() + 1, *shape))
    return np.where(rng.random((len(clusters), *shape)) < 0.5, common[clusters], own)


def field(clusters, rng):
    """Standard normal numbers (n, routes, layers), correlated between layers and between routes."""
    steps, new = shared(clusters, (ROUTES, LAYERS), rng), np.sqrt(1 - 0.8**2)
    for layer in range(1, LAYERS):
        steps[..., layer] = 0.8 * steps[..., layer - 1] + new * steps[..., layer]
    return np.sqrt(0.5) * (steps + shared(clusters, (1, 1), rng))


def percent(hits) -> tuple[float, float]:
    """The percentage of hits and its standard error."""
    share = float(np.mean(hits))
    return round(100 * share, 1), round(100 * float(np.sqrt(max(share * (1 - share), 1e-4) / len(hits))), 2)


def covered(low, high, true) -> dict:
    """How often intervals hold the truth, and how often they miss it on each side."""
    coverage, se = percent((low <= true) & (true <= high))
    missed = {"missed_low": percent(low > true)[0], "missed_high": percent(high < true)[0]}
    return {
        "coverage": coverage,
        "se": se,
        **missed,
        "within": 93 <= coverage <= 97,
        "width": float(f"{np.mean(high - low):.3g}"),
    }


def means(worlds: int, rng):
    """Pointwise intervals in `worlds` worlds of each kind. 250 worlds at a time are columns over the same clips."""
    for kind in ("normal", "relative", "rare", "unbounded", "answers"):
        for questions in QUESTIONS:
            for k in CLUSTERS:
                ends = {"bca": [], "percentile": []}
                for batch in range(max(1, worlds // 250)):
                    clusters = clips(k, questions, rng)
                    values, true = effect(kind, shared(clusters, (250,), rng))
                    for method, found in ends.items():
                        found.append(cluster_bootstrap(values, clusters, DRAWS, batch, method=method)[1:])
                for method, found in ends.items():
                    low, high = np.concatenate(found, axis=1)
                    about = {"case": "mean", "method": method, "effects": kind, "questions": questions, "clusters": k}
                    yield about | covered(low, high, true)


def fixed_band(values, clusters, draws: int, seed: int):
    """A max-t band, studentised by the standard error of all draws: (mean, low, high), each (routes x layers,)."""
    data = Clustered(values, clusters)
    shifts = np.concatenate([w @ data.off / (w @ data.counts) for _, w in data.resamples(draws, seed)])
    error = shifts.std(0)
    reach = np.quantile((np.abs(shifts) / error).max(1), 0.95)
    return data.mean, data.mean - reach * error, data.mean + reach * error


def bands(worlds: int, rng):
    """Simultaneous bands over all layers and routes."""
    for kind in ("normal", "relative", "unbounded"):
        for questions in QUESTIONS:
            for k in CLUSTERS:
                ends = {"simultaneous": [], "of all draws": []}
                for world in range(worlds if k < 1000 else worlds // 2):  # half as many for 1,000 clips: slow, and least at risk
                    clusters = clips(k, questions, rng)
                    values, true = effect(kind, field(clusters, rng))
                    ends["simultaneous"].append([x.ravel() for x in simultaneous_band(values, clusters, DRAWS, world)[1:]])
                    if questions == "1":
                        ends["of all draws"].append(fixed_band(values, clusters, DRAWS, world)[1:])
                for method, found in ends.items():
                    if found:
                        low, high = np.moveaxis(np.array(found), 1, 0)  # (worlds, layers and routes)
                        coverage, se = percent(((low <= true) & (true <= high)).all(1))
                        about = {"case": "band", "method": method, "effects": kind, "questions": questions, "clusters": k}
                        about |= {"coverage": coverage, "se": se, "within": 93 <= coverage <= 97}
                        yield about | {"width": float(f"{np.mean(high - low):.3g}")}


RATES = ((0.02, 0.02), (0.05, 0.05), (0.2, 0.05), (0.02, 0.1))  # shares of answers that are lost and won


def answers(lost: float, won: float, clusters, rng):
    """Whether answers are right before and after, each (n,) bool. Of the answers that do not change, half are right."""
    u = norm.cdf(shared(clusters, (), rng))
    before = (u < lost) | (u > 0.5 + (lost + won) / 2)
    return before, (before & (u >= lost)) | ((u >= lost) & (u < lost + won))


def changes(worlds: int, rng):
    """Changes of accuracy: Tango's interval, which assumes independent questions, and the clustered one."""
    for lost, won in RATES:
        for questions in QUESTIONS:
            for k in CLUSTERS:
                tango, clustered = [], []
                for world in range(worlds):
                    clusters = clips(k, questions, rng)
                    before, after = answers(lost, won, clusters, rng)
                    counts = int((before & ~after).sum()), int((after & ~before).sum()), len(before)
                    tango.append(paired_score_interval(*counts))
                    clustered.append(paired_change(before, after, clusters, 1000, world)[1:])
                for method, ends in (("Tango", 100 * np.array(tango)), ("paired_change", np.array(clustered))):
                    about = {"case": "change", "method": method, "lost": lost, "won": won, "questions": questions, "clusters": k}
                    yield about | covered(*ends.T, 100 * (won - lost))


def losses(worlds: int, rng):
    """False positives of non-inferiority: the true loss is the margin."""
    for questions in QUESTIONS:
        for k in CLUSTERS:
            shown = []
            for world in range(worlds):
                clusters = clips(k, questions, rng)
                low = paired_change(*answers(0.08, 0.03, clusters, rng), clusters, 1000, world)[1]
                shown.append(non_inferior(low, 5.0))
            about = {"case": "non-inferiority", "method": "paired_change", "lost": 0.08, "won": 0.03, "margin": 5}
            yield {**about, "questions": questions, "clusters": k, **dict(zip(("rate", "se"), percent(shown)))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="share of the worlds to simulate")
    arguments = parser.parse_args()
    rng, found = np.random.default_rng(0), []
    for part, worlds in ((means, 4000), (bands, 400), (changes, 800), (losses, 900)):
        began = time.perf_counter()
        found += part(max(2, int(arguments.share * worlds)), np.random.default_rng(1) if part is losses else rng)
        print(f"{part.__name__}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    lines = ",\n ".join(json.dumps(case) for case in found)
    arguments.out.write_text(f"[\n {lines}\n]\n")


if __name__ == "__main__":
    main()
