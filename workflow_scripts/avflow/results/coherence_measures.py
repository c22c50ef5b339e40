"""Does a table agree with itself and with the evaluation? Each identity holds exactly, whatever a model does, so it has no range.

`coherent` gives the % of a table's rows for which an identity holds, of the identity that holds least. What each says is in the
functions below, and for Tables 1 to 4 in summed_tables.py; those of a table follow from its columns. Identities whose name begins
with "nearly" need not hold where a model would rather say a word than a letter, as it does when much is taken from it: they may
fail in 5 % of the rows. Free answers have no letters, so they have identities of their own.
"""

import json

import numpy as np
import pandas as pd

from . import summed_tables, where
from .answers import LETTERS
from .route_measures import NOTHING
from .study_tables import Tables
from .summed_tables import NEAR

SURE = 0.01  # logits: where two letters are nearer, rounding decides which of them is answered
RARE = 5.0  # percent of the rows
COUNTS = {"tab2": "video", "tab3": "items"}  # tables of counts -> the dataset that they count
MOSTLY = 0.6  # of the questions of a task: where so many rows repeat another run exactly, there was no other run
PLACE = ["model", "dataset", "task", "layout"]
SETTING = ["variant", "discard", "direction", "kind", "control", "cut"]
RARELY = {"control": ["random_other"], "kind": ["activations", "bins", "map", "norms"]}  # of the first questions of a task alone
OF_QUESTION = ["dataset", "cluster", "task", "group", "needs"]


def _answers(rows: pd.DataFrame) -> dict:
    """Rows with logits of letters: the answer is the largest, the margin is the right one's lead, probabilities are theirs."""
    logits = rows[[f"logit_{letter}" for letter in LETTERS[:4]]].to_numpy(dtype=float)
    best, letters = np.sort(logits, axis=1)[:, -1], np.array(list(LETTERS[:4]))
    lead = best - np.sort(logits, axis=1)[:, -2]
    chances = np.exp(logits - best[:, None])
    chances = chances / chances.sum(1, keepdims=True)
    place = {letter: number for number, letter in enumerate(LETTERS[:4])}
    every = np.arange(len(rows))
    right = np.array([place.get(letter, -1) for letter in rows["gold"]], dtype=int)  # -1: no letter; then nothing holds
    of_letters = rows["p_letters"].to_numpy() if "p_letters" in rows else np.ones(len(rows))
    found = {
        "answer is the largest logit": (letters[logits.argmax(1)] == rows["answer"]) | (lead < SURE),
        "correct is the right answer": (rows["answer"] == rows["gold"]) == rows["correct"],
        "nearly: logp_gold is that of the right letter": np.abs(np.exp(rows["logp_gold"]) - chances[every, right] * of_letters)
        < NEAR,
    }
    if "margin" in rows:
        others = np.where(np.arange(4) == right[:, None], -np.inf, logits).max(1)
        found["margin is the right letter's lead"] = np.abs(logits[every, right] - others - rows["margin"]) < SURE
        found["logp_base is that of the answer"] = np.abs(np.exp(rows["logp_base"]) - chances.max(1) * of_letters) < NEAR
        found["base_token is the answer's"] = (rows["base_token"] - rows["base_token"].min() == logits.argmax(1)) | (lead < SURE)
        whole = rows["p_letters"] + rows["p_other"] + rows["p_variants"]
        found["probabilities sum to 1"] = (whole - 1).abs() < NEAR
        found["letters are said"] = rows["says_letter"] & (rows["p_letters"] > 0.9)
    return found


def _cuts(rows: pd.DataFrame) -> dict:
    """Rows of knockouts: margins say which answers are right, null rows repeat the clean run, and probabilities fit margins."""
    rows = rows[rows["applicable"].astype(bool)]
    null = rows["control"] == "null"
    p, lead = np.exp(rows["logp_base"]), np.exp(rows["margin"].astype(float))
    right = rows["correct_clean"].astype(bool)
    clean = rows[null].drop_duplicates(["question_id", "layout"]).set_index(["question_id", "layout"])["answer"]
    base = clean.reindex(pd.MultiIndex.from_frame(rows[["question_id", "layout"]])).to_numpy()
    sure = rows["margin"].abs() > SURE
    own = rows["answer"] == rows["gold"]
    start, stop, width = (rows[name] for name in ("window_start", "window_stop", "width"))
    return {
        "the sign of the margin says whether the answer is right": ((rows["margin"] > 0) == own) | ~sure,
        "the sign of the clean margin says which answers were right": ((rows["margin_clean"] > 0) == right)
        | (rows["margin_clean"].abs() < SURE),
        "a null row repeats the clean run": ~null
        | ((rows["margin"] - rows["margin_clean"]).abs() < SURE) & ((p - rows["p_base_clean"]).abs() < NEAR),
        "a null row's answer is right where the clean one is": ~null | (own == right) | ~sure,
        "the right answer's probability is at most what its margin allows": ~right | (p < lead / (1 + lead) + NEAR),
        "nearly: it is at least that": ~right | (p > lead / (3 + lead) - 0.1),
        "nearly: an answer that is kept is probable": (rows["answer"] != base) | (p > 0.15),
        "an answer that is lost is improbable": (rows["answer"] == base) | (p < 0.5 + NEAR),
        "the window holds its centre": null | ((start <= rows["centre"]) & (rows["centre"] < stop)),
        "the window is as wide as stated": null | (stop - start <= width) | (rows["style"] != "centred"),
    }


def _replies(rows: pd.DataFrame) -> dict:
    """Free answers of the evaluation: a reply's score is that of its tokens, and what is right says the right words."""
    tokens = rows["logp_reply_tokens"]
    sums, first = (np.array([part(values) for values in tokens], dtype=float) for part in (np.sum, lambda values: values[0]))
    return {
        "a reply's score is that of its tokens": (rows["logp_reply"] - sums).abs() < SURE,
        "its mean is that of its tokens": (rows["logp_reply_mean"] * rows["reply_tokens"] - sums).abs() < SURE,
        "its first token is that of the answer": (rows["logp_base"] - first).abs() < SURE,
        "every token has a number": rows["reply_ids"].map(len) == rows["reply_tokens"],
        "what is right says the right words": (rows["content"] == rows["gold"]) == rows["correct"].astype(bool),
    }


def _cut_replies(rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """Rows of knockouts of free answers: null rows repeat the evaluation, and no reply is likelier than its first token."""
    rows = rows[rows["applicable"].astype(bool)]
    own, null = told.reindex(rows["question_id"]), rows["control"] == "null"
    return {
        "replies are the evaluation's": rows["reply_tokens"].to_numpy() == own["reply_tokens"].to_numpy(),
        "clean scores are the evaluation's": np.abs(rows["logp_reply_clean"].to_numpy() - own["logp_reply"].to_numpy()) < SURE,
        "p_base_clean is that of the first token": np.abs(rows["p_base_clean"].to_numpy() - np.exp(own["logp_base"].to_numpy()))
        < NEAR,
        "a null row repeats the clean run": ~null
        | ((rows["logp_reply"] - rows["logp_reply_clean"]).abs() < SURE)
        & ((np.exp(rows["logp_base"]) - rows["p_base_clean"]).abs() < NEAR),
        "no reply is likelier than its first token": rows["logp_reply"] < rows["logp_base"] + SURE,
    }


def _patches(rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """Rows of patches and conflicts: partners are other questions of the task, and clean scores are those of null rows."""
    theirs, other = told.reindex(rows["partner"]), rows["partner_answer"].notna()
    run = [name for name in ("question_id", "direction") if name in rows]
    null = rows["control"] == "null"
    clean = rows[null].drop_duplicates(run).set_index(run)
    start = clean.reindex(pd.MultiIndex.from_frame(rows[run]) if len(run) > 1 else rows[run[0]])
    base, real = start["answer"].to_numpy(), rows[~null]
    place = [name for name in (*run, "route", "cut", "style", "width") if name in rows]
    found = {
        "a question has one partner": rows.groupby("question_id")["partner"].transform("nunique") == 1,
        "no question is its own partner": rows["partner"] != rows["question_id"],
        "partners have the same task": rows["task"].to_numpy() == theirs["task"].to_numpy(),
        "the partner's answer is another": rows["partner_answer"] != rows["gold"],
        "every run has one null row": null.groupby([rows[name] for name in run]).transform("sum") == 1,
        "every route has all layers": real.groupby(place)["centre"].transform("nunique") == real["centre"].nunique(),
        "every run has all routes": real.groupby(run)["route"].transform("nunique")
        == real.groupby(["dataset", "group"])["route"].transform("nunique"),
        "a null row has the clean score of the partner's answer": ~null
        | ~other
        | ((rows["logp_partner"] - rows["logp_partner_clean"]).abs() < SURE),
        "the partner's answer, if it is the uncut one, has its probability": (base != rows["partner_answer"])
        | ((rows["logp_partner"] - rows["logp_base"]).abs() < SURE),
        "the own answer, if it is the uncut one, leads by the margin at least": (base != rows["gold"])
        | ~other
        | (rows["margin"] < rows["logp_base"] - rows["logp_partner"] + SURE),
        "the partner's answer is not likelier than an uncut one": ~null
        | ~other
        | (rows["logp_partner"] < rows["logp_base"] + SURE),
    }
    for name in ("logp_gold_clean", "logp_partner_clean", "margin_clean", "p_base_clean"):
        same = np.abs(rows[name].to_numpy(dtype=float) - start[name].to_numpy(dtype=float)) < SURE
        found[f"{name} is one number in a run"] = same | rows[name].isna().to_numpy()
    return found


def _resampled(rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """Rows of patches: both directions, and without a patch the own run is the evaluation's."""
    own = rows[(rows["control"] == "null") & (rows["direction"] == "corrupt")]
    return {
        "both directions are run": rows.groupby("question_id")["direction"].transform("nunique") == 2,
        "unpatched answers are the evaluation's": own["answer"].to_numpy()
        == told["answer"].reindex(own["question_id"]).to_numpy(),
        "clean scores are the evaluation's": np.abs(
            own["logp_gold_clean"].to_numpy() - told["logp_gold"].reindex(own["question_id"]).to_numpy()
        )
        < NEAR,
    }


def _mixed(rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """Rows of conflicts: what decides the partner's question, who is known, and that answers are the likelier ones."""
    one = rows[rows["control"] == "null"]
    right = told["correct"].reindex(one["question_id"]).to_numpy(dtype=bool)
    heard, seen = rows["answer"] == rows["partner_answer"], rows["answer"] == rows["gold"]
    lead = rows["logp_partner"] - rows["logp_gold"]
    return {
        "partner_needs is the evaluation's": rows["partner_needs"].to_numpy()
        == told["needs"].reindex(rows["partner"]).to_numpy(),
        "only who is right about the own clip is known": ~one["known"].to_numpy(dtype=bool) | right,
        "known is said of a question": rows.groupby("question_id")["known"].transform("nunique") == 1,
        "the heard answer is the likelier one": ~heard | (lead > -SURE),
        "the seen answer is the likelier one": ~seen | (lead < SURE),
        "the margin is no more than the lead over the heard answer": rows["margin"] < SURE - lead,
        "probabilities sum to at most 1": np.exp(rows["logp_partner"]) + np.exp(rows["logp_gold"]) < 1 + NEAR,
        "both ways of cutting are there": rows[rows["control"] != "null"].groupby("question_id")["cut"].transform("nunique") == 2,
        "a null row has the clean score of the own answer": (rows["control"] != "null")
        | ((rows["logp_gold"] - rows["logp_gold_clean"]).abs() < SURE),
    }


def _draws(rows: pd.DataFrame) -> dict:
    """Draws of a control are different draws."""
    rows = rows[rows["control"].astype(str).str.startswith("random") & rows.get("applicable", True)]
    parts = ("question_id", "layout", "route", "style", "width", "cut", "control", "discard", "layer", "centre")
    key = [name for name in parts if name in rows]
    if not len(rows) or rows["draw"].nunique() < 2:
        return {}
    place = [name for name in key if name not in ("layer", "centre")]
    several = rows.groupby("control")["draw"].transform("nunique") > 1  # a kind of control may have a single draw
    values = rows[several].groupby(key)["logp_base"].nunique() > 1
    return {
        "there are several draws": (rows.groupby(place)["draw"].transform("nunique") > 1) | ~several,
        "nearly: draws differ in some layer": values.groupby(place).any(),
    }


def _discards(rows: pd.DataFrame) -> dict:
    """Rows of pruning and of its sweep: the plan says how many tokens leave and what is saved; answers fit probabilities."""
    key = ["question_id"]
    none = rows[(rows["discard"] == "none")].drop_duplicates(key).set_index(key)
    own = none.reindex(rows["question_id"]).reset_index()
    away = (rows["discard"] != "none").to_numpy()
    p, kept = np.exp(rows["logp_base"].to_numpy(dtype=float)), rows["answer"].to_numpy() == own["answer"].to_numpy()
    gold = np.exp(rows["logp_gold"].to_numpy(dtype=float))
    correct = rows["correct"].to_numpy(dtype=bool)
    found = {
        "correct_clean is the answer without a discard": rows["correct_clean"].to_numpy() == own["correct"].to_numpy(),
        "p_base_clean is that without a discard": np.abs(rows["p_base_clean"].to_numpy() - np.exp(own["logp_base"])) < NEAR,
        "nearly: an answer that is kept is probable": ~kept | (p > 0.15),
        "an answer that is lost is improbable": kept | (p < 0.5 + NEAR),
        "nearly: a right answer is probable": ~correct | (gold > 0.15),
        "a wrong answer is not": correct | (gold < 0.5 + NEAR),
        "right answers are one letter": ~(correct & own["correct"].to_numpy(dtype=bool)) | kept,
        "without a discard nothing changes": away | ((np.abs(rows["kl"]) < 1e-4) & (rows["n_discarded"] == 0)).to_numpy(),
        "a discard takes tokens away": ~away | (rows["n_discarded"] > 0).to_numpy(),
        "no discard costs operations": (rows["flops_llm"].to_numpy() <= own["flops_llm"].to_numpy() * 1.0001),
        "prompts are equally long": rows["n_tokens"].to_numpy() == own["n_tokens"].to_numpy(),
    }
    return found


def _plans(rows: pd.DataFrame, layers: int) -> dict:
    """Rows of pruning: tokens, cache and times follow from the plan, layer -> number of tokens that leave after it."""
    plans = {text: {int(layer): n for layer, n in json.loads(text).items()} for text in rows["plan"].unique()}
    gone = rows["plan"].map(lambda text: sum(plans[text].values()))
    saved = rows["plan"].map(lambda text: sum(n * (layers - 1 - layer) for layer, n in plans[text].items()))
    every = rows.loc[rows["discard"] == "All"].drop_duplicates("question_id").set_index("question_id")["plan"]
    timed = rows["prefill_ms"].notna()
    low, middle, high = (rows[name] for name in ("prefill_ms_low", "prefill_ms", "prefill_ms_high"))
    per_token = (rows["kv_bytes"] / rows["token_layers"]).round(6)
    settings = rows.loc[rows["discard"] != "random", ["setting", "discard"]]
    often = timed[settings.index].groupby([settings["setting"], settings["discard"]]).sum()
    encoders = rows.loc[timed, ["question_id", "encoder_ms"]].drop_duplicates()
    return {
        "every setting is timed equally often": (often.groupby("setting").transform("nunique") == 1) & (often > 0),
        "encoders take the same time in every setting": ~encoders["question_id"].duplicated(),
        "as many tokens leave as planned": gone == rows["n_discarded"],
        "tokens and layers follow from the plan": rows["token_layers"] == rows["n_tokens"] * layers - saved,
        "the cache is that of tokens and layers": per_token == per_token.mode()[0],
        "random discards have the plan of All": (rows["discard"] != "random")
        | (rows["plan"] == every.reindex(rows["question_id"]).to_numpy()),
        "times lie in their range": ~timed | ((low > 0) & (low <= middle) & (middle <= high)),
        "times have encoders and decoding": ~timed | ((rows["encoder_ms"] > 0) & (rows["decode_ms_per_token"] > 0)),
        "a token takes no longer than the prompt, and not much less": ~timed
        | rows["decode_ms_per_token"].groupby(rows["question_id"]).transform("median").between(0.01 * middle, 1.2 * middle),
    }


def _swept(rows: pd.DataFrame) -> dict:
    """Rows of the sweep: a later discard saves less, and a random one as much."""
    cut = rows[rows["control"] != "null"]
    place = ["question_id", "discard", "layer"]
    mine = cut[cut["control"] == "none"].sort_values(place)
    later = mine.groupby(["question_id", "discard"])["flops_llm"].diff()
    own = mine.drop_duplicates(place).set_index(place)[["n_discarded", "flops_llm"]]
    told = own.reindex(pd.MultiIndex.from_frame(cut[place]))
    return {
        "a later discard saves less": ~(later <= 0),
        "random discards take as many tokens": cut["n_discarded"].to_numpy() == told["n_discarded"].to_numpy(),
        "random discards save as much": np.isclose(cut["flops_llm"], told["flops_llm"], rtol=1e-3),
        "every layer is swept once": ~mine.duplicated(place),
    }


def _open(rows: pd.DataFrame) -> dict:
    """Rows of sufficiency: shares are those of the edges, and random edges are as many as those found."""
    whole = rows[rows["kind"] == "all"].drop_duplicates("question_id").set_index("question_id")
    own = whole.reindex(rows["question_id"]).reset_index()
    p = np.exp(rows["logp_base"].to_numpy(dtype=float))
    key = ["question_id", "threshold"]
    told = rows[rows["kind"] == "found"].drop_duplicates(key).set_index(key)["n_kept_edges"]
    random = rows[rows["kind"] == "random"]
    kept = rows["kept"].to_numpy(dtype=bool)
    return {
        "share is that of the edges": np.abs(rows["share"].to_numpy() - rows["n_kept_edges"].to_numpy() / own["n_kept_edges"])
        < NEAR,
        "nearly: kept is the same answer": kept == (rows["answer"].to_numpy() == own["answer"].to_numpy()),
        "nearly: an answer that is kept is probable": ~kept | (p > 0.15),
        "an answer that is lost is improbable": kept | (p < 0.5 + NEAR),
        "all edges leave the answer": (rows["kind"] != "all").to_numpy() | (np.abs(p - rows["p_base_clean"].to_numpy()) < NEAR),
        "random edges are as many": random["n_kept_edges"].to_numpy()
        == told.reindex(pd.MultiIndex.from_frame(random[key])).to_numpy(),
    }


def _attended(rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """Rows of attention: shares sum to 1 in every head, tokens to the prompt, and a run without a mask is the evaluation's."""
    shares = rows[rows["kind"] == "shares"]
    sums = pd.Series([float(np.mean(values)) for values in shares["values"]], index=shares.index)
    sums = sums.groupby([shares["question_id"], shares["layer"]]).transform("sum")
    heads = pd.Series([len(values) for values in shares["values"]])
    lens = rows[rows["kind"] == "lens"]
    total = np.array([np.exp(np.asarray(values, dtype=float)).sum() for values in lens["values"]])
    masked = rows[rows["kind"].isin(["masked", "masked_early"])]
    unmasked = masked[masked["name"] == "none"]
    scores, run = masked["values"].map(lambda values: float(values[0])), [masked[name] for name in ("kind", "question_id")]
    same = scores == scores.where(masked["name"] == "none").groupby(run).transform("max")
    maps = rows[rows["kind"] == "map"]
    squares = np.stack([np.asarray(values, dtype=float) for values in maps["values"]]) if len(maps) else np.zeros((0, 1))
    behind = np.arange(squares.shape[1]) > maps["number"].to_numpy()[:, None]
    whole = maps.groupby(["question_id", "name", "layer"])["number"].transform("nunique") == squares.shape[1]
    counted = rows[rows["kind"] == "tokens"]
    tokens = pd.Series([float(np.sum(values)) for values in counted["values"]], index=counted.index)
    tokens = tokens.groupby(counted["question_id"]).transform("sum")
    return {
        "shares sum to 1": (sums - 1).abs() < NEAR,
        "every layer has all classes": shares.groupby(["question_id", "name"])["layer"].transform("nunique")
        == shares["layer"].nunique(),
        "lines of maps sum to 1": np.abs(squares.sum(1) - 1) < NEAR,
        "maps look back only": np.where(behind, squares, 0).max(1, initial=0) < NEAR,
        "maps have every line": whole,
        "maps have every layer": maps.groupby(["question_id", "name"])["layer"].transform("nunique") == shares["layer"].nunique(),
        "every layer has all heads": heads == heads.median(),
        "probabilities of letters are no more than 1": total < 1 + NEAR,
        "masked answers are right or wrong": (masked["answer"] == masked["gold"]) == masked["correct"].astype(bool),
        "masks change something": (masked["name"] == "none")
        | (same.groupby([masked[name] for name in ("kind", "name")]).transform("mean") < MOSTLY),
        "unmasked answers are the evaluation's": unmasked["answer"].to_numpy()
        == told["answer"].reindex(unmasked["question_id"]).to_numpy(),
        "tokens are the prompt's": tokens.to_numpy() == told["n_tokens"].reindex(counted["question_id"]).to_numpy(),
    }


# What tells a row from others, in the tables that have these columns
ROW = ["question_id", "layout", "route", "style", "width", "centre", "cut", "control", "draw", "variant", "discard", "plan"]
ROW += ["layer", "kind", "name", "number", "threshold", "heads", "direction", "source", "part", "alone"]


def _once(rows: pd.DataFrame) -> dict:
    """No row is there twice, and draws count from 0."""
    found = {"no row is there twice": ~rows.duplicated([name for name in ROW if name in rows])}
    if "draw" in rows:
        found["draws count from 0"] = rows["draw"].isin(range(rows["draw"].nunique()))
    return found


def _whole(rows: pd.DataFrame) -> dict:
    """No row is lost: in a task each question has as many rows as the others, and in each setting. One lost row breaks it."""
    place, setting = ([name for name in names if name in rows] for names in (PLACE, SETTING))
    each = rows.groupby([*place, *setting, "question_id"], dropna=False).size()
    alike = each.groupby([*place, *setting], dropna=False).nunique() == 1
    rare = pd.Series(False, rows.index)  # rows that only the first questions have
    for name, values in RARELY.items():
        rare |= rows[name].isin(values) if name in rows else False
    often = rows[~rare]
    settings = often.groupby([*place, *setting], dropna=False)["question_id"].nunique()
    every = settings.groupby(place, dropna=False).transform("max")
    return {
        "the questions of a task have as many rows": [alike.all()],
        "all questions of a task are in all settings": [(settings == every).all()],
    }


def _named(rows: pd.DataFrame) -> dict:
    """A question's name in the miniature: its dataset, its task and a number, which is also its clip's."""
    one = rows.drop_duplicates("question_id")
    name = one["question_id"].str.extract(r"^(?P<dataset>.*)__(?P<task>.*)_(?P<number>\d+)$")
    of_clip = one["cluster"].str.extract(r"__(.*)_\d+$")[0]
    return {
        "a clip named after a task is its own": (of_clip == one["task"]) | ~of_clip.isin(one["task"]),
        "names tell the dataset": name["dataset"] == one["dataset"].str.replace("-", "_"),
        "names tell the task": name["task"] == one["task"],
        "clips have the question's number": [number in cluster for number, cluster in zip(name["number"], one["cluster"])],
    }


def _as_evaluated(rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """A question's labels, right letter and clean answer are those of the evaluation."""
    rows = rows[rows["question_id"].isin(told.index)]
    own = told.reindex(rows["question_id"])
    ordered = rows["variant"].str.startswith("shuffled").to_numpy() if "variant" in rows else False
    found = {f"{name} is the evaluation's": rows[name].to_numpy() == own[name].to_numpy() for name in OF_QUESTION}
    found |= {"gold is the evaluation's": (rows["gold"].to_numpy() == own["gold"].to_numpy()) | ordered} if "gold" in rows else {}
    if "correct_clean" in rows:
        alike = rows["layout"].to_numpy() == own["layout"].to_numpy()
        near = np.abs(own["margin"].to_numpy()) < SURE
        found["correct_clean is the evaluation's"] = (
            (rows["correct_clean"].to_numpy() == own["correct"].to_numpy()) | ~alike | near
        )
    return found


def _contents(rows: pd.DataFrame) -> dict:
    """The same letter of the same options has the same content, for both models and whatever is taken from the clip."""
    order = rows["variant"].where(rows["variant"].str.startswith("shuffled"), "own")
    same = rows.groupby([rows["question_id"], order, rows["answer"]])["content"].transform("nunique") == 1
    letters = rows.groupby([rows["question_id"], order, rows["content"]])["answer"].transform("nunique") == 1
    return {"a letter has one content": same, "a content has one letter": letters}


def _variants(rows: pd.DataFrame) -> dict:
    """No variant of a clip repeats another: at most few of its questions have exactly another variant's logits."""
    if "variant" not in rows:
        return {}
    logits = [f"logit_{letter}" for letter in LETTERS[:4]]
    again = rows.duplicated(["question_id", *logits], keep=False)
    return {"no variant repeats another": again.groupby([rows["variant"], rows["group"]]).transform("mean") < MOSTLY}


def _lettered(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without free answers."""
    return rows[rows["reply_tokens"].isna()] if "reply_tokens" in rows else rows


def identities(tables: Tables, table: str, model: str) -> dict:
    """Name of every identity that holds for a table -> whether it holds, by row (rows,)."""
    if table in COUNTS:
        told = tables.parquet("evaluate")
        told = told[(told["model"] == model) & (told["dataset"] == tables.datasets[COUNTS[table]])]
        return summed_tables.counts(tables.csv(table), told, model)
    if table.startswith("tab"):
        rows, name = tables.csv(table), "attention" if table == "tab1" else "pruning"
        rows, sources = (some[some["model"] == model] for some in (rows, tables.parquet(name)))
        of_sources = summed_tables.masks if table == "tab1" else summed_tables.discards
        return summed_tables.agrees_with_itself(rows) | of_sources(rows, sources, tables)
    every, told = tables.parquet(table), tables.parquet("evaluate")
    every, told = (some[some["model"] == model] for some in (every, told))
    if not len(every):
        return {}
    rows, found, told = _lettered(every), {}, told.drop_duplicates("question_id").set_index("question_id")
    if len(free := every.drop(rows.index)):
        found |= {
            f"{name} (free)": holds
            for name, holds in (_named(free) | _as_evaluated(free, told) | _once(free) | _whole(free)).items()
        }
        found |= _replies(free) if table == "evaluate" else _cut_replies(free, told)
    return found | _of_letters(tables, table, model, rows, _lettered(told)) if len(rows) else found


def _of_letters(tables: Tables, table: str, model: str, rows: pd.DataFrame, told: pd.DataFrame) -> dict:
    """Identities of the rows whose answers are letters. told: their evaluation, by question."""
    rows = rows[rows["cut"] != "attention"] if table == "where" else rows
    own = rows
    if table == "conflict" or "direction" in rows:  # of other media than the evaluation's
        alike = rows["direction"] == "corrupt" if "direction" in rows else rows["correct_clean"] & False
        own = rows.assign(
            correct_clean=rows["correct_clean"].where(alike, told["correct"].reindex(rows["question_id"]).to_numpy())
        )
    found = _named(rows) | _as_evaluated(own, told) | _once(rows) | _whole(rows)
    if "gold" not in rows:
        rows = rows.assign(gold=told["gold"].reindex(rows["question_id"]).to_numpy())
    if table in ("evaluate", "reliance"):
        every = _lettered(tables.every_answer())
        return found | _answers(rows) | _contents(every[every["model"] == model]) | _variants(rows)
    if table.startswith("knockout_"):
        return found | _cuts(rows) | _draws(rows)
    if table == "where":
        return found | _cuts(rows) | where.agrees_with_itself(rows)
    if table == "conflict":
        return found | _cuts(rows) | _patches(rows, told) | _mixed(rows, told)
    if table == "resample":
        for way, some in rows.groupby("direction"):
            found |= {f"{name} ({way})": holds for name, holds in _cuts(some).items()}
        return found | _patches(rows, told) | _resampled(rows, told)
    if table == "pruning":
        known = rows[rows["gold"].notna()]
        return found | _discards(rows) | _plans(rows, tables.layers(model)) | _answers(known)
    if table == "discard_sweep":
        right = (rows["answer"] == rows["gold"]) == rows["correct"]
        return found | _discards(rows) | _swept(rows) | _draws(rows) | {"correct is the right answer": right}
    return found | (_open(rows) if table == "sufficiency" else _attended(rows, told))


def _coherent(tables, claim, model):
    """% of rows for which an identity holds, of the identity that holds least."""
    rows = tables.csv(claim["table"]) if claim["table"].startswith("tab") else tables.parquet(claim["table"])
    needed = {"tab1": ["attention"], "tab4_video": ["pruning"], "tab4_items": ["pruning"]}.get(claim["table"], [])
    if rows is None or any(tables.parquet(name) is None for name in ["evaluate", *needed]):
        return NOTHING
    found = identities(tables, claim["table"], model)
    if not found:
        return NOTHING
    shares = {name: 100 * float(np.mean(np.asarray(holds, dtype=bool))) for name, holds in found.items() if np.size(holds)}
    least = min(min(100, share + RARE * name.startswith("nearly")) for name, share in shares.items())
    return least, np.nan, np.nan, rows["question_id"].nunique() if "question_id" in rows else int(rows["n"].max())


MEASURES = {"coherent": _coherent}
