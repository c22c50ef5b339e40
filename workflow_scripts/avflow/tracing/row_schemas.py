"""The columns of the result tables. Every row starts with the same columns about its question."""

import pyarrow as pa

from ..questions import Question
from ..storage import partial_rows
from . import readout

QUESTION = dict(
    question_id="string",
    dataset="string",
    study_split="string",
    cluster="string",
    setting="string",
    layout="string",
    task="string",
    group="string",
    needs="string",
    model="string",
)
LETTERS = {f"logit_{letter}": "float32" for letter in readout.LETTERS}
OPTION_LOGITS = pa.field("option_logits", pa.list_(pa.float32()))  # of questions with other labels than A to D, else null
REPLY = pa.schema(  # of a free answer, else null; the list has one number for each token
    [
        *partial_rows.schema(reply_tokens="int32", logp_reply="float32", logp_reply_mean="float32"),
        pa.field("logp_reply_tokens", pa.list_(pa.float32())),
    ]
)
UNCUT = [pa.field(f"{field.name}_clean", field.type) for field in REPLY if field.name != "reply_tokens"]
EVALUATE = pa.schema(
    [
        *partial_rows.schema(
            **QUESTION,
            n_tokens="int32",
            base_token="int32",
            **LETTERS,
            logp_base="float32",
            logp_gold="float32",
            answer="string",
            content="string",
            gold="string",
            correct="bool",
            margin="float32",
            p_letters="float32",
            p_variants="float32",
            p_other="float32",
            says_letter="bool",
        ),
        OPTION_LOGITS,
        *REPLY,
        pa.field("reply_ids", pa.list_(pa.int32())),
        pa.field("reply_ended", pa.bool_()),
    ]
)
KNOCKOUT = pa.schema(
    [
        *partial_rows.schema(
            **QUESTION,
            route="string",
            style="string",
            width="int32",
            window_start="int32",
            window_stop="int32",
            centre="int32",
            cut="string",
            control="string",
            draw="int32",
            heads="string",
            n_blocked_edges="int64",
            removed_mass="float32",
            base_token="int32",
            **LETTERS,
            logp_base="float32",
            logp_gold="float32",
            p_base_clean="float32",
            margin="float32",
            margin_clean="float32",
            kl="float32",
            answer="string",
            correct_clean="bool",
            applicable="bool",
        ),
        OPTION_LOGITS,
        *REPLY,
        *UNCUT,
    ]
)
RESAMPLE = pa.schema(
    [
        *KNOCKOUT,
        *partial_rows.schema(
            direction="string",
            partner="string",
            partner_answer="string",
            logp_gold_clean="float32",
            logp_partner="float32",
            logp_partner_clean="float32",
        ),
    ]
)
CONFLICT = pa.schema(
    [
        *(field for field in RESAMPLE if field.name != "direction"),
        *partial_rows.schema(gold="string", partner_needs="string", known="bool"),
    ]
)
WHERE = pa.schema(
    [
        *KNOCKOUT,
        *partial_rows.schema(
            source="string",
            part="string",
            alone="bool",
            start="float32",
            stop="float32",
            left="float32",
            top="float32",
            right="float32",
            bottom="float32",
            event_start="float32",
            event_stop="float32",
        ),
        pa.field("shape", pa.list_(pa.int32())),  # of rows about attention to tokens, else null
        pa.field("values", pa.list_(pa.float32())),
    ]
)
DISCARDED = dict(  # the answer after a discard, compared with the same question without one
    logp_base="float32",
    logp_gold="float32",
    p_base_clean="float32",
    kl="float32",
    answer="string",
    correct="bool",
    correct_clean="bool",
)
PRUNING = partial_rows.schema(
    **QUESTION,
    discard="string",
    draw="int32",
    plan="string",
    n_tokens="int32",
    n_discarded="int32",
    token_layers="int64",
    flops_llm="float64",
    kv_bytes="int64",
    **LETTERS,
    **DISCARDED,
    prefill_ms="float64",
    prefill_ms_low="float64",
    prefill_ms_high="float64",
    encoder_ms="float64",
    decode_ms_per_token="float64",
    peak_bytes="int64",
    device="string",
).append(OPTION_LOGITS)
DISCARD_SWEEP = partial_rows.schema(
    **QUESTION,
    discard="string",
    layer="int32",
    control="string",
    draw="int32",
    n_tokens="int32",
    n_discarded="int32",
    flops_llm="float64",
    **DISCARDED,
)
ATTENTION = partial_rows.schema(  # attention.py says what `number` and `values` hold for each kind
    **QUESTION,
    gold="string",
    correct_clean="bool",
    kind="string",
    name="string",
    layer="int32",
    number="int64",
    answer="string",
    correct="bool",
).append(pa.field("values", pa.list_(pa.float32())))
SUFFICIENCY = partial_rows.schema(
    **QUESTION,
    kind="string",
    threshold="float32",
    draw="int32",
    n_kept_edges="int64",
    share="float32",
    kept="bool",
    answer="string",
    logp_base="float32",
    p_base_clean="float32",
    correct_clean="bool",
)


def answer_row(sequence, logits, model: str, reply: str | None = None, ended: bool | None = None) -> dict:
    """A row of EVALUATE from the uncut logits: (1, V), or (1, R, V) for a reply.

    reply: the reply as text. ended: whether it is whole; false if generation stopped at its limit of tokens.
    """
    first = logits[:, 0] if len(sequence.reply_ids) else logits
    columns = {**readout.compare(sequence, logits, logits), **readout.masses(sequence, first)}
    row = {name: values[0] for name, values in columns.items()}
    shared = about(sequence.question, model)
    gold = sequence.question.answer
    content = next((o.text for o in sequence.question.options if o.label == row["answer"]), reply)
    return {
        **row,
        **shared,
        "n_tokens": len(sequence),
        "content": content,
        "gold": gold,
        "correct": None if gold is None else row["correct_clean"],
        "reply_ids": sequence.reply_ids.tolist() or None,
        "reply_ended": ended,
    }


def about(question: Question, model: str) -> dict:
    """The columns that all tables share."""
    return dict(
        question_id=question.question_id,
        dataset=question.dataset,
        study_split=question.study_split,
        cluster=question.cluster,
        setting=question.setting,
        layout=question.layout_name,
        task=question.task,
        group=question.group,
        needs=question.needs,
        model=model,
    )
