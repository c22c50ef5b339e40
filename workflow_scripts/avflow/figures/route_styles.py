"""The label and colour of every route, in the paper's order. All figures take them from here."""

from .palette import BLUE, BROWN, CYAN, GREEN, GREY, OCHRE, ORANGE, PINK, PURPLE, RED

ROUTES = {  # route -> colour; no two routes of one figure share a colour
    # Figure 3
    "cross_frame": PURPLE,
    "cross_audio_segment": BLUE,
    "audio<->video": RED,
    # Figure 4
    "video->question": PURPLE,
    "audio->question": BLUE,
    "question->last": ORANGE,
    "video->last": PINK,
    "audio->last": CYAN,
    # The question's words (question_words)
    "question_text->options": GREEN,
    "question_text->tail": RED,
    "question_text->last": BROWN,
    # Figure 5
    "cross_candidate": PURPLE,
    "candidates->reference": BLUE,
    "question->reference": GREEN,
    "candidates->question": RED,
    "reference->last": PINK,
    "candidates->last": CYAN,
    # Figure 6
    "correct_candidate->correct_option": GREEN,
    "incorrect_candidates->correct_option": PURPLE,
    "reference->correct_option": RED,
    "question->correct_option": BLUE,
    "correct_candidate->last": BROWN,
    "incorrect_candidates->last": PINK,
    "correct_option->last": ORANGE,
    "incorrect_options->last": CYAN,
    # Parts of the question (app_options)
    "non_options->last": RED,
    "video->correct_option": PURPLE,
    "audio->correct_option": BLUE,
    # Other orders of the prompt (app_order)
    "options->last": OCHRE,
    "reference->candidates": BROWN,
    "reference->question": GREY,
    "candidates->options": GREEN,
    "reference->options": PURPLE,
    # Free answers (app_free)
    "video->reply": PINK,
    "audio->reply": CYAN,
    "question->reply": GREEN,
    "reply->reply": BROWN,
    # Sinks (app_sinks)
    "video_sinks->question": PURPLE,
    "audio_sinks->question": BLUE,
    "video_sinks->last": PINK,
    "audio_sinks->last": CYAN,
    # Cumulative cuts (app_cumulative)
    "last->last": GREY,
}
SPANS = {  # span -> its name in a label; others: see `span_label`
    "audio": "Audio",
    "video": "Video",
    "question": "Question",
    "last": "Last",
    "reply": "Reply",
    "reference": "Reference",
    "candidates": "Candidates",
    "options": "Options",
    "correct_candidate": "CorrectCand",
    "incorrect_candidates": "IncorrectCand",
    "correct_option": "CorrectOpt",
    "incorrect_options": "IncorrectOpt",
    "non_options": "NonOption",
}
FREE = (GREEN, BROWN, OCHRE, GREY, PURPLE, BLUE, ORANGE, PINK, CYAN, RED)  # for your own routes: the first colour that is free


def colours(routes) -> dict[str, str]:
    """Route -> colour for the routes of one figure. A route that is not in ROUTES takes a colour that no other route has."""
    found = {route: ROUTES[route] for route in routes if route in ROUTES}
    for route in routes:
        free = [colour for colour in FREE if colour not in found.values()]
        found.setdefault(route, (free or FREE)[0])
    return {route: found[route] for route in routes}


def span_label(span: str) -> str:
    """A span's name in a label: from `SPANS`, otherwise in capitals, such as QuestionText for question_text."""
    return SPANS.get(span) or "".join(part[:1].upper() + part[1:] for part in span.split("_"))


def route_label(route: str) -> str:
    """A route as the paper writes it, with a struck-through arrow."""
    if route.startswith("cross_"):
        return "Cross-" + route.removeprefix("cross_").replace("_", "-").title()
    arrow = r" $\nleftrightarrow$ " if "<->" in route else r" $\nrightarrow$ "
    source, target = route.replace("<->", "->").split("->")
    return span_label(source) + arrow + span_label(target)
