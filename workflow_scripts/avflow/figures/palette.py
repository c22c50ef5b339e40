"""Every colour that figures use, named by its meaning. The colours of routes are in `route_styles`."""

PURPLE, BLUE, ORANGE, PINK, CYAN = "#9C27B0", "#1565C0", "#FF7F00", "#F00FCB", "#00C1F1"
RED, GREEN, BROWN, OCHRE, GREY = "#E31A1C", "#2CA02C", "#8C564B", "#B8860B", "0.35"

MARKERS = {PURPLE: "o", BLUE: "s", ORANGE: "^", PINK: "D", CYAN: "v", RED: "P", GREEN: "X", BROWN: "<", OCHRE: ">", GREY: "*"}

# Greys, from light to dark. Results are coloured; what helps to read them is grey.
CONTROL = "0.6"  # random controls
ZERO = "0.5"  # lines at zero, or at the value without a cut
RANDOM = "0.45"  # means of random controls
NEUTRAL = "0.4"  # neither found nor random
NOTE = "0.35"  # text inside a panel
CHANCE = "0.3"  # the accuracy of guessing, and the noise floor
INK = "0.2"  # a line in a legend that stands for lines of any colour
MARK, PAPER = "black", "white"  # outlined marks and labels, such as published values
SINK = "red"

MODELS = (BLUE, ORANGE, GREEN, PURPLE, CYAN, RED)  # in the study's order
TASKS = (BLUE, PURPLE, CYAN, PINK, NEUTRAL, GREEN, ORANGE)  # of the miniature's training
CORRECT, WRONG = BLUE, ORANGE  # options; the colour-blind cannot tell green from red
FOUND, RANDOM_EDGES = PINK, CYAN  # edges that stay open
FIRST_TOKEN, MEDIAN_TOKEN = BLUE, ORANGE
BAND = BLUE  # in legends, for bands of every colour
VARIANTS = {  # questions without a sense, or with another clip's sound
    "as_is": "#009E73",
    "muted": "#0072B2",
    "blanked": "#CC79A7",
    "text_only": CONTROL,
    "swapped": "#E69F00",
}
WINNERS = {"heard": BLUE, "seen": PURPLE, "other": CONTROL}  # of a conflict, in the colours of the senses' routes
DISCARDS = {"Ques": ORANGE, "Audio": BLUE, "Video": PURPLE, "Ref": PINK, "Cand": CYAN, "All": RED}
OTHER_DISCARD = WITHIN_MARGIN = GREEN
TOKENS = {  # classes of tokens; the colours of Okabe and Ito, which the colour-blind can tell apart
    "system": "#F0E442",
    "delimiter": "#9E9E9E",
    "video": "#56B4E9",
    "candidates": "#56B4E9",
    "audio": "#E69F00",
    "reference": "#E69F00",
    "question": "#009E73",
    "options": "#0072B2",
    "last": "#CC79A7",
}
