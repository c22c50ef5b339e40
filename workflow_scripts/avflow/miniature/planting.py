"""What each task plants: the routes that stay shut while a tiny model is trained, and where its answer must be known.

With some routes shut, the answer must travel by the routes that tracing should find later. `NARROW` also shuts a planted route
in all layers but three: a route that is open in many layers is read in many, and no window of three then shows it.

Left to itself, an open model soon answers by two routes at once, and then neither is needed. So the last stage also cuts routes.
Where a route of `NEEDED` is cut, in the three layers given, the model learns to guess; where one of `UNNEEDED` is cut, it learns
to answer as ever. The last steps shut nothing, so a finished checkpoint is an ordinary one.

Routes are written as in config.yaml, with these spans besides: `text`, all that follows the media or stands between them;
`early_video` and `early_audio`, what is shown and heard in a clip's first two seconds; `end`, all text after the options.

`CARRIES` lists what a task plants. In "stated" only the options can know which of them is right, because each says what its
candidate is. In "hear-before" and "see-before" text sees only the last two seconds of the clip. In "repeated" the options always
name the candidates in their order, so the letter follows from the answer alone, and no option needs to be read.
"""

READ_FROM = 4  # before this layer text may not attend to media
ITEMS = ["options->end", "question_text->end", "reference->end", "candidates->end"]  # in every task about items
NO_EXCHANGE = ["cross_candidate", *ITEMS]
BY_REFERENCE = ["candidates->question_text", "candidates->options", "candidates->last"]  # only the reference reads candidates
SHUT = {
    "hear": ["video->text"],
    "see": ["audio->text"],
    "while-hear": [],
    "while-see": [],
    "either": [],  # by question: the modality that does not tell
    "hear-before": ["video->text", "early_audio->text", "audio<->video"],
    "see-before": ["audio->text", "early_video->text", "audio<->video"],
    "describe": ["video->question_text", "video->instruction", "video->last", "audio->end"],
    "image-to-audio": [*NO_EXCHANGE, *BY_REFERENCE, "reference->options", "question_text->options", "question_text->last"],
    "audio-to-image": [*NO_EXCHANGE, *BY_REFERENCE, "reference->last", "question_text->last"],
    "by-aspect": [
        *NO_EXCHANGE,
        *BY_REFERENCE,
        "question_text->options",
        "question_text->last",
        "reference->last",
    ],
    "stated": [
        *NO_EXCHANGE,
        "candidates->question_text",
        "candidates->reference",
        "candidates->last",
        "reference->last",
        "question_text->last",
    ],
    "named": [*NO_EXCHANGE, "candidates->options", "candidates->last", "reference->text", "question_text->last"],
    "repeated": [*ITEMS, "candidates->options", "candidates->last", "reference->text", "options->last"],
}
NARROW = {  # route -> the first and the last layer in which it is open
    "image-to-audio": {"reference->last": (8, 10)},
    "audio-to-image": {"reference->options": (7, 9)},
    "by-aspect": {"question_text->reference": (0, 2), "reference->options": (7, 9)},
    "named": {"question_text->options": (7, 9)},
    "repeated": {"question_text->last": (8, 10)},
}
NEEDED = {  # route -> the first and the last layer in which it must not be cut
    "while-hear": {"audio<->video": (0, 2)},
    "while-see": {"audio<->video": (0, 2)},
    "hear-before": {"cross_audio_segment": (1, 3)},
    "see-before": {"cross_frame": (1, 3)},
    "describe": {"audio->question": (4, 6)},
    "image-to-audio": {"reference->last": (8, 10)},
    "by-aspect": {"question->reference": (0, 2)},
    "stated": {
        "reference->correct_option": (5, 7),
        "correct_option->last": (8, 10),
        "incorrect_options->last": (8, 10),
    },
    "named": {"question->correct_option": (7, 9)},
    "repeated": {"cross_candidate": (4, 6), "question->last": (8, 10)},
}
NOT_TO_LAST = {"audio->last": None, "video->last": None}  # the question reads the clip, never the last token
UNNEEDED = {  # route -> the first and the last layer in which it may be cut; None: from any layer to the last
    "hear": NOT_TO_LAST,
    "see": NOT_TO_LAST,
    "while-hear": NOT_TO_LAST,
    "while-see": NOT_TO_LAST,
    "hear-before": NOT_TO_LAST,
    "see-before": NOT_TO_LAST,
    "repeated": {"correct_option->last": None, "incorrect_options->last": None},
}
# The span at whose last token the answer's word is asked for, if not question_text. stated: none, since only
# options know it; describe: the sound's word.
KNOWN_AT = {
    "image-to-audio": "reference",
    "audio-to-image": "reference",
    "by-aspect": "reference",
    "stated": None,
}
CARRIES = {  # the routes that carry a task's answer, once all are open again
    "hear": ["audio->question", "question->last"],
    "see": ["video->question", "question->last"],
    "while-hear": ["audio<->video", "audio->question", "question->last"],
    "while-see": ["audio<->video", "audio->question", "question->last"],
    "hear-before": ["cross_audio_segment", "audio->question", "question->last"],
    "see-before": ["cross_frame", "video->question", "question->last"],
    "describe": ["audio->question", "question->last", "video->reply"],
    "image-to-audio": ["candidates->reference", "reference->last", "correct_option->last"],
    "audio-to-image": ["candidates->reference", "correct_option->last"],
    "by-aspect": ["question->reference", "candidates->reference"],
    "stated": [
        "correct_candidate->correct_option",
        "reference->correct_option",
        "correct_option->last",
        "incorrect_options->last",
    ],
    "named": ["candidates->question", "question->correct_option"],
    "repeated": ["cross_candidate", "candidates->question", "question->last"],
}
