"""An app's icon: any PNG or SVG becomes one square picture that a job carries, from which all densities are made."""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import subprocess
import sys
from pathlib import Path

from farm.errors import BadAppSetting

# The 108 dp of an adaptive icon at the highest density, and what of it every launcher shows.
SIZE = 432
SAFE = SIZE * 66 // 108
SHOWN = SIZE * 72 // 108
LARGEST_FILE = 8 << 20
LARGEST_PICTURE = 4096
# Of the picture as a job carries it.
LARGEST = 128 << 10
# Of processor time, and of the wall's clock on a machine that has other work as well.
CPU_SECONDS = 10
DRAWN_WITHIN = 120.0
PNG = b"\x89PNG\r\n\x1a\n"


def read_icon(text: str, folder: Path = Path()) -> str:
    """A PNG or SVG file as the picture that a job carries, PNG in Base64; BadAppSetting when it is neither."""
    path = folder / Path(text).expanduser()
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadAppSetting(f"The icon {text} is larger than {LARGEST_FILE >> 20} MiB; give a smaller picture.")
        content = path.read_bytes()
    except OSError as error:
        raise BadAppSetting(f"The icon {text} can't be read ({error.strerror}); give a PNG or SVG file.") from error
    return base64.b64encode(layer(content, text)).decode()


def layer(content: bytes, name: str) -> bytes:
    """The foreground of an adaptive icon as PNG: a picture with transparent parts within the safe circle's square, a
    filled one as large as launchers show. `name` is for the sentences."""
    # Only who gives an icon needs these.
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content if content.startswith(PNG) else _drawn(content, name))) as opened:
            if opened.format != "PNG" or max(opened.size) > LARGEST_PICTURE:
                raise BadAppSetting(f"The icon {name} is no PNG of at most {LARGEST_PICTURE} pixels; make one of it.")
            picture = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise BadAppSetting(f"The icon {name} is a damaged PNG; save it again.") from error
    inside = SHOWN if picture.getchannel("A").getextrema()[0] == 255 else SAFE
    scale = inside / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    whole = Image.new("RGBA", (SIZE, SIZE))
    whole.paste(picture.resize(size, Image.Resampling.LANCZOS), ((SIZE - size[0]) // 2, (SIZE - size[1]) // 2))
    found = _png(whole)
    return found if len(found) <= LARGEST else _png(whole.quantize(256))


def decode(text: str) -> bytes:
    """The picture of a job; BadAppSetting for what `read_icon` does not make. It is not drawn here."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadAppSetting("The icon is no Base64; give the PNG that farm submit --icon makes.") from error
    square = content.startswith(PNG) and content[12:16] == b"IHDR" and content[16:24] == struct.pack(">II", SIZE, SIZE)
    if not square or len(content) > LARGEST:
        raise BadAppSetting(f"The icon is no PNG of {SIZE} x {SIZE} pixels and at most {LARGEST >> 10} KiB; make one.")
    return content


def _drawn(content: bytes, name: str) -> bytes:
    """An SVG as PNG. No picture that it refers to is read, and no script is run."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadAppSetting(f"The icon {name} is neither PNG nor SVG; give one of the two.") from error
    if "<svg" not in text[:10_000]:
        raise BadAppSetting(f"The icon {name} is neither PNG nor SVG; give one of the two.")
    if re.search(r"<(?:[\w.-]+:)?(?:image|feImage)\b|<!ENTITY", text):
        raise BadAppSetting(f"The icon {name} refers to another picture; put its shapes into the SVG itself.")
    command = [sys.executable, "-P", "-m", "farm.icon_drawing", str(2 * SIZE), str(CPU_SECONDS)]
    try:
        drawn = subprocess.run(command, input=text.encode(), capture_output=True, timeout=DRAWN_WITHIN, check=False)
    except subprocess.TimeoutExpired as error:
        raise BadAppSetting(f"The icon {name} is an SVG that takes too long to draw; simplify it.") from error
    if drawn.returncode < 0:
        raise BadAppSetting(f"The icon {name} is an SVG that takes too much to draw; simplify it.")
    if drawn.returncode != 0:
        raise BadAppSetting(f"The icon {name} is an SVG that can't be drawn; export it as plain SVG.")
    return drawn.stdout


def _png(picture: object) -> bytes:
    target = io.BytesIO()
    picture.save(target, "PNG", optimize=True)  # type: ignore[attr-defined]  # an Image, whose module is loaded late
    return target.getvalue()
