"""Damages to finished tables, as a faulty pipeline would leave them.

Each takes `tables` (name -> DataFrame, a fresh copy at every access) and returns the tables that it changes by name.
"""

import numpy as np
import pandas as pd

FIGURES = ("knockout_figure_3", "knockout_figure_4", "knockout_figure_5", "knockout_figure_6")
VIDEO, ITEMS = FIGURES[:2], FIGURES[2:]
OUTCOME = ["logp_base", "margin", "answer"]  # what a cut changes; the rest of a row says what was cut
DAMAGES = []


def damage(function):
    DAMAGES.append(function)
    return function


def real(rows):
    return rows["control"] == "none"


def of_route(rows, route):
    return rows["route"] == route


def moved(rows, layers: int):
    """Every outcome is written to the row of a window that many layers later."""
    key = ["model", "question_id", "layout", "route", "style", "width", "cut", "control", "draw"]
    last = int(rows["centre"].max())
    source = rows[real(rows)].copy()
    source["centre"] = source["centre"] + layers
    whole = rows[real(rows)][[*key, "centre"]]
    whole = whole.assign(nearest=whole["centre"].clip(max(0, layers), min(last, last + layers)))
    values = whole.merge(
        source[[*key, "centre", *OUTCOME]].rename(columns={"centre": "nearest"}), on=[*key, "nearest"], how="left"
    )
    rows.loc[real(rows), OUTCOME] = values[OUTCOME].to_numpy()
    return rows.astype({"logp_base": float, "margin": float})


def scaled(rows, factor, where=None):
    """Every change in %, and in logits, times a factor."""
    where = real(rows) if where is None else where
    base = rows["p_base_clean"].astype(float)
    change = factor * (np.exp(rows["logp_base"].astype(float)) / base - 1)
    rows["logp_base"] = rows["logp_base"].where(~where, np.log((base * (1 + change)).clip(1e-9)))
    rows["margin"] = rows["margin"].where(~where, rows["margin_clean"] + factor * (rows["margin"] - rows["margin_clean"]))
    return rows


def smoothed(rows, which):
    """Every outcome is the lowest ("min") or highest ("max") of its own window's and the two beside it."""
    rows = rows.sort_values(["model", "question_id", "layout", "route", "control", "draw", "width", "style", "centre"])
    groups = rows[real(rows)].groupby(["model", "question_id", "layout", "route", "width", "style"], sort=False)
    for name in ("logp_base", "margin"):
        wide = groups[name].rolling(3, center=True, min_periods=1).agg(which)
        rows.loc[real(rows), name] = wide.to_numpy()
    return rows


def swapped(rows, column, one, other):
    rows[column] = rows[column].replace({one: other, other: one})
    return rows


def routes_swapped(rows, one, other, kinds=("none",)):
    """Two routes exchange names, in real cuts or in controls, too."""
    mine = rows["control"].isin(list(kinds))
    rows.loc[mine, "route"] = rows.loc[mine, "route"].replace({one: other, other: one})
    return rows


def in_figures(change, names=FIGURES):
    return lambda tables: {name: change(tables[name]) for name in names}


# Where


@damage
def outcomes_one_layer_late(tables):
    return in_figures(lambda rows: moved(rows, 1))(tables)


@damage
def outcomes_one_layer_early(tables):
    return in_figures(lambda rows: moved(rows, -1))(tables)


@damage
def outcomes_three_layers_late(tables):
    return in_figures(lambda rows: moved(rows, 3))(tables)


@damage
def windows_of_five_layers(tables):
    return in_figures(lambda rows: smoothed(rows, "min"))(tables)


@damage
def windows_of_one_layer(tables):
    return in_figures(lambda rows: smoothed(rows, "max"))(tables)


@damage
def another_window_cut_than_stated(tables):
    def change(rows):
        rows.loc[real(rows), "window_stop"] = (rows["window_stop"] + 1).clip(upper=int(rows["window_stop"].max()))
        return rows

    return in_figures(change)(tables)


@damage
def one_model_cut_in_windows_of_five_in_one_figure(tables):
    rows = tables["knockout_figure_5"]
    mine = rows["model"] == "tiny-salmonn"
    return {"knockout_figure_5": pd.concat([rows[~mine], smoothed(rows[mine], "min")])}


@damage
def figure_3_one_layer_late_for_one_model(tables):
    rows = tables["knockout_figure_3"]
    mine = rows["model"] == "tiny-salmonn"
    return {"knockout_figure_3": pd.concat([rows[~mine], moved(rows[mine], 1)])}


@damage
def the_last_layers_windows_lost(tables):
    return in_figures(lambda rows: rows[rows["centre"] < 11])(tables)


@damage
def every_other_window_left_out(tables):
    return in_figures(lambda rows: rows[(rows["centre"] % 2 == 0) | ~real(rows)])(tables)


@damage
def every_cut_made_twice(tables):
    return in_figures(lambda rows: pd.concat([rows, rows[real(rows)]]))(tables)


# Which route


@damage
def frames_and_sound_segments_swapped(tables):
    kinds = ("none", "random_other")
    return in_figures(lambda rows: routes_swapped(rows, "cross_frame", "cross_audio_segment", kinds), FIGURES[:1])(tables)


@damage
def cross_frame_not_cut(tables):
    rows = tables["knockout_figure_3"]
    return {"knockout_figure_3": scaled(rows, 0, of_route(rows, "cross_frame") & real(rows))}


@damage
def sound_and_sight_do_not_exchange(tables):
    rows = tables["knockout_figure_3"]
    return {"knockout_figure_3": scaled(rows, 0, of_route(rows, "audio<->video") & real(rows))}


@damage
def the_exchange_cut_one_way_only_halves_it(tables):
    rows = tables["knockout_figure_3"]
    return {"knockout_figure_3": scaled(rows, 0.5, of_route(rows, "audio<->video") & real(rows))}


@damage
def figure_5_not_cut_but_for_one_route(tables):
    rows = tables["knockout_figure_5"]
    return {"knockout_figure_5": scaled(rows, 0, ~of_route(rows, "candidates->reference") & real(rows))}


@damage
def candidates_that_read_each_other_not_cut(tables):
    rows = tables["knockout_figure_5"]
    return {"knockout_figure_5": scaled(rows, 0, of_route(rows, "cross_candidate") & real(rows))}


@damage
def reference_and_candidates_to_last_swapped(tables):
    return in_figures(lambda rows: routes_swapped(rows, "reference->last", "candidates->last"), FIGURES[2:3])(tables)


@damage
def reference_and_question_to_last_swapped(tables):
    return in_figures(lambda rows: routes_swapped(rows, "reference->last", "question->last"), FIGURES[2:3])(tables)


@damage
def into_the_reference_swapped(tables):
    return in_figures(lambda rows: routes_swapped(rows, "candidates->reference", "question->reference"), FIGURES[2:3])(tables)


@damage
def figure_6_not_cut(tables):
    return {"knockout_figure_6": scaled(tables["knockout_figure_6"], 0)}


@damage
def right_and_wrong_options_swapped(tables):
    return in_figures(lambda rows: routes_swapped(rows, "correct_option->last", "incorrect_options->last"), FIGURES[3:])(tables)


@damage
def right_and_wrong_candidates_swapped(tables):
    rows = tables["knockout_figure_6"]
    for target in ("last", "correct_option"):
        rows = routes_swapped(rows, f"correct_candidate->{target}", f"incorrect_candidates->{target}")
    return {"knockout_figure_6": rows}


@damage
def reference_and_candidate_to_option_swapped(tables):
    one, other = "reference->correct_option", "correct_candidate->correct_option"
    return in_figures(lambda rows: routes_swapped(rows, one, other), FIGURES[3:])(tables)


@damage
def audio_and_video_swapped(tables):
    return in_figures(lambda rows: routes_swapped(rows, "audio->question", "video->question"), FIGURES[1:2])(tables)


@damage
def question_and_its_words_swapped(tables):
    names = FIGURES[1], "knockout_question_words"
    both = pd.concat([tables[name].assign(name=name) for name in names], ignore_index=True)
    few = both["question_id"].isin(both.loc[both["name"] == names[1], "question_id"])
    swapped = both.assign(
        route=routes_swapped(both.copy(), "question->last", "question_text->last")["route"].where(few, both["route"])
    )
    of = {"question->last": names[0], "question_text->last": names[1]}
    swapped["name"] = swapped["route"].map(of).where(real(swapped) & swapped["route"].isin(of), swapped["name"])
    return {name: swapped[swapped["name"] == name].drop(columns="name") for name in names}


@damage
def targets_to_last_not_cut(tables):
    return in_figures(lambda rows: scaled(rows, 0, rows["route"].str.endswith("->last") & real(rows)))(tables)


# Which question


@damage
def directions_swapped_in_figure_5(tables):
    return in_figures(lambda rows: swapped(rows, "group", "A2I", "I2A"), FIGURES[2:3])(tables)


@damage
def directions_swapped_in_figure_6(tables):
    return in_figures(lambda rows: swapped(rows, "group", "A2I", "I2A"), FIGURES[3:])(tables)


@damage
def hear_and_see_swapped(tables):
    return in_figures(lambda rows: swapped(rows, "group", "hear", "see"), FIGURES[1:2])(tables)


@damage
def tasks_that_need_both_swapped(tables):
    return in_figures(lambda rows: swapped(rows, "group", "while-hear", "while-see"), FIGURES[1:2])(tables)


@damage
def tasks_about_order_swapped_in_figure_3(tables):
    return in_figures(lambda rows: swapped(rows, "group", "hear-before", "see-before"), FIGURES[:1])(tables)


@damage
def stated_and_named_swapped_in_figure_6(tables):
    return in_figures(lambda rows: swapped(rows, "group", "stated", "named"), FIGURES[3:])(tables)


@damage
def by_aspect_and_repeated_swapped_in_figure_5(tables):
    return in_figures(lambda rows: swapped(rows, "group", "by-aspect", "repeated"), FIGURES[2:3])(tables)


@damage
def labels_scrambled(tables):
    def change(rows):
        labels = rows.drop_duplicates("question_id").set_index("question_id")["group"]
        drawn = pd.Series(np.random.default_rng(0).permutation(labels.to_numpy()), labels.index)
        return rows.assign(group=rows["question_id"].map(drawn))

    return in_figures(change)(tables)


@damage
def half_of_the_questions_lost(tables):
    return in_figures(lambda rows: rows[rows["question_id"].str[-1].astype(int) % 2 == 0])(tables)


@damage
def a_task_lost(tables):
    return in_figures(lambda rows: rows[rows["group"] != "while-see"], VIDEO)(tables)


@damage
def outcomes_of_the_next_question(tables):
    def change(rows):
        rows = rows.sort_values(["model", "route", "control", "draw", "centre", "question_id"])
        rows[["p_base_clean", "margin_clean"]] = rows[["p_base_clean", "margin_clean"]].shift(1).bfill()
        return rows

    return in_figures(change)(tables)


@damage
def models_swapped(tables):
    return in_figures(lambda rows: swapped(rows, "model", "tiny-omni", "tiny-salmonn"), FIGURES[1:2])(tables)


@damage
def one_models_rows_used_for_both(tables):
    def change(rows):
        mine = rows[rows["model"] == "tiny-omni"]
        return pd.concat([mine, mine.assign(model="tiny-salmonn")])

    return in_figures(change)(tables)


# How much


@damage
def effects_halved(tables):
    return in_figures(lambda rows: scaled(rows, 0.5))(tables)


@damage
def effects_a_third_larger(tables):
    return in_figures(lambda rows: scaled(rows, 4 / 3))(tables)


@damage
def effects_with_the_other_sign(tables):
    return in_figures(lambda rows: scaled(rows, -1))(tables)


@damage
def effects_as_shares_not_percent(tables):
    return in_figures(lambda rows: scaled(rows, 0.01))(tables)


@damage
def mean_effects_drowned_by_noise(tables):
    def change(rows):
        noise = np.random.default_rng(0).normal(0, 0.3, len(rows))
        rows["logp_base"] = rows["logp_base"] + noise * real(rows)
        return rows

    return in_figures(change)(tables)


@damage
def half_precision_noise_between_batches(tables):
    def change(rows):
        null = rows["control"] == "null"
        noise = np.random.default_rng(0).normal(0, 0.01, len(rows))
        rows["logp_base"] = rows["logp_base"] + noise * null
        return rows

    return in_figures(change)(tables)


@damage
def null_rows_lost(tables):
    return in_figures(lambda rows: rows[rows["control"] != "null"])(tables)


@damage
def controls_equal_to_routes(tables):
    def change(rows):
        key = ["model", "question_id", "route", "centre"]
        cut = rows[real(rows)].drop_duplicates(key).set_index(key)[OUTCOME]
        random = rows["control"] == "random_other"
        rows.loc[random, OUTCOME] = cut.reindex(pd.MultiIndex.from_frame(rows.loc[random, key])).to_numpy()
        return rows.astype({"logp_base": float, "margin": float})

    return in_figures(change)(tables)


@damage
def controls_lost(tables):
    return in_figures(lambda rows: rows[rows["control"] != "random_other"])(tables)


@damage
def values_kept_where_they_were_to_be_dropped(tables):
    mask = tables["knockout_figure_4"]
    zero = tables["knockout_value_zero"]
    few = mask[mask["question_id"].isin(zero["question_id"]) & mask["route"].isin(zero["route"].unique())]
    few = few[few["control"].isin(["none", "null"])]
    return {"knockout_value_zero": few.assign(cut=np.where(few["control"] == "none", "value_zero", few["cut"]))}


@damage
def values_not_dropped(tables):
    return {"knockout_value_zero": scaled(tables["knockout_value_zero"], 0)}


# Tables 1 to 4


@damage
def table_1_loses_30_points(tables):
    table = tables["tab1"]
    masked = table["setting"] != "none"
    table.loc[masked, ["accuracy", "change", "ci_low", "ci_high"]] -= 30
    return {"tab1": table}


@damage
def table_1_loses_30_points_without_a_mask_too(tables):
    return {"tab1": tables["tab1"].assign(accuracy=lambda table: table["accuracy"] - 30)}


@damage
def table_1_masked_in_all_layers(tables):
    return {"tab1": tables["tab1"].assign(first_layer=0)}


def early(table):
    return table["part"] == "early"


@damage
def table_1_without_effect_of_its_positive_control(tables):
    table = tables["tab1"]
    table.loc[early(table) & (table["setting"] != "none"), ["change", "ci_low", "ci_high"]] = 0
    return {"tab1": table}


@damage
def table_1_masks_sound_for_sight_in_its_positive_control(tables):
    table = tables["tab1"]
    return {
        "tab1": pd.concat([table[~early(table)], swapped(table[early(table)].copy(), "setting", "audio->text", "video->text")])
    }


@damage
def table_1_loses_answers_that_its_positive_control_leaves(tables):
    table = tables["tab1"]
    table.loc[early(table) & (table["group"] == "see") & (table["setting"] == "audio->text"), "change"] -= 10
    return {"tab1": table}


@damage
def table_1_without_a_setting(tables):
    table = tables["tab1"]
    return {"tab1": table[table["setting"] != "media->text"]}


@damage
def table_2_counts_half_of_the_answers(tables):
    table = tables["tab2"]
    return {"tab2": table.assign(**{"correct_tiny-omni": table["correct_tiny-omni"] // 2})}


@damage
def table_3_loses_questions(tables):
    table = tables["tab3"]
    return {"tab3": table.assign(n=table["n"] - 10)}


@damage
def table_4_loses_every_answer(tables):
    rows = tables["pruning"]
    return {"pruning": rows.assign(correct=rows["correct"] & (rows["discard"] == "none"))}


@damage
def table_4_loses_a_tenth_in_one_cell(tables):
    table = tables["tab4_items"]
    cell = (table["setting"] == "Cand") & (table["task"] == "audio-to-image A2I")
    table.loc[cell, ["accuracy", "change"]] = table.loc[cell, ["accuracy", "change"]] - 10
    return {"tab4_items": table}


@damage
def table_4_loses_answers_on_other_tasks(tables):
    rows = tables["pruning"]
    lost = (rows["dataset"] == "mini-graded") & (rows["discard"] == "All") & rows["question_id"].str.endswith(("1", "2"))
    return {"pruning": rows.assign(correct=rows["correct"] & ~lost)}


@damage
def random_discards_are_the_chosen_ones(tables):
    rows = tables["pruning"]
    return {"pruning": rows.assign(correct=rows["correct"] | (rows["discard"] == "random"))}


@damage
def discards_save_nothing(tables):
    rows = tables["pruning"]
    base = rows[rows["discard"] == "none"].set_index(["model", "question_id"])["flops_llm"]
    return {"pruning": rows.assign(flops_llm=base.reindex(pd.MultiIndex.from_frame(rows[["model", "question_id"]])).to_numpy())}


@damage
def discards_three_layers_late(tables):
    rows = tables["discard_sweep"]
    return {"discard_sweep": rows.assign(layer=rows["layer"].where(rows["control"] == "null", rows["layer"] + 3))}


# Answers


@damage
def faint_tasks_rendered_plainly(tables):
    rows = tables["evaluate"]
    return {"evaluate": rows.assign(correct=rows["correct"] | rows["task"].str.contains("faint"))}


@damage
def muted_and_blanked_swapped(tables):
    return {"reliance": swapped(tables["reliance"], "variant", "muted", "blanked")}


@damage
def text_alone_still_has_media(tables):
    rows = tables["reliance"]
    return {"reliance": rows.assign(correct=rows["correct"] | (rows["variant"] == "text_only"))}


@damage
def shuffled_options_read_in_the_old_order(tables):
    rows = tables["reliance"]
    old = rows["variant"].str.startswith("shuffled")
    content = rows["content"].where(~old, rows["content"].shift(1))
    return {"reliance": rows.assign(content=content)}


@damage
def every_answer_is_the_first_letter(tables):
    return {"evaluate": tables["evaluate"].assign(answer="A")}


@damage
def a_tenth_of_the_answers_wrong(tables):
    rows = tables["evaluate"]
    return {"evaluate": rows.assign(correct=rows["correct"] & ~rows["question_id"].str.endswith("7"))}


@damage
def orders_of_the_prompt_mixed_up(tables):
    return {"knockout_order_items": swapped(tables["knockout_order_items"], "layout", "paper_eq3", "reference_first")}


def dials_reversed(rows):
    """The rows of graded tasks, as if each dial had been turned the other way."""
    for one, other in (("either-0", "either-100"), ("either-25", "either-75")):
        rows = swapped(rows, "group", one, other)
    return rows


@damage
def graded_tasks_reversed(tables):
    return {"knockout_graded": dials_reversed(tables["knockout_graded"])}


@damage
def widths_mixed_up(tables):
    return {"knockout_windows": swapped(tables["knockout_windows"], "width", 1, 3)}


@damage
def cuts_up_to_and_from_a_layer_swapped(tables):
    return {"knockout_cumulative": swapped(tables["knockout_cumulative"], "style", "top_down", "bottom_up")}


@damage
def options_split_mixed_up(tables):
    return {"knockout_options": routes_swapped(tables["knockout_options"], "non_options->last", "incorrect_options->last")}


@damage
def wrong_answers_replaced_by_right_ones(tables):
    rows = tables["knockout_failed"]
    return {"knockout_failed": rows.assign(correct_clean=~rows["correct_clean"])}


# Attention


def attended(change):
    return lambda tables: {"attention": change(tables["attention"])}


@damage
def attention_to_sound_and_sight_swapped(tables):
    return attended(lambda rows: swapped(rows, "name", "audio", "video"))(tables)


@damage
def attention_one_layer_late(tables):
    return attended(lambda rows: rows.assign(layer=rows["layer"] + (rows["kind"] == "shares")))(tables)


@damage
def attention_of_half_of_the_heads(tables):
    def change(rows):
        half = [values / 2 if kind == "shares" else values for kind, values in zip(rows["kind"], rows["values"])]
        return rows.assign(values=half)

    return attended(change)(tables)


@damage
def sinks_everywhere(tables):
    def change(rows):
        marked = rows[rows["kind"] == "sink_dimensions"]
        sinks = marked.assign(kind="sinks", name="question", number=1.0, values=[np.array([3.0])] * len(marked))
        return pd.concat([rows, sinks])

    return attended(change)(tables)


@damage
def readout_without_the_last_norm(tables):
    def change(rows):
        flat = [values * 0.3 if kind == "lens" else values for kind, values in zip(rows["kind"], rows["values"])]
        return rows.assign(values=flat)

    return attended(change)(tables)


@damage
def readout_one_layer_early(tables):
    return attended(lambda rows: rows.assign(layer=rows["layer"] - (rows["kind"] == "lens")))(tables)


@damage
def found_and_random_edges_swapped(tables):
    return {"sufficiency": swapped(tables["sufficiency"], "kind", "found", "random")}


@damage
def twice_as_many_edges_stay_open(tables):
    rows = tables["sufficiency"]
    return {"sufficiency": rows.assign(share=rows["share"] * (1 + rows["kind"].isin(["found", "random"])))}


# Patches with another clip's keys and values


def patched(change):
    """A damage of the patches alone; `change` takes their rows."""
    return lambda tables: {"resample": change(tables["resample"])}


def patches(rows):
    return rows["control"] == "none"


def unpatched(rows, where):
    """These patches leave the answer and its probability as they are."""
    key = ["model", "question_id", "direction"]
    null = rows[rows["control"] == "null"].set_index(key)["answer"]
    rows.loc[where, "answer"] = null.reindex(pd.MultiIndex.from_frame(rows.loc[where, key])).to_numpy()
    rows.loc[where, "logp_base"] = np.log(rows.loc[where, "p_base_clean"])
    return rows


@damage
def patches_with_the_own_clips_keys(tables):
    return patched(lambda rows: unpatched(rows, patches(rows)))(tables)


@damage
def one_route_never_patched(tables):
    return patched(lambda rows: unpatched(rows, patches(rows) & of_route(rows, "candidates->question")))(tables)


@damage
def patches_only_into_one_run(tables):
    return patched(lambda rows: unpatched(rows, patches(rows) & (rows["direction"] == "restore")))(tables)


@damage
def sound_and_sight_swapped_in_patches(tables):
    return patched(lambda rows: swapped(rows, "route", "audio->question", "video->question"))(tables)


@damage
def both_runs_of_a_pair_swapped(tables):
    return patched(lambda rows: swapped(rows, "direction", "corrupt", "restore"))(tables)


@damage
def patches_two_layers_late(tables):
    return patched(lambda rows: rows.assign(centre=rows["centre"] + 2 * patches(rows)))(tables)


@damage
def patches_of_half_strength(tables):
    def change(rows):
        after = 0.5 * (np.exp(rows["logp_base"]) + rows["p_base_clean"])
        return rows.assign(logp_base=np.where(patches(rows), np.log(after), rows["logp_base"]))

    return patched(change)(tables)


@damage
def keys_dropped_instead_of_patched(tables):
    """The target reads nothing instead of the partner's source, so the answer is guessed and follows nobody."""

    def change(rows):
        fallen = patches(rows) & (np.exp(rows["logp_base"]) / rows["p_base_clean"] < 0.5)
        rows.loc[fallen, "logp_base"] = np.log(0.27 * rows.loc[fallen, "p_base_clean"])
        rows.loc[fallen, "answer"] = [("A", "B", "C", "D")[n % 4] for n in range(fallen.sum())]
        return rows

    return patched(change)(tables)


@damage
def partners_answers_lost(tables):
    """The run on the partner's clip is stored as that on the own clip."""

    def change(rows):
        key = ["model", "question_id"]
        null = rows["control"] == "null"
        own = rows[null & (rows["direction"] == "corrupt")].set_index(key)["answer"]
        rows.loc[null, "answer"] = own.reindex(pd.MultiIndex.from_frame(rows.loc[null, key])).to_numpy()
        return rows

    return patched(change)(tables)


# Controls, figure by figure


def control(rows):
    return rows["control"] == "random_other"


def controls_of(change):
    """One damage per main figure: to its controls."""
    for name in FIGURES:

        def made(tables, name=name):
            return {name: change(tables[name])}

        made.__name__ = f"{change.__name__}_in_{name.removeprefix('knockout_')}"
        damage(made)


@controls_of
def controls_never_cut(rows):
    return scaled(rows, 0, control(rows))


@controls_of
def controls_cut_a_tenth(rows):
    return scaled(rows, 0.1, control(rows))


@controls_of
def controls_lost_by_name(rows):
    return rows[~control(rows)]


@controls_of
def controls_without_numbers(rows):
    for name in ("logp_base", "margin"):
        rows[name] = rows[name].where(~control(rows))
    return rows


@controls_of
def controls_one_layer_late(rows):
    key = ["model", "question_id", "route", "draw"]
    mine = rows[control(rows)].sort_values([*key, "centre"])
    for name in ("logp_base", "margin", "answer"):
        mine[name] = mine.groupby(key)[name].shift(1).fillna(mine[name])
    return pd.concat([rows[~control(rows)], mine])


@damage
def controls_of_one_route_never_cut(tables):
    rows = tables["knockout_figure_6"]
    return {"knockout_figure_6": scaled(rows, 0, control(rows) & of_route(rows, "correct_option->last"))}


@damage
def controls_of_one_model_lost(tables):
    rows = tables["knockout_figure_5"]
    return {"knockout_figure_5": rows[~(control(rows) & (rows["model"] == "tiny-salmonn"))]}


def first_draw_for_all(rows, mine, key, columns):
    """The rows `mine` of later draws hold what the first draw of the same key holds."""
    first = rows[mine & (rows["draw"] == 0)].set_index(key)[columns]
    later = mine & (rows["draw"] > 0)
    rows = rows.astype({name: object for name in columns})
    rows.loc[later, columns] = first.reindex(pd.MultiIndex.from_frame(rows.loc[later, key])).to_numpy()
    return rows


@damage
def controls_drawn_with_one_seed(tables):
    rows = tables["knockout_figure_6"]
    rows = first_draw_for_all(rows, control(rows), ["model", "question_id", "route", "centre"], OUTCOME)
    return {"knockout_figure_6": rows.astype({"logp_base": float, "margin": float, "answer": str})}


@damage
def random_discards_drawn_with_one_seed(tables):
    rows = tables["discard_sweep"]
    key = ["model", "question_id", "discard", "layer"]
    kinds, columns = rows.dtypes, [name for name in rows if name.startswith(("log", "kl", "answer")) or name == "correct"]
    rows = first_draw_for_all(rows, rows["control"] == "random", key, columns)
    return {"discard_sweep": rows.astype({name: kinds[name] for name in columns})}


# An effect where nothing is planted


def invented(rows, route, group, model=None):
    mine = real(rows) & of_route(rows, route) & (rows["group"] == group) & rows["centre"].between(4, 6)
    mine &= True if model is None else rows["model"] == model
    base = rows["p_base_clean"].astype(float)
    rows["logp_base"] = rows["logp_base"].where(~mine, np.log(0.4 * base))
    rows["margin"] = rows["margin"].where(~mine, -0.2)
    return rows


INVENTED = (
    ("knockout_figure_3", "cross_frame", "hear-before", None),
    ("knockout_figure_3", "audio<->video", "see-before", "tiny-omni"),
    ("knockout_figure_4", "video->question", "hear-before", None),
    ("knockout_figure_4", "audio->last", "see-before", "tiny-salmonn"),
    ("knockout_question_words", "question_text->tail", "see-before", None),
    ("knockout_figure_5", "cross_candidate", "by-aspect", None),
    ("knockout_figure_5", "question->reference", "stated", "tiny-omni"),
    ("knockout_figure_5", "candidates->question", "image-to-audio-faint-56", None),
    ("knockout_figure_6", "reference->correct_option", "I2A", "tiny-omni"),
    ("knockout_figure_6", "incorrect_candidates->correct_option", "named", None),
    ("knockout_figure_6", "question->correct_option", "image-to-audio-faint-56", "tiny-salmonn"),
    ("knockout_windows", "video->question", "hear", None),
    ("knockout_cumulative", "video->question", "while-see", None),
    ("knockout_options", "audio->correct_option", "see-before", None),
    ("knockout_graded", "audio->question", "either-0", None),
    ("knockout_value_zero", "video->question", "while-hear", None),
    ("knockout_failed", "video->last", "hear-faint-45", "tiny-omni"),
)
for place in INVENTED:

    def made_up(tables, place=place):
        name, route, group, model = place
        return {name: invented(tables[name], route, group, model)}

    made_up.__name__ = "an effect made up for {1} in {2} of {0}".format(*place).replace("knockout_", "").replace(" ", "_")
    damage(made_up)


# Tables of other figures

OTHER = ("windows", "cumulative", "options", "failed", "graded", "value_zero", "order_video", "order_items")


def of_other(change):
    """One damage per other table of knockouts."""
    for name in OTHER:

        def made(tables, name=f"knockout_{name}"):
            return {name: change(tables[name])}

        made.__name__ = f"{change.__name__}_in_{name}"
        damage(made)


@of_other
def cuts_are_zero(rows):
    return scaled(rows, 0)


@of_other
def outcomes_one_layer_late_there(rows):
    return moved(rows, 1)


@of_other
def a_route_is_lacking(rows):
    return (
        rows[rows["route"] != "question->last"]
        if (rows["route"] == "question->last").any()
        else rows[rows["route"] != rows["route"].iloc[-1]]
    )


@damage
def values_half_dropped(tables):
    rows = tables["knockout_value_zero"]
    return {"knockout_value_zero": scaled(rows, 0, real(rows) & (rows["group"] == "see"))}


@damage
def figure_6_to_the_last_token_not_cut_in_a2i(tables):
    rows = tables["knockout_figure_6"]
    return {"knockout_figure_6": scaled(rows, 0, real(rows) & rows["route"].str.endswith("->last") & (rows["group"] == "A2I"))}


# Discards


def discarded(name):
    """One damage per setting: its rows are copies of those without a discard."""

    def made(tables):
        rows = tables["pruning"]
        none = rows[rows["discard"] == "none"]
        return {"pruning": pd.concat([rows[rows["discard"] != name], none.assign(discard=name)])}

    made.__name__ = f"{name}_never_discarded".replace("-", "_").replace(".", "_")
    damage(made)


for setting in ("Ques", "Audio", "Video", "Ref", "Cand", "VTW", "FastV-0.5"):
    discarded(setting)


@damage
def one_kind_never_discarded_in_the_sweep(tables):
    rows = tables["discard_sweep"]
    base = rows[rows["control"] == "null"].set_index(["model", "question_id"])
    mine = (rows["discard"] == "Ref") & (rows["control"] == "none")
    columns = ["correct", "answer", "logp_base", "logp_gold", "kl"]
    rows.loc[mine, columns] = base[columns].reindex(pd.MultiIndex.from_frame(rows.loc[mine, ["model", "question_id"]])).to_numpy()
    return {"discard_sweep": rows.astype({"correct": bool, "logp_base": float, "logp_gold": float, "kl": float})}


@damage
def withdrawal_and_ranking_lose_every_answer(tables):
    rows = tables["pruning"]
    return {"pruning": rows.assign(correct=rows["correct"] & ~rows["discard"].str.contains("VTW|FastV"))}


@damage
def times_are_zero(tables):
    rows = tables["pruning"]
    return {"pruning": rows.assign(**{name: rows[name] * 0 for name in ("prefill_ms", "encoder_ms", "decode_ms_per_token")})}


@damage
def one_setting_is_not_timed(tables):
    rows = tables["pruning"]
    return {"pruning": rows.assign(prefill_ms=rows["prefill_ms"].where(rows["discard"] != "Audio"))}


# Labels


@damage
def all_answers_count_as_right(tables):
    return in_figures(lambda rows: rows.assign(correct_clean=True), ("knockout_failed", "knockout_order_items"))(tables)


@damage
def intervals_draw_questions_instead_of_clips(tables):
    return in_figures(lambda rows: rows.assign(cluster=rows["question_id"]), (*FIGURES, "evaluate", "attention"))(tables)


@damage
def faint_questions_lost(tables):
    return in_figures(lambda rows: rows[~rows["group"].str.contains("faint")])(tables)


@damage
def senses_that_tasks_need_swapped(tables):
    return {"evaluate": swapped(tables["evaluate"], "needs", "A", "V")}


@damage
def letters_are_not_said(tables):
    return {"evaluate": tables["evaluate"].assign(says_letter=False)}


@damage
def letters_have_half_of_the_probability(tables):
    rows = tables["evaluate"]
    return {"evaluate": rows.assign(p_letters=rows["p_letters"] / 2)}


@damage
def thresholds_one_step_off(tables):
    rows = tables["sufficiency"]
    steps = sorted(rows["threshold"].unique())
    return {"sufficiency": rows.assign(threshold=rows["threshold"].map(dict(zip(steps, [*steps[1:], steps[0]]))))}


# Maps and shares


def zeroed(layer):
    """One damage per layer of Figure 1: its shares are zero."""

    def made(tables):
        rows = tables["attention"]
        mine = (rows["kind"] == "shares") & (rows["layer"] == layer)
        rows["values"] = [values * 0 if here else values for values, here in zip(rows["values"], mine)]
        return {"attention": rows}

    made.__name__ = f"shares_of_layer_{layer}_are_zero"
    damage(made)


for layer in (0, 4, 7, 10):
    zeroed(layer)


@damage
def shares_are_equal_in_all_layers(tables):
    def change(rows):
        mine = rows["kind"] == "shares"
        key = ["model", "question_id", "name"]
        first = rows[mine & (rows["layer"] == 6)].set_index(key)["values"]
        rows.loc[mine, "values"] = first.reindex(pd.MultiIndex.from_frame(rows.loc[mine, key])).to_numpy()
        return rows

    return attended(change)(tables)


@damage
def maps_of_the_cut_are_those_without_it(tables):
    def change(rows):
        key = ["model", "question_id", "layer", "number"]
        uncut = rows[(rows["kind"] == "map") & (rows["name"] == "uncut")].set_index(key)["values"]
        cut = (rows["kind"] == "map") & (rows["name"] == "cut")
        rows.loc[cut, "values"] = uncut.reindex(pd.MultiIndex.from_frame(rows.loc[cut, key])).to_numpy()
        return rows

    return attended(change)(tables)


@damage
def maps_of_a_neighbouring_layer(tables):
    return attended(lambda rows: rows.assign(layer=rows["layer"].where(rows["kind"] != "map", (rows["layer"] + 1) % 12)))(tables)


# Conflicts and sinks


@damage
def answers_to_sound_and_pictures_swapped_in_conflicts(tables):
    rows = tables["conflict"]
    return {"conflict": rows.rename(columns={"gold": "partner_answer", "partner_answer": "gold"})}


@damage
def conflicts_without_another_sound(tables):
    """The own sound is left in place, so the own answer wins."""
    rows = tables["conflict"]
    null = rows["control"] == "null"
    return {"conflict": rows.assign(answer=rows["answer"].where(~null, rows["gold"]))}


@damage
def graded_tasks_reversed_in_conflicts(tables):
    return {"conflict": dials_reversed(tables["conflict"])}


@damage
def sound_and_pictures_patched_for_each_other(tables):
    return {"conflict": routes_swapped(tables["conflict"], "audio->question", "video->question")}


def patched_with(change):
    """Conflicts in which the scores of patches are changed."""

    def damaged(tables):
        rows = tables["conflict"]
        return {"conflict": change(rows, rows["cut"] == "resample")}

    return damaged


@damage
def conflicts_not_patched(tables):
    def change(rows, patched):
        scores = {name: rows[name].where(~patched, rows[f"{name}_clean"]) for name in ("logp_gold", "logp_partner")}
        return rows.assign(**scores)

    return patched_with(change)(tables)


@damage
def conflicts_patched_three_layers_late(tables):
    return patched_with(lambda rows, patched: rows.assign(centre=rows["centre"] + 3 * patched))(tables)


@damage
def cuts_and_patches_of_conflicts_swapped(tables):
    rows = tables["conflict"]
    real = rows["control"] == "none"
    cut = rows["cut"].map({"mask": "resample", "resample": "mask"})
    return {"conflict": rows.assign(cut=rows["cut"].where(~real, cut))}


@damage
def unknown_pairs_counted(tables):
    return {"conflict": tables["conflict"].assign(known=True)}


@damage
def every_token_counts_as_a_sink(tables):
    return {"knockout_sinks": tables["knockout_sinks"].assign(applicable=True)}


@damage
def pairs_with_two_answers_answered_from_the_sound(tables):
    rows = tables["conflict"]
    both = (rows["control"] == "null") & (rows["needs"] == "V") & (rows["partner_needs"] == "A")
    return {"conflict": rows.assign(answer=rows["answer"].where(~both, rows["partner_answer"]))}


def conflicts_of(cut, change, *groups):
    """A damage of the cuts or patches of conflicts in some tasks; `change` takes the rows and where they are."""

    def damaged(tables):
        rows = tables["conflict"]
        return {"conflict": change(rows, (rows["cut"] == cut) & real(rows) & rows["group"].isin(groups))}

    return damaged


def as_uncut(rows, where):
    """These rows of conflicts are as the run without a cut."""
    key = ["model", "question_id"]
    null = rows[rows["control"] == "null"].set_index(key)["answer"]
    rows.loc[where, "answer"] = null.reindex(pd.MultiIndex.from_frame(rows.loc[where, key])).to_numpy()
    for name in ("logp_gold", "logp_partner", "margin"):
        rows.loc[where, name] = rows.loc[where, f"{name}_clean"]
    rows.loc[where, "logp_base"] = np.log(rows.loc[where, "p_base_clean"])
    return rows


def weaker(rows, where):
    """These cuts move scores and margin by two thirds of what they do."""
    for name in ("logp_gold", "logp_partner", "margin"):
        rows.loc[where, name] = (2 * rows.loc[where, name] + rows.loc[where, f"{name}_clean"]) / 3
    return rows


@damage
def cuts_of_one_conflict_not_made(tables):
    return conflicts_of("mask", as_uncut, "while-hear")(tables)


@damage
def patches_of_a_graded_conflict_not_made(tables):
    return conflicts_of("resample", as_uncut, "either-75")(tables)


@damage
def patches_of_a_graded_conflict_weaker(tables):
    return conflicts_of("resample", weaker, "either-25")(tables)


@damage
def cuts_of_a_graded_conflict_weaker(tables):
    return conflicts_of("mask", weaker, "either-100")(tables)


@damage
def patches_of_a_conflict_lost(tables):
    rows = tables["conflict"]
    return {"conflict": rows[~((rows["cut"] == "resample") & (rows["group"] == "see-faint-63") & real(rows))]}


@damage
def winner_of_either_50_always_heard(tables):
    rows = tables["conflict"]
    where = (rows["control"] == "null") & (rows["group"] == "either-50")
    rows.loc[where, "answer"] = rows.loc[where, "partner_answer"]
    return {"conflict": rows}


@damage
def winner_of_either_75_always_heard_with_its_scores(tables):
    rows = tables["conflict"]
    where = (rows["control"] == "null") & (rows["group"] == "either-75") & (rows["answer"] == rows["gold"])
    for end in ("", "_clean"):
        names = [f"logp_gold{end}", f"logp_partner{end}"]
        rows.loc[where, names] = rows.loc[where, names[::-1]].to_numpy()
    rows.loc[where, "answer"] = rows.loc[where, "partner_answer"]
    return {"conflict": rows}


@damage
def null_preferences_halved(tables):
    rows = tables["conflict"]
    where = rows["control"] == "null"
    middle = (rows["logp_gold"] + rows["logp_partner"]) / 2
    for name in ("logp_gold", "logp_partner"):
        rows.loc[where, name] = ((rows[name] + middle) / 2)[where]
    return {"conflict": rows}


@damage
def partners_of_conflicts_mixed_up(tables):
    rows = tables["conflict"]
    names = dict(zip(rows["partner"].unique(), np.roll(rows["partner"].unique(), 1)))
    return {"conflict": rows.assign(partner=rows["partner"].map(names))}


@damage
def restored_probabilities_are_the_clean_ones(tables):
    rows = tables["resample"]
    where = (rows["direction"] == "restore") & real(rows)
    return {"resample": rows.assign(logp_base=rows["logp_base"].where(~where, np.log(rows["p_base_clean"])))}


@damage
def directions_of_patches_swapped_in_see(tables):
    rows = tables["resample"]
    other = rows["direction"].map({"corrupt": "restore", "restore": "corrupt"})
    return {"resample": rows.assign(direction=rows["direction"].where(rows["group"] != "see", other))}


@damage
def answers_of_partners_mixed_up(tables):
    rows = tables["resample"]
    letters = rows["partner_answer"].map({"A": "B", "B": "C", "C": "D", "D": "A"})
    return {"resample": rows.assign(partner_answer=letters)}


@damage
def patches_of_candidates_lost_in_one_direction(tables):
    rows = tables["resample"]
    return {"resample": rows[~((rows["direction"] == "restore") & of_route(rows, "candidates->question") & real(rows))]}


@damage
def patches_of_the_question_in_see_a_layer_late(tables):
    rows = tables["resample"]
    where = of_route(rows, "question->last") & (rows["group"] == "see")
    return {"resample": rows.assign(centre=rows["centre"].where(~where, (rows["centre"] + 1) % 12))}


def uncut_replies(route):
    """A damage of free answers: a route is never cut."""

    def damaged(tables):
        rows = tables["knockout_free"]
        where = of_route(rows, route)
        rows.loc[where, "logp_reply"] = rows.loc[where, "logp_reply_clean"]
        rows.loc[where, "logp_base"] = np.log(rows.loc[where, "p_base_clean"])
        return {"knockout_free": rows}

    return damaged


@damage
def sound_to_the_reply_never_cut(tables):
    return uncut_replies("audio->reply")(tables)


@damage
def question_to_the_reply_never_cut(tables):
    return uncut_replies("question->reply")(tables)


@damage
def replies_scored_by_their_first_token_alone(tables):
    rows = tables["knockout_free"]
    clean = np.log(rows["p_base_clean"])
    return {"knockout_free": rows.assign(logp_reply=rows["logp_base"], logp_reply_clean=clean, reply_tokens=1)}


@damage
def evaluated_replies_scored_by_their_mean(tables):
    rows = tables["evaluate"]
    return {"evaluate": rows.assign(logp_reply=rows["logp_reply_mean"])}


def narrowed(name):
    """A damage of a finished table: its intervals are half as wide."""

    def damaged(tables):
        rows = tables[name]
        ends = {end: (rows["change"] + rows[end]) / 2 for end in ("ci_low", "ci_high")}
        return {name: rows.assign(**ends)}

    return damaged


@damage
def intervals_of_table_1_half_as_wide(tables):
    return narrowed("tab1")(tables)


@damage
def intervals_of_table_4_half_as_wide(tables):
    return narrowed("tab4_items")(tables)


@damage
def every_discard_shown_to_cost_nothing(tables):
    rows = tables["tab4_video"]
    return {"tab4_video": rows.assign(non_inferior=rows["setting"] != "none")}


@damage
def late_masks_of_table_1_never_applied(tables):
    rows = tables["attention"]
    key = ["model", "question_id"]
    late = rows["kind"] == "masked"
    none = rows[late & (rows["name"] == "none")].set_index(key)
    where = rows.index[late & (rows["name"] != "none")]
    place = pd.MultiIndex.from_frame(rows.loc[where, key])
    for name in ("values", "answer", "correct"):
        rows.loc[where, name] = pd.Series(list(none[name].reindex(place)), index=where)
    return {"attention": rows.astype({"correct": bool})}


@damage
def another_clips_sound_asked_without_sound(tables):
    rows = tables["reliance"]
    names = sorted(rows["variant"].unique())
    other, without = (next(name for name in names if part in name) for part in ("swapped", "muted"))
    copied = rows[rows["variant"] == without].assign(variant=other)
    return {"reliance": pd.concat([rows[rows["variant"] != other], copied], ignore_index=True)}


# Single heads


@damage
def strongest_and_random_heads_swapped(tables):
    rows = tables["knockout_head_sets"]
    some = rows["heads"] != "all"
    other = rows["control"].map({"none": "random_heads", "random_heads": "none", "null": "null"})
    return {"knockout_head_sets": rows.assign(control=rows["control"].where(~some, other))}


@damage
def single_heads_of_a_layer_late(tables):
    rows = tables["knockout_heads"]
    for name in ("window_start", "window_stop", "centre"):
        rows[name] = rows[name].where(~real(rows), (rows[name] + 1 - (name == "window_stop")) % 12 + (name == "window_stop"))
    return {"knockout_heads": rows}


@damage
def cuts_of_all_heads_lost(tables):
    rows = tables["knockout_heads"]
    return {"knockout_heads": rows[~(real(rows) & (rows["heads"] == "all"))]}


@damage
def one_head_cut_for_all_heads(tables):
    rows = tables["knockout_heads"]
    return {"knockout_heads": scaled(rows, 0.1, real(rows) & (rows["heads"] == "all"))}


@damage
def one_head_of_a_layer_never_cut(tables):
    rows = tables["knockout_heads"]
    where = real(rows) & (rows["heads"] == "1") & (rows["centre"] == 10)
    return {"knockout_heads": scaled(rows, 0, where)}


@damage
def sets_of_heads_ranked_in_the_same_clips(tables):
    """The strongest sets are all those of one half of the clips, so each question has the other half's rows twice."""
    rows = tables["knockout_head_sets"]
    half = sorted(rows["question_id"].unique())[::2]
    return {"knockout_head_sets": rows[rows["question_id"].isin(half) | (rows["control"] == "null")]}


# Finished tables, against what they sum up


def finished(name, change):
    """A damage of one finished table."""
    return lambda tables: {name: change(tables[name])}


@damage
def right_answers_of_table_3_those_of_the_other_model(tables):
    names = ["correct_tiny-omni", "correct_tiny-salmonn"]
    return finished("tab3", lambda rows: rows.rename(columns=dict(zip(names, names[::-1]))))(tables)


@damage
def a_task_of_table_2_has_half_of_its_questions(tables):
    return finished("tab2", lambda rows: rows.assign(n=rows["n"].where(rows["task"] != "see-before", rows["n"] // 2)))(tables)


@damage
def table_3_lacks_the_faint_task(tables):
    return finished("tab3", lambda rows: rows[~rows["task"].str.contains("faint")])(tables)


@damage
def knockout_questions_of_table_2_count_twice_in_one_task(tables):
    def change(rows):
        return rows.assign(n_knockout=rows["n_knockout"].where(rows["task"] != "hear", 2 * rows["n_knockout"]))

    return finished("tab2", change)(tables)


@damage
def times_of_two_settings_of_table_4_swapped(tables):
    def change(rows):
        other = {"none": "All", "All": "none"}
        key = ["model", "task", "part", "dataset", "setting"]
        times = rows.set_index(key)["prefill_ms"]
        place = pd.MultiIndex.from_frame(rows[key].assign(setting=rows["setting"].replace(other)))
        return rows.assign(prefill_ms=times.reindex(place).to_numpy())

    return finished("tab4_video", change)(tables)


@damage
def times_of_table_4_hold_the_encoders(tables):
    names = ("prefill_ms", "prefill_ms_low", "prefill_ms_high")
    return finished("tab4_items", lambda rows: rows.assign(**{name: rows[name] + rows["encoder_ms"] for name in names}))(tables)


@damage
def late_settings_of_table_1_swapped(tables):
    def change(rows):
        other = rows["setting"].replace({"video->last": "media->text", "media->text": "video->last"})
        return rows.assign(setting=other.where(rows["part"] == "late", rows["setting"]))

    return finished("tab1", change)(tables)


@damage
def intervals_of_table_1_from_end_to_end(tables):
    def change(rows):
        known = rows["ci_low"].notna()
        return rows.assign(ci_low=rows["ci_low"].where(~known, -100.0), ci_high=rows["ci_high"].where(~known, 100.0))

    return finished("tab1", change)(tables)


@damage
def layers_of_table_4_not_told(tables):
    return finished("tab4_video", lambda rows: rows.assign(layers=None))(tables)


@damage
def a_token_of_the_reply_in_seconds(tables):
    return {"pruning": tables["pruning"].assign(decode_ms_per_token=tables["pruning"]["decode_ms_per_token"] / 1000)}


@damage
def clips_of_two_dials_exchanged(tables):
    """The graded clips of one dial bear the names of another's, in every table that has them."""
    names = ("evaluate", "reliance", "knockout_graded", "conflict")
    swap = lambda rows: rows.assign(cluster=rows["cluster"].str.replace("either-25", "either-0"))  # noqa: E731
    return {name: swap(tables[name]) for name in names}


@damage
def late_windows_of_one_question_lost(tables):
    """A job that died half way, and was taken for a whole one."""

    def change(rows):
        late = (rows["question_id"] == rows["question_id"].iloc[0]) & (rows["centre"] > 5)
        return rows[~late]

    return in_figures(change)(tables)


@damage
def one_question_without_one_of_its_settings(tables):
    def lost(rows, column, value):
        return rows[(rows["question_id"] != rows["question_id"].iloc[0]) | (rows[column] != value)]

    return {"pruning": lost(tables["pruning"], "discard", "VTW"), "reliance": lost(tables["reliance"], "variant", "muted")}


@damage
def one_layer_of_one_question_not_looked_at(tables):
    rows = tables["attention"]
    return {"attention": rows[(rows["question_id"] != rows["question_id"].iloc[0]) | (rows["layer"] != 7)]}


def in_where(change):
    """A damage of the cuts of times and places; `change` takes them and gives them back."""

    def changed(tables):
        rows = tables["where"]
        cut = rows["control"] == "none"
        return {"where": pd.concat([rows[~cut], change(rows[cut].copy())])}

    return changed


def parts_of_others(rows, where, step):
    """The outcomes of some parts become those of the part `step` further in the same question, source and target."""
    some = rows[where]
    by = ["model", "question_id", "source", "alone", some["route"].str.split("->").str[-1]]
    turned = some.groupby(by)[OUTCOME].transform(lambda values: np.roll(values, step))
    rows.loc[where, OUTCOME] = turned
    return rows


@damage
def slices_of_sound_one_second_late(tables):
    return in_where(lambda rows: parts_of_others(rows, rows["source"] == "audio.time", 4))(tables)


@damage
def slices_of_pictures_of_the_seconds_before(tables):
    return in_where(lambda rows: parts_of_others(rows, rows["source"] == "video.time", 1))(tables)


@damage
def parts_alone_and_their_rest_exchanged(tables):
    return in_where(lambda rows: rows.assign(alone=~rows["alone"].astype(bool)))(tables)


@damage
def numbers_of_parts_alone_and_of_their_rest_exchanged(tables):
    def change(rows):
        key = ["model", "question_id", "part", rows["route"].str.split("->").str[-1]]
        groups = rows.groupby(key)
        of, nth, nth_last = groups.ngroup(), groups.cumcount(), groups.cumcount(ascending=False)
        turned = rows[OUTCOME].iloc[np.lexsort((nth_last, of))].set_axis(rows.index[np.lexsort((nth, of))])
        rows[OUTCOME] = turned.reindex(rows.index)
        return rows

    return in_where(change)(tables)


@damage
def times_and_places_never_cut(tables):
    def change(rows):
        p, margin = rows["p_base_clean"], rows["margin_clean"]
        return rows.assign(logp_base=np.log(p), margin=margin)

    return in_where(change)(tables)


@damage
def tiles_read_as_if_they_were_seconds(tables):
    def change(rows):
        tile, time = (rows["source"] == name for name in ("video.tile", "video.time"))
        key = ["model", "question_id", "alone"]
        lowest = rows[time].groupby(key)["logp_base"].min()
        told = lowest.reindex(pd.MultiIndex.from_frame(rows.loc[tile, key])).to_numpy()
        rows.loc[tile, "logp_base"] = told
        return rows

    return in_where(change)(tables)


@damage
def targets_of_times_and_places_exchanged(tables):
    def change(rows):
        last = rows["route"].str.endswith("->last")
        return rows.assign(route=rows["route"].str.replace("->.*", "", regex=True) + np.where(last, "->question", "->last"))

    return in_where(change)(tables)


@damage
def one_tile_of_one_question_lost(tables):
    return in_where(lambda rows: rows.drop(rows.index[rows["source"] == "video.tile"][5]))(tables)


@damage
def events_of_times_one_second_early(tables):
    early = lambda rows: rows.assign(event_start=rows["event_start"] - 1, event_stop=rows["event_stop"] - 1)  # noqa: E731
    return in_where(early)(tables)
