"""Table 4 takes kinds of token that the paper does not have."""


def test_the_table_and_the_figure_take_kinds_that_the_paper_does_not_have():
    import pandas as pd

    from avflow.results import kinds_of, table_4

    ways = ("none", "Tail", "Audio", "All", "random", "FastV-0.5", "VTW")
    about = dict(model="m", dataset="d", setting="av_video", task="t", group="t", device="cpu", draw=0)
    costs_of = dict.fromkeys(("flops_llm", "kv_bytes", "token_layers", "prefill_ms", "prefill_ms_low", "prefill_ms_high"), 1.0)
    costs_of |= dict.fromkeys(("encoder_ms", "decode_ms_per_token", "peak_bytes"), 1.0)
    rows = [
        about | costs_of | dict(question_id=f"q{i}", cluster=f"c{i}", discard=w, correct=i > 0) for i in range(4) for w in ways
    ]
    layers = {kind: {"tokens": kind, "layer": 3, "why": "x"} for kind in ("Audio", "Tail", "VTW")}
    block = table_4.table(pd.DataFrame(rows), {"knockout": {"d": ["*"]}}, ["m"], {"m": {"av_video": layers}}, None, 2, 100, 0)
    assert block["av_video"]["setting"].tolist() == ["none", "Audio", "Tail", "All"]
    assert kinds_of(pd.Series(ways)) == ["Audio", "Tail", "All"]
