"""Which module reads the questions of which type of dataset. The rules ask, too: an edited reader reruns its own datasets."""

import importlib

MODULES = {  # type in config.yaml -> module, whose collect(intake) hands every question to the Intake
    "miniature": "miniature.questions",
    "av_speakerbench": "questions.av_speakerbench",
    "av_odyssey": "questions.av_odyssey",
    "worldsense": "questions.worldsense",
    "questions": "questions.own_questions",
}
ON_DISK = ("miniature", "questions")  # types whose files are not downloaded as a benchmark's are


def collect(kind: str, intake) -> None:
    """Read the questions of a dataset of this type into an Intake."""
    importlib.import_module(f"avflow.{MODULES[kind]}").collect(intake)
