"""From media files to frames and sound: probe, read, sample, and make encoder inputs.

`frame_plan` says which frames of a clip a model gets, and `decoding` reads them.

One clock: time 0 is the moment when a file's first picture is shown, or when its sound begins if it has no pictures.
`read_frames` gives the picture that a player shows at each time, `read_audio` the sound that it plays then. Edit lists, start
times, late tracks, gaps, the default track, variable frame rates and cuts without re-encoding are respected, in every
container that FFmpeg reads.

Every fault of a file is a `MediaError` with a reason. Nothing here depends on a question or a model.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "containers": ["MediaError"],
        "encoder_inputs": ["HOP", "IMAGE_MEAN", "IMAGE_STD", "log_mel", "mel_frames", "patchify"],
        "files": ["MediaFacts", "kind_of", "probe"],
        "frame_plan": ["Clip", "Plan", "Sampling", "plan"],
        "images": ["read_image"],
        "sampling": ["SAMPLE_RATE", "SHORTEST_SOUND"],
        "sound": ["read_audio"],
        "video": ["decoding_arguments", "read_frames", "read_spread_frames"],
    },
)
