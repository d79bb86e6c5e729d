"""An app's icon in all densities, and colours that can be read."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import hypothesis.strategies as st
import pytest
from hypothesis import given
from PIL import Image

from farm import icons
from farm.appspec import AppSpec
from pipeline.android import resources, theme
from pipeline.android.base import AppSources


def colours(content: bytes) -> dict[str, str]:
    return {one.attrib["name"]: one.text or "" for one in ElementTree.fromstring(content)}  # noqa: S314  ours


def icon(tmp_path: Path, picture: Image.Image) -> str:
    picture.save(tmp_path / "icon.png")
    return icons.read_icon("icon.png", tmp_path)


def test_a_job_that_wishes_nothing_changes_nothing() -> None:
    assert theme.overlays(AppSpec()) == {}
    assert list(resources.job_resources(AppSpec())) == ["values/strings.xml"]


part = st.integers(0, 255)


@given(st.tuples(part, part, part))
def test_texts_and_buttons_can_be_read_whatever_the_colour(colour: tuple[int, int, int]) -> None:
    day, night = theme.palettes(colour)
    for palette, ground in ((day, theme.DAY), (night, theme.NIGHT)):
        assert theme.contrast(palette.primary, ground) >= theme.CONTRAST
        assert theme.contrast(palette.on_primary, palette.primary) >= theme.CONTRAST
        assert theme.contrast(palette.on_primary_container, palette.primary_container) >= theme.CONTRAST


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    files = theme.overlays(AppSpec(color="#6a1b9a"))
    day, night = colours(files["values/colors.xml"]), colours(files["values-night/colors.xml"])
    assert day["primary"] == day["launcher_background"] == "#FF6A1B9A"
    assert day["on_primary"] == "#FFFFFFFF"
    # The phone's own colours do not stand before the job's.
    for time in ("", "-night"):
        platform = colours((AppSources().main / "res" / f"values{time}-v31" / "colors.xml").read_bytes())
        own = colours(files[f"values{time}-v31/colors.xml"])
        assert {name for name in platform if "primary" in name} <= own.keys()
    assert "launcher_background" not in night
    assert theme.contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)


def test_an_icon_in_all_densities_with_its_shape_in_one_colour(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    picture.paste((0, 128, 0, 255), (20, 20, 80, 80))
    files = theme.overlays(AppSpec(icon=icon(tmp_path, picture)))
    assert len(files) == 10
    for density, pixels in theme.DENSITIES.items():
        for name in (theme.FOREGROUND, theme.MONOCHROME):
            made = Image.open(io.BytesIO(files[f"drawable-{density}/{name}.png"]))
            assert made.size == (pixels, pixels)
    shape = Image.open(io.BytesIO(files["drawable-xxxhdpi/launcher_monochrome.png"])).convert("RGBA")
    assert shape.getpixel((216, 216)) == (255, 255, 255, 255)
    assert shape.getchannel("A").getpixel((90, 90)) == 0


def test_behind_a_filled_icon_is_the_colour_of_its_edge(tmp_path: Path) -> None:
    picture = Image.new("RGB", (100, 100), (10, 20, 200))
    picture.paste((255, 255, 0), (40, 40, 60, 60))
    files = theme.overlays(AppSpec(icon=icon(tmp_path, picture)))
    assert colours(files["values/icon_colors.xml"]) == {"launcher_background": "#FF0A14C8"}
    shape = Image.open(io.BytesIO(files["drawable-xxxhdpi/launcher_monochrome.png"])).convert("RGBA")
    assert int(shape.getchannel("A").crop((216, 216, 217, 217)).tobytes()[0]) > 200
    assert shape.getchannel("A").getpixel((100, 100)) == 0
    own = theme.overlays(AppSpec(icon=icon(tmp_path, picture), color="#112233"))
    assert colours(own["values/colors.xml"])["launcher_background"] == "#FF112233"
    assert "values/icon_colors.xml" not in own
