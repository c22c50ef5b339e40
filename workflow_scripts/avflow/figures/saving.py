"""Write a figure's files."""

from ..storage import whole


def save(figure, *paths) -> None:
    """Write a figure to each path. The same figure gives the same bytes, and a file appears only once it is complete."""
    for path in map(str, paths):
        kind = path.rsplit(".", 1)[1]
        with whole(path) as part:
            figure.savefig(part, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)
