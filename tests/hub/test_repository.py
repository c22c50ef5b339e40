"""Asking the hub about a repository: errors are named, and a busy hub is asked again."""

import pytest
from hub_server import Fault
from pinned import FILES, QUICK

from avflow.errors import InputError
from avflow.hub.repository import Backoff, Source, describe, retry_after


@pytest.mark.parametrize(
    ("repo", "revision", "fault", "message"),
    [
        ("owner/none", "main", None, "owner/none: there is no such model on http://127.0.0.1:"),
        ("owner/tiny", "v9", None, "owner/tiny: it has no revision 'v9'; correct the revision in config.yaml"),
        (
            "owner/tiny",
            "main",
            Fault(status=401),
            "owner/tiny: the hub refuses access (HTTP 401) and no token is set; accept",
        ),
        ("owner/tiny", "main", Fault(status=418), "owner/tiny: the hub answers HTTP 418; see https://huggingface.co/owner/tiny"),
        ("owner/tiny", "main", Fault(html=True), "owner/tiny: http://127.0.0.1:{port} does not answer like a hub"),
        ("a/b/c", "main", None, "a/b/c: not a name on the hub"),
    ],
)
def test_an_error_of_pinning_names_the_remedy(hub, repo, revision, fault, message):
    hub.add("model", "owner/tiny", FILES)
    hub.faults["api"] = [fault] if fault else []
    with pytest.raises(InputError) as error:
        describe(Source(repo, "model", revision), QUICK)
    assert str(error.value).startswith(message.format(port=hub.port))


def test_a_busy_hub_is_asked_again_after_the_time_it_wants(hub):
    hub.add("model", "owner/tiny", FILES)
    hub.faults["api"] = [Fault(status=429, headers=(("Retry-After", "7"),)), Fault(status=503)]
    waits = []
    listing = describe(Source("owner/tiny", "model", "main"), Backoff(tries=3, first=0.25, sleep=waits.append))
    assert waits == [7.0, 0.5] and len(listing.files) == 5
    assert retry_after({"Retry-After": "Thu, 01 Jan 1970 00:00:10 GMT"}) == 0.0 and retry_after({}) == 0.0
