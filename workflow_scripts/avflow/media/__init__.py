"""From media files to frames and sound: probe, read, sample, and make encoder inputs.

Every fault of a file is a `MediaError` with a reason. Nothing here depends on a question or a model.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "containers": ["MediaError"],
        "encoder_inputs": ["HOP", "log_mel", "mel_frames", "patchify", "resized_shape"],
        "files": ["MediaFacts", "probe", "read_audio", "read_image"],
        "sampling": ["SAMPLE_RATE", "most_pixels", "sample_times"],
        "video": ["read_frames", "read_spread_frames"],
    },
)
