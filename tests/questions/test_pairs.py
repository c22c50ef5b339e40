"""A partner has the same task, other files and another right answer; it is the same at every run."""

from dataclasses import replace

from examples import items, video

from avflow.questions import pairs


def clip(number, answer, **changes):
    question = video(
        question_id=str(number), audio_visual_path=f"clips/{number}.mp4", choices="['A. circle', 'B. square', 'C. star']"
    )
    return replace(question, answer=answer, **changes)


def test_a_partner_has_another_right_answer_and_another_clip_of_the_same_task():
    asked = clip(1, "B")
    pool = [asked, clip(2, "B"), clip(3, "C", task="hear"), clip(4, "A"), clip(1, "A")]
    assert {pairs.partner(asked, pool, seed).question_id for seed in range(8)} == {pool[3].question_id}
    assert pairs.partner(asked, pool[:3], 0) is None
    many = [clip(n, "A") for n in range(10, 30)]
    chosen = [pairs.partner(asked, many, seed).question_id for seed in range(6)]
    assert len(set(chosen)) > 2 and chosen == [pairs.partner(asked, many, seed).question_id for seed in range(6)]


def test_a_partner_whose_answer_is_among_the_options_goes_before_others():
    asked = clip(1, "B")
    other = replace(clip(2, "A"), options=tuple(replace(o, text=f"no {o.text}") for o in asked.options))
    both = [other, clip(3, "C")]
    assert {pairs.partner(asked, both, seed).question_id for seed in range(8)} == {both[1].question_id}
    assert pairs.partner(asked, [other], 0) is other and pairs.label_in(asked, other) is None
    assert pairs.label_in(asked, both[1]) == "C"


def test_in_matching_questions_the_candidate_is_the_answer():
    asked, other = items(), items(question_id="5_0013", answer="D", audio_path=[f"media/b_c{i}.wav" for i in range(1, 5)])
    other = replace(other, media=tuple(replace(m, media_id=f"other_{m.media_id}") for m in other.media))
    found = pairs.partner(asked, [other], 0)
    assert found is other and pairs.label_in(asked, other) == "D"
    moved = pairs.with_media_of(asked, other)
    assert [m.media_id for m in moved.media] == [m.media_id for m in other.media] and moved.options == asked.options
    assert [(m.id, m.role, m.index) for m in moved.media] == [(m.id, m.role, m.index) for m in asked.media]


def test_a_partner_that_asks_in_the_same_words_goes_before_all_others():
    asked, elsewhere = clip(1, "B"), clip(2, "A", question="Another sound?")
    apart = replace(clip(3, "A"), options=tuple(replace(o, text=f"no {o.text}") for o in asked.options))
    assert all(pairs.partner(asked, [elsewhere, apart], seed) is apart for seed in range(8)), "though its answer is no option"
    assert pairs.partner(asked, [elsewhere], 0) is elsewhere, "where nobody asks the same, as in most benchmarks"
