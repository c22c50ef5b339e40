"""Read still pictures as 8-bit RGB. Pictures of 16 bits are scaled, transparency lies on white, EXIF rotation is applied."""

import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .containers import AGAIN, MediaError, check_file
from .video import LARGEST, check_pixels

PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")  # how common formats begin

Image.MAX_IMAGE_PIXELS = None  # check_pixels has a limit of its own, which config.yaml sets


def read_image(path, largest: int = LARGEST) -> np.ndarray:
    """A picture as uint8 (1, 3, H, W). largest: the most pixels it may have. Raises MediaError.

    Of an animation this is the first picture. Pictures of floats must lie in 0..1.
    """
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata
            with Image.open(path) as opened:
                check_pixels(path, *opened.size, largest)
                deep = opened.mode.startswith("I;16") or opened.mode == "I" and opened.format in ("PNG", "PPM")
                picture = ImageOps.exif_transpose(opened)
                picture.load()
                return _rgb(path, picture, deep).transpose(2, 0, 1)[None]
    except MediaError:
        raise
    except UnidentifiedImageError:
        with open(path, "rb") as file:
            if file.read(8).startswith(PICTURES):
                raise MediaError("damaged", f"{path}: it begins like a picture, but cannot be decoded; {AGAIN}") from None
        raise MediaError("unreadable", f"{path}: not a picture that Pillow can read; save it as PNG or JPEG") from None
    except Exception as error:  # bad bytes make Pillow's plugins raise nearly anything
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise MediaError("truncated" if cut else "damaged", f"{path}: the picture cannot be decoded ({said}); {AGAIN}") from None


def _rgb(path, picture, deep: bool) -> np.ndarray:
    """Pixels (H, W, 3) uint8. deep: its numbers are those of 16 bits."""
    if deep:
        grey = ((np.asarray(picture).clip(0, 65535).astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.broadcast_to(grey[:, :, None], (*grey.shape, 3))
    if picture.mode in ("I", "F"):
        grey = np.asarray(picture)
        if picture.mode == "I" or not (grey.size and grey.min() >= 0 and grey.max() <= 1.001):
            low, high = (grey.min(), grey.max()) if grey.size else (0, 0)
            raise MediaError(
                "unsupported",
                f"{path}: its pixels are numbers from {low:g} to {high:g} of unknown scale; save it with 8 or 16 bits",
            )
        return np.repeat(np.round(grey.clip(0, 1) * 255).astype(np.uint8)[:, :, None], 3, 2)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    return np.asarray(picture.convert("RGB"))
