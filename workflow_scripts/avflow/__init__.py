"""Tracing audio and visual information through audio-visual language models by attention knockout."""
