"""The striped clips that tests of the reader make: every container, codec, cut, join and shift. FAST ones are a mixture."""

from fractions import Fraction

from striped_clips import Recipe

NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
CUT, OPEN_CUT, JOINED = ((1.4, 5),), ((1.4, 6),), ((1, 2), (3, 6))
MIXED = tuple((k, k + 1) for k in (0, 2, 1, 3, 5, 4))
WEBM, TS, MPG = ("webm", "libvpx-vp9", "libopus"), ("ts", "libx264", "aac"), ("mpg", "mpeg2video", "mp2")
WMV, AVI, MOV = ("wmv", "wmv2", "wmav2"), ("avi", "mpeg4", "libmp3lame"), ("mov", "libx264", "pcm_s16le")
MKV, FLV = ("mkv", "libx264", "flac"), ("flv", "flv", "libmp3lame")

FAST = [
    Recipe(b_frames=2),
    Recipe("mp4", "libx265", "libmp3lame", b_frames=3, open_gop=True),
    Recipe(keep=CUT, b_frames=2, early_sound=True),
    Recipe("mp4", "libx265", keep=OPEN_CUT, b_frames=3, open_gop=True),
    Recipe(keep=MIXED),
    Recipe(times="varied", b_frames=2),
    Recipe(late=-0.4, b_frames=2, tracks=2, default=1),
    Recipe(*MOV, rotation=90, late=0.7),
    Recipe(*MKV, start=5, hole=(1, 3)),
    Recipe(*WEBM, late=0.9),
    Recipe("ts", "libx264", "aac", open_gop=True, b_frames=3),
    Recipe(*AVI, b_frames=1),
    Recipe(*MPG, b_frames=2),
    Recipe(*WMV, late=-0.5),
    Recipe(*FLV, start=2),
]
SLOW = [
    # every container and codec as it comes
    Recipe(),
    Recipe("mp4", "libsvtav1", "libopus"),
    Recipe("mp4", "libvpx-vp9", "flac"),
    Recipe("mp4", "mpeg4", "ac3"),
    Recipe("mp4", "mpeg2video", "mp2", b_frames=2),
    Recipe("mp4", "mjpeg", "alac"),
    Recipe("mp4", audio=None),
    Recipe("mov", "prores_ks", "pcm_s16le"),
    Recipe("mov", "mjpeg", "aac"),
    Recipe("mov", "libx264", "alac", b_frames=2),
    Recipe("mkv", "libx265", "vorbis", b_frames=3, open_gop=True),
    Recipe("mkv", "mpeg4", "libmp3lame", b_frames=1),
    Recipe("mkv", "ffv1", "pcm_s16le"),
    Recipe("mkv", "libx264", "eac3", b_frames=2),
    Recipe("mkv", "mpeg2video", "mp2", b_frames=2, open_gop=True),
    Recipe("webm", "libvpx", "vorbis"),
    Recipe(*WEBM),
    Recipe("webm", "libsvtav1", "libopus"),
    Recipe(*TS, b_frames=2),
    Recipe("ts", "libx265", "ac3", b_frames=3, open_gop=True),
    Recipe("ts", "mpeg2video", "mp2", b_frames=2, open_gop=True),
    Recipe(*AVI),
    Recipe("avi", "mjpeg", "pcm_s16le"),
    Recipe("avi", "msmpeg4", "ac3"),
    Recipe("avi", "libx264", "mp2", b_frames=2),
    Recipe("avi", "huffyuv", "pcm_s16le"),
    Recipe("mpg", "mpeg1video", "mp2", b_frames=2),
    Recipe("mpg", "mpeg2video", "ac3", open_gop=True, b_frames=2),
    Recipe(*WMV),
    Recipe("wmv", "msmpeg4", "libmp3lame"),
    Recipe(*FLV),
    Recipe("flv", "libx264", "aac", b_frames=2),
    # other frame rates and groups of pictures
    Recipe(fps=10),
    Recipe(fps=NTSC, b_frames=2),
    Recipe(fps=60, rate=44100, gop=250),
    Recipe("mkv", fps=NTSC, b_frames=2),
    Recipe("mkv", fps=FILM, rate=22050),
    Recipe(*WEBM, fps=NTSC),
    Recipe(*TS, fps=50, gop=250),
    Recipe(*AVI, fps=15),
    Recipe(*AVI, fps=NTSC, b_frames=2, gop=12),
    Recipe(*MPG, fps=NTSC, b_frames=2, gop=15),
    # a variable frame rate
    *(Recipe(*kind, times="varied") for kind in ((), ("mkv",), WEBM, TS, ("mov",), ("flv", "libx264"), WMV)),
    Recipe("mkv", "libx265", times="varied", b_frames=3, open_gop=True),
    # pictures that start late on the container's clock
    *(Recipe(*kind, start=2.5, b_frames=b) for kind, b in (((), 2), (WEBM, 0), (TS, 2), (WMV, 0), (MOV, 2), (MPG, 2))),
    # sound that starts late or early
    *(Recipe(*kind, late=0.8) for kind in ((), ("mkv",), TS, FLV, WMV, MPG, ("mp4", "libx265", "libopus"))),
    *(Recipe(*kind, late=-0.4) for kind in (("mkv",), WEBM, TS, FLV, MPG)),
    *(Recipe(*kind, late=-1, b_frames=2) for kind in (MOV, ("mkv",), TS)),
    Recipe("mkv", start=4, late=-0.4),
    Recipe(*TS, start=4, late=0.8, b_frames=2),
    # sound with a hole
    *(Recipe(*kind, hole=(1, 3)) for kind in ((), WEBM, TS, FLV, WMV, MPG, ("mkv", "libx264", "vorbis"))),
    Recipe("mkv", hole=(1, 3), late=-0.4),
    # several sound tracks
    *(Recipe(*kind, tracks=3, default=2) for kind in (("mkv",), ("mp4", "libx264", "ac3"), MKV)),
    Recipe("mov", tracks=2, default=1),
    Recipe("webm", "libvpx", "libopus", tracks=2, default=1),
    # cut without re-encoding
    Recipe(keep=CUT),
    Recipe(keep=((1.41, 5),)),
    Recipe(keep=((1.92, 5),), early_sound=True),
    Recipe(keep=OPEN_CUT, b_frames=3, open_gop=True),
    Recipe("mp4", "libx265", "libopus", keep=CUT, b_frames=2),
    Recipe("mp4", "mpeg4", keep=CUT),
    Recipe("mp4", "libvpx-vp9", "libopus", keep=CUT),
    Recipe("mov", "prores_ks", "pcm_s16le", keep=CUT),
    Recipe(*MOV, keep=CUT, b_frames=2),
    Recipe("mkv", keep=CUT, b_frames=2),
    Recipe("mkv", keep=CUT, early_sound=True),
    Recipe("mkv", keep=OPEN_CUT, b_frames=3, open_gop=True),
    Recipe("mkv", "libx265", keep=OPEN_CUT, b_frames=3, open_gop=True),
    Recipe(*TS, keep=CUT, b_frames=2),
    Recipe(*TS, keep=CUT, early_sound=True),
    Recipe(*TS, keep=OPEN_CUT, b_frames=3, open_gop=True),
    Recipe("ts", "libx265", keep=OPEN_CUT, b_frames=3, open_gop=True),
    Recipe(*WEBM, keep=CUT),
    Recipe(*FLV, keep=CUT),
    Recipe(*WMV, keep=CUT),
    Recipe(*MPG, keep=CUT, b_frames=2),
    Recipe(*MPG, keep=OPEN_CUT, b_frames=2, open_gop=True),
    Recipe(*AVI, keep=((2, 5),)),
    # cut and joined
    Recipe(keep=((0, 2), (3, 6))),
    Recipe(keep=JOINED, b_frames=2),
    Recipe(keep=MIXED, b_frames=2, start=1),
    *(Recipe(*kind, keep=JOINED) for kind in (("mkv",), TS, FLV, AVI, MOV, MPG)),
    Recipe(*WEBM, keep=((1, 3), (0, 2))),
    Recipe(*TS, keep=MIXED),
    Recipe("mkv", keep=MIXED),
    # fragmented, with its index in front, or turned
    *(Recipe("mp4", *codecs, fragmented=True, b_frames=2) for codecs in ((), ("libx265", "libopus"))),
    Recipe(fragmented=True, late=0.8),
    Recipe(faststart=True, b_frames=2),
    Recipe("mp4", "libx265", rotation=90),
    Recipe(rotation=180),
    Recipe("mov", rotation=270, b_frames=2),
]
SOUNDS = [
    Recipe(suffix, None, codec, rate=rate, start=start)
    for suffix, codec, rate, start in (
        ("m4a", "aac", 44100, 0),
        ("m4a", "alac", 48000, 0),
        ("mp3", "libmp3lame", 44100, 0),
        ("opus", "libopus", 48000, 0),
        ("ogg", "libopus", 48000, 0),
        ("ogg", "vorbis", 44100, 0),
        ("flac", "flac", 22050, 0),
        ("wav", "pcm_s16le", 8000, 0),
        ("mka", "aac", 48000, 5),
        ("mka", "libopus", 48000, 5),
        ("ts", "aac", 48000, 3),
        ("wmv", "wmav2", 44100, 3),
    )
]
