"""How many jobs there are, and how long they take, by rule and in groups."""

from avflow.tracing.planned_jobs import Planned, Submitted, by_rule, submitted

JOBS = [
    Planned("encode", "m", "clips", 4, 10.0),
    Planned("ask", "m", "clips", 4, 5.0),
    Planned("ask", "m", "clips", 1, 100.0),
    Planned("encode", "m", "items", 2, 3.0),
    Planned("ask", "m", "items", 2, 1.0),
    Planned("time", "m", "clips", 4, 7.0),
]


def test_jobs_are_counted_by_rule():
    assert by_rule(JOBS) == [
        Submitted("encode", 6, 3.0, 10.0),
        Submitted("ask", 7, 1.0, 100.0),
        Submitted("time", 4, 7.0, 7.0),
    ]


def test_a_group_is_one_submission_a_shard_as_long_as_its_jobs_together():
    shard, timed = submitted(JOBS, {"encode": "shard", "ask": "shard", "time": "time"}, {"time": 3})
    assert shard == Submitted("shard", 6, 4.0, 115.0), "the first shard of clips is asked twice"
    assert timed == Submitted("time", 2, 21.0, 21.0), "three shards share a submission"
