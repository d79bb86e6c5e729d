"""Any PNG or SVG as the one picture that a job carries."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from farm import icons
from farm.appspec import AppSpec
from farm.errors import BadAppSetting

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="5" fill="#f00"/></svg>'


def png(size: tuple[int, int], colour: tuple[int, ...] = (255, 0, 0, 255), mode: str = "RGBA") -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, colour).save(target, "PNG")
    return target.getvalue()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")


def test_a_filled_picture_takes_what_launchers_show(tmp_path: Path) -> None:
    (tmp_path / "icon.png").write_bytes(png((100, 100)))
    picture = opened(icons.read_icon("icon.png", tmp_path))
    assert picture.size == (432, 432)
    assert picture.getbbox() == (72, 72, 360, 360)
    assert picture.getpixel((216, 216)) == (255, 0, 0, 255)


@pytest.mark.programs
def test_a_shape_stays_within_the_safe_part_and_keeps_its_form(tmp_path: Path) -> None:
    (tmp_path / "icon.svg").write_text(SVG)
    picture = opened(icons.read_icon("icon.svg", tmp_path))
    left, top, right, bottom = picture.getbbox() or (0, 0, 0, 0)
    assert (right - left, bottom - top) == (264, 264)
    assert picture.getpixel((216, 216)) == (255, 0, 0, 255)
    assert picture.getchannel("A").getpixel((left + 3, top + 3)) == 0
    wide = Image.new("RGBA", (200, 50), (0, 0, 255, 255))
    wide.putpixel((0, 0), (0, 0, 0, 0))
    wide.save(tmp_path / "wide.png")
    left, top, right, bottom = opened(icons.read_icon("wide.png", tmp_path)).getbbox() or (0, 0, 0, 0)
    assert (right - left, bottom - top) == (264, 66)


@pytest.mark.programs
def test_a_few_lines_that_ask_for_more_than_there_is_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of ten of the group before."""
    monkeypatch.setattr(icons, "CPU_SECONDS", 1)
    groups = "".join(f'<g id="a{number}">' + f'<use href="#a{number - 1}"/>' * 10 + "</g>" for number in range(1, 6))
    first = '<defs><g id="a0"><path d="M1 1h7v7z"/></g>'
    bomb = SVG.partition("<circle")[0] + first + groups + '</defs><use href="#a5"/></svg>'
    (tmp_path / "icon.svg").write_text(bomb)
    with pytest.raises(BadAppSetting, match="takes too much to draw"):
        icons.read_icon("icon.svg", tmp_path)


@pytest.mark.programs
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GIF89a", "neither PNG nor SVG"),
        (b"\xff\xfe\x00", "neither PNG nor SVG"),
        (b"<html></html>", "neither PNG nor SVG"),
        (png((10, 10))[:40], "damaged PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><broken", "can't be drawn"),
        (SVG.replace("<circle", '<image href="/etc/passwd"/><circle').encode(), "refers to another picture"),
        (SVG.replace("<circle", '<s:image href="/etc/passwd"/><circle').encode(), "refers to another picture"),
        (b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>', "refers to another picture"),
    ],
)
def test_what_is_no_icon_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "icon").write_bytes(content)
    with pytest.raises(BadAppSetting, match=said):
        icons.read_icon("icon", tmp_path)


def test_what_is_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadAppSetting, match="can't be read"):
        icons.read_icon("none.png", tmp_path)
    (tmp_path / "long.png").write_bytes(png((4097, 1)))
    with pytest.raises(BadAppSetting, match="4096 pixels"):
        icons.read_icon("long.png", tmp_path)
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(icons.LARGEST_FILE + 1)
    with pytest.raises(BadAppSetting, match="8 MiB"):
        icons.read_icon("huge.png", tmp_path)


def test_a_picture_of_many_colours_stays_small(tmp_path: Path) -> None:
    Image.effect_noise((432, 432), 100).convert("RGB").save(tmp_path / "noise.png")
    assert len(icons.decode(icons.read_icon("noise.png", tmp_path))) <= icons.LARGEST


@pytest.mark.parametrize(
    "value", ["", "x", base64.b64encode(b"PNG").decode(), base64.b64encode(png((431, 432))).decode()]
)
def test_a_job_carries_no_other_picture(value: str) -> None:
    with pytest.raises(BadAppSetting):
        AppSpec(icon=value)


@pytest.mark.parametrize("value", ["red", "#12345", "#1234567", "#GGGGGG", "00695C"])
def test_what_is_no_colour(value: str) -> None:
    with pytest.raises(BadAppSetting, match="#00695C"):
        AppSpec(color=value)


@pytest.mark.parametrize("prompts", [("",), ("a\nb",), ("x" * 201,), tuple("abcdefghi")])
def test_prompts_are_few_and_short(prompts: tuple[str, ...]) -> None:
    with pytest.raises(BadAppSetting):
        AppSpec(prompts=prompts)
