"""Settings of a sampling that do not go together are refused with the key, its value and a remedy."""

import pytest
import yaml
from conftest import ROOT, UNIONS

from avflow.config_checks import ORDERS, SPANS, check_routes, check_sampling
from avflow.errors import InputError
from avflow.questions import layouts, option_labels

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())["sampling"]


def without(name: str, *keys: str, **more) -> dict:
    return {key: value for key, value in CONFIG[name].items() if key not in keys} | more


def test_the_samplings_of_the_configuration_are_accepted():
    refused = []
    for name, how in CONFIG.items():
        try:
            check_sampling(name, how)
        except InputError as error:
            refused.append(str(error))
    assert len(CONFIG) > 5 and refused == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (without("omni-default", interval=0.1), "it has fps (2) and interval (0.1); remove one"),
        (without("salmonn-61k", "interval"), "it has neither; add one"),
        (
            without("salmonn-61k", frames="official"),
            "/frames is 'official', which has a meaning only with fps, not with interval",
        ),
        (without("salmonn-61k", max_tokens=1000), "/max_tokens is 1000, which has a meaning only with fps, not with interval"),
        (without("omni-56px", rate="sampled"), "/rate is 'sampled', which has a meaning only with frames: official; remove it"),
        (without("omni-56px", min_frames=4), "/min_frames is 4, which has a meaning only with interval or frames: official"),
        (without("omni-default", "max_tokens"), "/min_fps is 1, which has a meaning only with max_tokens; remove it"),
        (without("omni-default", "min_frames"), " has frames: official, which needs min_frames, the fewest frames of a video"),
        (without("salmonn-61k", "min_frames"), " has interval, which needs min_frames, the fewest frames of a video; add it"),
        (
            without("omni-default", "audio_per_second"),
            " has max_tokens, which needs audio_per_second, tokens of a second of sound",
        ),
        (without("omni-default", min_frames=1000), "/min_frames is 1000, above max_frames (768); lower min_frames or raise max_"),
        (without("omni-default", min_pixels=700000), "/min_pixels is 700000, above max_pixels (602112)"),
        (without("omni-default", min_fps=4), "/min_fps is 4, above fps (2); lower min_fps or raise fps"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_one_line(how, said):
    with pytest.raises(InputError) as refused:
        check_sampling("mine", how)
    message = str(refused.value)
    assert message.startswith("config.yaml: sampling/mine") and said in message and "\n" not in message


def test_the_orders_of_a_setting_are_those_in_which_prompts_are_built():
    assert {setting: (layouts.DEFAULT, *orders) for setting, orders in layouts.VARIANTS.items()} == ORDERS


def test_the_spans_of_a_setting_are_those_that_prompts_have(sequences):
    from tracing_cases import HEAR, MATCH

    from avflow.models import spans

    for setting, question in (("av_video", HEAR), ("items", MATCH)):
        names, numbered = SPANS[setting]
        made = sequences[question].spans
        own = [name for name in made.names() if name not in UNIONS[setting] and name != "candidates"]
        assert [name for name in own if name not in names and not numbered.fullmatch(name)] == [], "config_checks lacks these"
        assert [name for name in names if not spans.can_be(name) and name not in made.unions] == [], "no prompt has these"
        for label in option_labels.LABELS:
            assert spans.can_be(f"option_{label}") and numbered.fullmatch(f"option_{label}")
            check_routes("here", [f"option_{label}.letter->last"], setting, [])
        assert not spans.can_be("option_AB") and not numbered.fullmatch("option_AB")
