"""Profiles and tokens: found, chosen, written where nobody else can read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from client import profiles
from client.profiles import Profile
from farm.errors import NotAuthenticated, ProfileUnknown, SettingsInvalid
from farm.job_request import FIELDS, JobOptions

OFFICE = Profile("office", "https://farm.example.org")


def options(name: str | None) -> dict[str, Any]:
    return {key: value for layer in profiles.load().layers(name) for key, value in layer.values.items()}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(profiles.FOLDER_VARIABLE, str(tmp_path / "config"))
    (tmp_path / "here" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "deep")
    return tmp_path


def test_without_any_file_the_farm_is_this_machine() -> None:
    assert profiles.load().choose(None) is None
    assert profiles.load().choose("local") is None


def test_what_was_added_is_found(home: Path) -> None:
    profiles.add(OFFICE, "farm_one", default=True)
    other = Profile("attic", "http://127.0.0.1:8765")
    profiles.add(other, "farm_two", default=False)
    assert profiles.load().choose(None) == OFFICE
    assert profiles.load().choose("attic") == other
    assert (profiles.token(OFFICE), profiles.token(other)) == ("farm_one", "farm_two")
    for name in ("farm.toml", "credentials.toml"):
        assert (home / "config" / name).stat().st_mode & 0o777 == 0o600
    assert "farm_one" not in (home / "config" / "farm.toml").read_text()
    assert len(list((home / "config").iterdir())) == 2


def test_a_project_may_name_farms_but_gets_no_token(home: Path) -> None:
    profiles.add(OFFICE, "farm_one", default=True)
    (home / "here" / "farm.toml").write_text(
        'default = "office"\n[profiles.office]\nurl = "https://thief.example.org"\n'
    )
    chosen = profiles.load().choose(None)
    assert chosen == Profile("office", "https://thief.example.org")
    assert chosen is not None
    with pytest.raises(NotAuthenticated, match=r"farm login https://thief\.example\.org"):
        profiles.token(chosen)


def test_a_profile_may_say_which_ops_its_jobs_allow(home: Path) -> None:
    profiles.add(OFFICE, "farm_one", default=True)
    assert options(None) == options("local") == {}
    path = home / "config" / "farm.toml"
    path.write_text(path.read_text() + 'ops = "flex"\nallow_ops = ["B", "A"]\n[profiles.local]\nallow_ops = ["C"]\n')
    profiles.add(Profile("attic", "http://127.0.0.1:8765"), "farm_two", default=False)  # writes the file again
    assert options(None) == options("office") == {"ops": "flex", "allow_ops": ["B", "A"]}
    assert options("local") == {"allow_ops": ["C"]}
    assert options("attic") == {}
    (home / "here" / "farm.toml").write_text('[profiles.local]\nops = "tftext"\n')
    assert options("local") == {"ops": "tftext", "allow_ops": ["C"]}
    assert profiles.load().choose("local") is None


def test_a_login_keeps_what_the_file_says(home: Path) -> None:
    (home / "config").mkdir()
    path = home / "config" / "farm.toml"
    path.write_text('# mine\n[submit]\nlabel = "Story" # a remark\n\n[profiles.local]\nops = "ops.txt"\n')
    profiles.add(OFFICE, "farm_one", default=False)
    assert '# mine\n[submit]\nlabel = "Story" # a remark\n' in path.read_text()
    assert (options("local"), profiles.load().urls) == ({"label": "Story", "ops": "ops.txt"}, {"office": OFFICE.url})
    assert profiles.load().choose(None) is None
    profiles.add(Profile("office", "https://b.example.org"), "farm_two", default=True)
    assert profiles.load().choose(None) == Profile("office", "https://b.example.org")


def test_every_option_of_a_job_may_be_in_the_file(home: Path) -> None:
    (home / "here" / "farm.toml").write_text(
        'default = "lab"\n[submit]\ncontext = 64\nrecipe = "fp16"\nprefill = [8, 32]\nfilter = false\n'
        '[profiles.lab]\nurl = "https://lab.example.org"\nrecipe = "int8"\nabis = ["arm64"]\ncalibration = "t.txt"\n'
    )
    (home / "here" / "t.txt").write_text("text")
    layers = profiles.load().layers(None)
    assert [layer.values for layer in layers] == [
        {"context": 64, "recipe": "fp16", "prefill": [8, 32], "filter": False},
        {"recipe": "int8", "abis": ["arm64"], "calibration": "t.txt"},
    ]
    assert layers[1].value("calibration") == "text", "found beside farm.toml, not in the current folder"
    assert set(JobOptions.model_fields) == set(FIELDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[submit]\ncontxt = 64", "unknown key submit.contxt; did you mean context"),
        ('[submit]\nquant = "int8"', "did you mean recipe"),
        ("[profiles.local]\nabi = []", "profiles.local.abi; did you mean abis"),
        ('[profiles.lab]\nulr = "https://x.org"', "did you mean url"),
        ('defualt = "lab"', "unknown key defualt; did you mean default"),
        ('[submit]\ncontext = "64"', "submit.context .*whole number"),
        ("[submit]\nlabel = 3", "submit.label .*a text"),
        ('[submit]\nfilter = "no"', "submit.filter .*true or false"),
        ('submit = "x"', "at submit .*a table"),
        ("zzzzz = 1", "it may hold .*recipe"),
    ],
)
def test_what_the_file_may_not_hold_is_named(home: Path, text: str, said: str) -> None:
    (home / "here" / "farm.toml").write_text(text)
    with pytest.raises(SettingsInvalid, match=said):
        profiles.load()


def test_a_project_without_default_leaves_the_users(home: Path) -> None:
    profiles.add(OFFICE, "farm_one", default=True)
    (home / "here" / "farm.toml").write_text('[profiles.lab]\nurl = "https://lab.example.org/"\n')
    assert profiles.load().choose(None) == OFFICE
    assert profiles.load().choose("lab") == Profile("lab", "https://lab.example.org")
    (home / "here" / "farm.toml").write_text('default = "local"\n')
    assert profiles.load().choose(None) is None


def test_an_unknown_profile_names_the_closest() -> None:
    profiles.add(OFFICE, "farm_one", default=False)
    with pytest.raises(ProfileUnknown, match="did you mean office"):
        profiles.load().choose("ofice")


def test_tokens_that_others_can_read_are_refused(home: Path) -> None:
    profiles.add(OFFICE, "farm_one", default=True)
    (home / "config" / "credentials.toml").chmod(0o644)
    with pytest.raises(SettingsInvalid, match="chmod 600"):
        profiles.token(OFFICE)


@pytest.mark.parametrize(
    "text",
    ["not toml", 'profiles = "x"', "[profiles.x]\n", '[profiles."a b"]\nurl = "https://x.org"', "default = 3",
     '[profiles.x]\nurl = "ftp://x.org"', '[profiles.local]\nallow_ops = "x"',
     '[profiles.local]\nops = 3', '[profiles.x]\nops = "flex"'],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(home: Path, text: str) -> None:
    (home / "here" / "farm.toml").write_text(text)
    with pytest.raises(SettingsInvalid):
        profiles.load()


@pytest.mark.parametrize("name", ["local", "", "a b", "../x", "x" * 65])
def test_names_that_no_profile_can_have(name: str) -> None:
    with pytest.raises(ProfileUnknown):
        profiles.add(Profile(name, "https://x.org"), "farm_x", default=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://Farm.Example.org/", "https://farm.example.org"),
        ("https://x.org:8443/farm/", "https://x.org:8443/farm"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_addresses(given: str, expected: str) -> None:
    assert profiles.normal_url(given, insecure=False) == expected


@pytest.mark.parametrize(
    "given", ["x.org", "ftp://x.org", "https://", "https://x.org/?a", "https://u:p@x.org", "http://x.org"]
)
def test_addresses_that_are_refused(given: str) -> None:
    with pytest.raises(SettingsInvalid):
        profiles.normal_url(given, insecure=False)
    if given == "http://x.org":
        assert profiles.normal_url(given, insecure=True) == given
