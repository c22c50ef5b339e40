"""The module that reads each type of dataset. The rules use this table, too: editing a reader reruns only its own datasets."""

import importlib

MODULES = {  # type in config.yaml -> module; its collect(intake) passes all questions to the Intake
    "miniature": "miniature.reader",
    "av_speakerbench": "questions.av_speakerbench",
    "av_odyssey": "questions.av_odyssey",
    "worldsense": "questions.worldsense",
    "questions": "questions.own_questions",
}
ON_DISK = ("miniature", "questions")  # types whose files are not downloaded from the hub


def collect(kind: str, intake) -> None:
    """Read the questions of a dataset of type `kind` into an Intake."""
    importlib.import_module(f"avflow.{MODULES[kind]}").collect(intake)
