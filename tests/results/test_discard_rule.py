"""The layer after which a kind of token is discarded follows from the model's own knockouts."""

import pandas as pd
import pytest

from avflow.errors import InputError
from avflow.results import discard_rule


def changes(**by_route):
    return pd.DataFrame(
        [dict(route=r, group="hear", centre=c, change=x) for r, values in by_route.items() for c, x in enumerate(values)]
    )


def test_a_kind_leaves_where_the_last_window_that_needs_it_ends():
    table = changes(a=[0, -40, -6, -4, 0, 0, 0, 0], b=[0, 0, 0, 7, 0, 0, 0, 0])
    assert discard_rule.last_needed(table, ["a"], 3, 8, 5)["layer"] == 2 + 1
    both = discard_rule.last_needed(table, ["a", "b"], 3, 8, 5)
    assert both == {"layer": 4, "why": "b in hear changes the answer by 7.0 % at layer 3, plus half a window of 3"}
    assert discard_rule.last_needed(table, ["a", "b"], 3, 8, 50)["layer"] == 0, "no route matters"
    late = discard_rule.last_needed(changes(a=[0] * 7 + [-9]), ["a"], 7, 8, 5)
    assert late["layer"] == 7 and late["why"].endswith("it stays to the end")
    with pytest.raises(InputError, match="knockouts of c") as caught:
        discard_rule.last_needed(table, ["a", "c"], 3, 8, 5)
    assert "\n" not in str(caught.value)


def test_withdrawal_takes_the_first_layer_below_the_threshold_over_the_first_questions():
    rows = [
        dict(discard="vision", control="none", question_id=f"q{i}", layer=layer, kl=kl * (1 if i < 2 else 100))
        for layer, kl in enumerate((1.0, 0.02, 0.004, 0.001))
        for i in range(3)
    ]
    rows += [dict(discard="vision", control="random", question_id="q0", layer=0, kl=0.0)]
    table = pd.DataFrame(rows)
    assert discard_rule.withdrawal(table, 2, 0.01) == {"layer": 2, "why": "KL 0.004 < 0.01 nats in 2 questions"}
    assert discard_rule.withdrawal(table, 3, 0.1)["layer"] == 3, "the third question is a hundred times as far"
    with pytest.raises(InputError, match="1e-05 nats; raise pruning/vtw/kl"):
        discard_rule.withdrawal(table, 2, 1e-5)
