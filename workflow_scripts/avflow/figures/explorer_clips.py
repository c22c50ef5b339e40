"""Small pictures of a clip for the explorer: its frames side by side, and its spectrogram, as data URIs."""

import base64
import io

import numpy as np
from matplotlib.mlab import specgram
from PIL import Image

HEIGHT, QUALITY = 72, 70  # pixels of a frame; JPEG
SOUND = (400, 64)  # pixels of a spectrogram


def strip(frames, times, seconds: float) -> str:
    """Frames (T, 3, H, W) uint8, one for each of the slices `times` [(start, stop)] of a clip that lasts `seconds`."""
    found = []
    for start, _ in times:
        picture = frames[min(len(frames) - 1, int(start / seconds * len(frames) + 1e-6))].transpose(1, 2, 0)
        height, width = picture.shape[:2]
        found.append(np.asarray(Image.fromarray(picture).resize((max(1, round(HEIGHT * width / height)), HEIGHT))))
    return _uri(np.concatenate(found, 1))


def spectrogram(audio, rate: int = 16000) -> str:
    """A sound (n,) up to 8 kHz, in grey: louder is darker."""
    power, _, _ = specgram(audio, NFFT=400, Fs=rate, noverlap=240)
    share = np.clip((10 * np.log10(np.maximum(power, 1e-20)) + 120) / 90, 0, 1)
    return _uri(np.asarray(Image.fromarray((255 * (1 - share[::-1])).astype(np.uint8)).resize(SOUND)))


def _uri(picture: np.ndarray) -> str:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
