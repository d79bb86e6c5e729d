"""What a job decides about the app's looks: the icon in all densities, and its colour by day and by night."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import Image, ImageChops

from farm import icons
from farm.appspec import AppSpec

# Pixels of an adaptive icon's 108 dp.
DENSITIES = {"mdpi": 108, "hdpi": 162, "xhdpi": 216, "xxhdpi": 324, "xxxhdpi": 432}
FOREGROUND, MONOCHROME = "launcher_foreground", "launcher_monochrome"
# What text on a colour must differ by (WCAG 2.2, 1.4.3).
CONTRAST = 4.5
DAY, NIGHT = (251, 252, 250), (16, 20, 19)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """The colours of resources by name, for one of the two themes."""

    primary: Rgb
    on_primary: Rgb
    primary_container: Rgb
    on_primary_container: Rgb


def overlays(app: AppSpec) -> Mapping[str, bytes]:
    """Files of a `res` folder that go over the app's own; none where the job leaves its looks as they are."""
    found: dict[str, bytes] = {}
    if app.color is not None:
        colour = _parse(app.color)
        day, night = palettes(colour)
        found["values/colors.xml"] = _colours({**day.__dict__, "launcher_background": colour})
        found["values-night/colors.xml"] = _colours(night.__dict__)
        # Where the phone's own colours would stand otherwise.
        found["values-v31/colors.xml"] = _colours(day.__dict__)
        found["values-night-v31/colors.xml"] = _colours(night.__dict__)
    if app.icon is not None:
        found |= _icon(icons.decode(app.icon), whole_background=app.color is None)
    return found


def palettes(colour: Rgb) -> tuple[Palette, Palette]:
    """By day and by night; texts and buttons differ enough from what they stand on."""
    day = _until(colour, BLACK, DAY)
    night = _until(_mix(colour, WHITE, 0.4), WHITE, NIGHT)
    pale, deep = _mix(colour, WHITE, 0.82), _mix(colour, BLACK, 0.6)
    return (
        Palette(day, _on(day), pale, _until(_mix(colour, BLACK, 0.6), BLACK, pale)),
        Palette(night, _on(night), deep, _until(_mix(colour, WHITE, 0.8), WHITE, deep)),
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _icon(content: bytes, *, whole_background: bool) -> Mapping[str, bytes]:
    """The foreground, the shape alone for launchers that colour it, behind a filled picture its own edge's colour."""
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGBA")
    filled = _is_filled(picture)
    shape = Image.new("RGBA", picture.size, (*WHITE, 0))
    shape.putalpha(_apart(picture) if filled else picture.getchannel("A"))
    found = {}
    for name, layer in ((FOREGROUND, picture), (MONOCHROME, shape)):
        for density, pixels in DENSITIES.items():
            target = io.BytesIO()
            layer.resize((pixels, pixels), Image.Resampling.LANCZOS).save(target, "PNG")
            found[f"drawable-{density}/{name}.png"] = target.getvalue()
    if filled and whole_background:
        found["values/icon_colors.xml"] = _colours({"launcher_background": _edge(picture)})
    return found


def _is_filled(picture: Image.Image) -> bool:
    """Whether the shown part has no transparent pixel."""
    first = (icons.SIZE - icons.SHOWN) // 2 + 2
    shown = picture.crop((first, first, icons.SIZE - first, icons.SIZE - first))
    return shown.getchannel("A").getextrema() == (255, 255)


def _edge(picture: Image.Image) -> Rgb:
    """The colour in the shown part's corner."""
    corner = (icons.SIZE - icons.SHOWN) // 2 + 2
    red, green, blue = picture.crop((corner, corner, corner + 1, corner + 1)).convert("RGB").tobytes()
    return red, green, blue


def _apart(picture: Image.Image) -> Image.Image:
    """How far each pixel is from the picture's corner, as what a filled picture has for a shape."""
    ground = Image.new("RGB", picture.size, _edge(picture))
    apart = ImageChops.difference(picture.convert("RGB"), ground).convert("L").point(lambda value: min(255, value * 3))
    return ImageChops.multiply(apart, picture.getchannel("A"))


def _colours(values: Mapping[str, Rgb]) -> bytes:
    resources = ElementTree.Element("resources")
    for name, (red, green, blue) in values.items():
        ElementTree.SubElement(resources, "color", name=name).text = f"#FF{red:02X}{green:02X}{blue:02X}"
    return ElementTree.tostring(resources, encoding="unicode", xml_declaration=True).encode()


def _parse(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _until(colour: Rgb, towards: Rgb, ground: Rgb) -> Rgb:
    """The colour, mixed with another until it can be read on the ground."""
    for step in range(21):
        mixed = _mix(colour, towards, step / 20)
        if contrast(mixed, ground) >= CONTRAST:
            return mixed
    return towards


def _on(ground: Rgb) -> Rgb:
    return max((WHITE, BLACK), key=lambda text: contrast(text, ground))


def _mix(one: Rgb, other: Rgb, part: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    red, green, blue = (part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
