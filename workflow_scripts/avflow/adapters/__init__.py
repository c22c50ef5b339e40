"""One module per model family: load a checkpoint folder, encode media, lay out a question as a `Sequence`."""
