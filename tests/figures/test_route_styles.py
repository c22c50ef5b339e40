"""A route has one colour in all figures, and only two modules name colours. Also tests avflow.figures.palette."""

import ast
import json
import re

import pytest
import yaml
from conftest import ROOT, SCRIPTS
from matplotlib.colors import CSS4_COLORS

from avflow.figures import palette
from avflow.figures.route_styles import FREE, ROUTES, SPANS, colours, route_label

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
ANALYSES = CONFIG["knockout"]["cuts"]
HUES = {"PURPLE", "BLUE", "ORANGE", "PINK", "CYAN", "RED", "GREEN", "BROWN", "OCHRE", "GREY"}
DRAWING = [p for p in sorted((SCRIPTS / "avflow/figures").glob("*.py")) if p.stem not in ("palette", "route_styles")]
DRAWING += sorted((ROOT / "figures").glob("*.ipynb"))


def routes_of(analysis):
    return ANALYSES[analysis]["routes"]


def code_of(path):
    if path.suffix == ".py":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def named_colours(code):
    """Colours that a text names: as #rrggbb, by a name of CSS, as a grey level, or by a hue of the palette."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"#[0-9a-fA-F]{3,8}|0\.\d+|tab:\w+|C\d", node.value) or node.value in CSS4_COLORS:
                yield node.value
        elif isinstance(node, ast.keyword) and "color" in (node.arg or "") and isinstance(node.value, ast.Constant):
            if re.fullmatch("[bgrcmykw]", str(node.value.value)):
                yield node.value.value
        elif isinstance(node, (ast.Attribute, ast.Name)):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in HUES:
                yield name


@pytest.mark.parametrize("path", DRAWING, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_no_notebook_or_module_names_a_colour(path):
    assert not list(named_colours(code_of(path)))


def test_the_palette_has_these_hues():
    assert all(re.fullmatch(r"#[0-9A-F]{6}|0.35", getattr(palette, hue)) for hue in HUES)


def test_a_named_colour_would_be_found():
    named = ('color="C0"', 'color="k"')
    for said in (*named, 'color="#1565C0"', 'color="red"', 'color="0.35"', "color=palette.BLUE", "color=GREEN"):
        assert len(list(named_colours(f"axis.plot(x, {said})"))) == 1, said
    assert not list(named_colours('axis.plot(x, color=palette.ZERO, label="video", marker="o", facecolors="none")'))


@pytest.mark.parametrize("analysis", list(ANALYSES))
def test_every_configured_route_has_a_style_and_a_colour_of_its_own_in_its_figure(analysis):
    found = colours(routes_of(analysis))
    assert set(found) <= set(ROUTES), "add the route to route_styles.py"
    assert len(set(found.values())) == len(found), "two routes of one figure share a colour"
    assert all(found[route] == ROUTES[route] for route in found)


def test_a_route_of_ones_own_takes_a_colour_that_is_free():
    found = colours(["system->last", "video->question", "audio->tail"])
    assert list(found) == ["system->last", "video->question", "audio->tail"]
    assert found["video->question"] == ROUTES["video->question"] and len(set(found.values())) == 3
    assert len(colours([f"video->option_{i}" for i in range(20)])) == 20, "more routes than colours"
    assert set(FREE) >= set(ROUTES.values())


def test_labels_are_the_papers():
    assert route_label("cross_audio_segment") == "Cross-Audio-Segment"
    assert route_label("audio<->video") == r"Audio $\nleftrightarrow$ Video"
    assert route_label("correct_candidate->correct_option") == r"CorrectCand $\nrightarrow$ CorrectOpt"
    assert route_label("question_text->tail") == r"QuestionText $\nrightarrow$ Tail" and "tail" not in SPANS
