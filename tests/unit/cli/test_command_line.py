from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, seed, settings

from cli import word_order
from cli.main import COMMANDS, load_command, unwrap
from client import profiles
from farm.states import JobState

every_command = pytest.mark.parametrize("name", COMMANDS)


@every_command
def test_every_command_has_help_for_itself_and_for_each_parameter(farm, name: str) -> None:
    ran = farm(name, "--help")
    assert ran.code == 0
    assert COMMANDS[name].split()[0] in ran.stdout
    for parameter in load_command(name).params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@every_command
def test_the_listing_shows_the_first_line_of_a_commands_help(name: str) -> None:
    assert (load_command(name).help or "").splitlines()[0] == COMMANDS[name]


@every_command
def test_every_command_takes_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in load_command(name).params)


@every_command
def test_a_command_is_a_page_at_most(name: str) -> None:
    called: Any = load_command(name).callback
    source = Path(inspect.getsourcefile(called.__wrapped__) or "")
    assert source.name == f"{name.replace('-', '_')}.py"
    assert len(source.read_text().splitlines()) <= 250


def test_help_lists_every_command(farm) -> None:
    for words in ([], ["--help"], ["-h"]):
        ran = farm(*words)
        assert ran.code == 0
        assert all(name in ran.stdout for name in COMMANDS)


def test_version(farm) -> None:
    ran = farm("--version")
    assert ran.code == 0
    assert ran.stdout.startswith("farm 0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sumbit"], "`farm submit`"),
        (["downlod", "x"], "`farm download`"),
        (["zzzzzz"], "`farm --help`"),
        (["kill", "x"], "`farm cancel`"),
        (["dlete", "x"], "`farm rm`"),
        (["downlaod", "x"], "`farm download`"),
        (["webhook"], "'add|list|test|remove'"),
        (["build", "model"], "`farm submit`"),
        (["INT8"], "`farm --help`"),
        (["token", "list", "--scope", "admin"], "no option --scope"),
        (["token", "revoke", "x", "--max-queued", "3"], "no option --max-queued"),
        (["--bogus"], "farm --help"),
        (["submit", "--qant", "int8"], "--quant"),
        (["list", "--jsn"], "--json"),
        (["list", "--zzz"], "`farm list --help`"),
        (["list", "--limit", "many"], "--limit"),
        (["run", "app.apk"], "PROMPT"),
        (["cancel"], "JOB"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_with_the_closest_match(farm, words: list[str], said: str) -> None:
    ran = farm(*words)
    assert ran.code == 2
    assert said in ran.error
    as_json = farm(*words, "--json")
    assert as_json.code == 2
    assert as_json.json["error"]["code"] == "usage-error"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("submit", "x", "--quant"), "`farm submit --help` tells more."),
        (("gc", "--older-than", "x"), "it is no whole number; `farm gc --help` tells more."),
        (("webhook", "ad", "https://example.org"), "did you mean add?"),
        (("list", "--state", "runing"), "did you mean running?"),
        (("list", "--state", "zzz"), "`farm list --help` tells more."),
    ],
)
def test_a_wrong_value_gets_a_sentence_with_what_to_do(farm, words: tuple[str, ...], sentence: str) -> None:
    ran = farm(*words)
    assert ran.code == 2
    assert ran.error.endswith(sentence)
    assert "Input should be" not in ran.error


def test_a_fault_of_the_farm_is_one_sentence_and_its_trace_is_kept(farm, memory_farm, tmp_path: Path) -> None:
    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("of all things\nand more")

    memory_farm.jobs = broken
    ran = farm("list")
    assert ran.code == 1
    assert "ZeroDivisionError: of all things" in ran.error
    (trace,) = (tmp_path / "home" / "logs").iterdir()
    assert str(trace) in ran.error
    assert "in broken" in trace.read_text()
    assert farm("list", "--json").json["error"]["code"] == "farm-error"


def test_a_fault_where_the_farms_folder_cannot_be_written(farm, memory_farm) -> None:
    memory_farm.jobs = None
    ran = farm("list", env={"FARM_HOME": "/proc/nowhere"})
    assert ran.code == 1
    path = Path(ran.error.rsplit(" ", 1)[1].rstrip("."))
    assert "Traceback" in path.read_text()
    path.unlink()


def test_colours_are_for_terminals_only(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    memory_farm.add(JobState.FAILED)
    for words in (["status"], ["list"], ["recipes"], ["status", "k"], ["sumbit"]):
        ran = farm(*words)
        assert "\x1b" not in ran.stdout + ran.stderr


def test_unwrapping_joins_lines_and_keeps_paragraphs() -> None:
    assert unwrap("One\nline.\n\nAnother\none.") == "One line.\n\nAnother one."


LONG_COMMANDS = {
    "worker",
    "doctor",
    "run",
    "inspect",
    "serve",
}  # run programs, models, or forever
WORDS = st.one_of(
    st.sampled_from(
        [
            *(name for name in COMMANDS if name not in LONG_COMMANDS),
            *("--json", "--wait", "--no-wait", "--quant", "int8", "--only", "--output", "--force", "--follow", "-f"),
            *("--state", "failed", "--limit", "3", "--help", "--", "--clone", "--abi", "--keystore", "model", "k", "-"),
            *("--context", "--prefill", "8,32", "--name", "--version", "--model", "--recipe", "--io", "app.apk"),
        ]
    ),
    st.text(max_size=12),
    st.integers().map(str),
)


def options_of(name: str) -> st.SearchStrategy[list[str]]:
    """Some of the command's own options, each with a value if it takes one, right or wrong."""
    one = [
        st.tuples(st.sampled_from(parameter.opts), *([] if getattr(parameter, "is_flag", False) else [WORDS]))
        for parameter in load_command(name).params
        if parameter.opts[0].startswith("-")
    ]
    return st.lists(st.one_of(*one), max_size=4).map(lambda found: [word for words in found for word in words])


SHORT_COMMANDS = [name for name in COMMANDS if name not in LONG_COMMANDS]
COMMAND_LINES = st.sampled_from(SHORT_COMMANDS).flatmap(
    lambda name: st.tuples(options_of(name), st.lists(WORDS, max_size=4)).map(
        lambda parts: [name, *parts[1][:2], *parts[0], *parts[1][2:]]
    )
)


@pytest.mark.goal(id="S4")
def test_no_command_line_ends_in_a_traceback(farm, memory_farm, trial) -> None:
    ended: Counter[int] = Counter()

    @seed(trial.seed)
    @settings(max_examples=trial.size(200, 2000), deadline=None, database=None)
    @given(words=COMMAND_LINES)
    def every(words: list[str]) -> None:
        memory_farm.views.clear()
        memory_farm.add(JobState.SUCCEEDED)
        memory_farm.add(JobState.FAILED)
        ran = farm(*words)
        ended[ran.code] += 1
        assert ran.code in {0, *range(2, 91)}, ran.stderr
        assert "Traceback" not in ran.stdout + ran.stderr
        assert "at fault" not in ran.stderr
        if ran.code:
            assert ran.error

    every()
    trial.measured(f"{ended.total()} command lines: 0 tracebacks, {ended[0]} were right")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text(), min_size=1, max_size=4))
def test_nonsense_is_exit_code_2(farm, words: list[str]) -> None:
    ran = farm("?" + words[0], *words[1:])
    assert ran.code == 2
    assert ran.error


ALL_OPTIONS = sorted(
    {option for name in COMMANDS for each in load_command(name).params for option in each.opts if option[0] == "-"}
)


@every_command
def test_an_option_of_another_command_is_refused(farm, memory_farm, name: str) -> None:
    """Never ignored: an option that does nothing is taken for one that did."""
    own = {option for each in load_command(name).params for option in [*each.opts, *each.secondary_opts]}
    foreign = [option for option in ALL_OPTIONS if option not in own]
    assert len(foreign) > 20
    for option in foreign:
        ran = farm(name, option, "1")
        assert ran.code == 2, (name, option)
        assert option in ran.error
    assert not memory_farm.views


def test_options_stand_before_and_after_the_verb(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    expected = farm("list", "--json").json
    assert farm("--json", "list").json == expected
    assert farm("--limit", "1", "list", "--json").json == expected
    assert farm("list", "--json", "--profile", "local").json == expected
    assert farm("--profile=local", "--json", "list").json == expected
    assert farm("gc", "--profile", "nowhere").error.startswith("There is no profile 'nowhere'")


def test_other_names_of_commands(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    assert farm("ls").stdout == farm("list").stdout
    assert farm("help").stdout == farm("--help").stdout
    assert farm("help", "submit").stdout == farm("submit", "--help").stdout
    assert farm("version").stdout == farm("--version").stdout


@pytest.mark.parametrize(
    ("words", "arranged"),
    [
        (["submit", "m", "--wait"], ["submit", "m", "--wait"]),
        (["--wait", "submit", "m"], ["submit", "--wait", "m"]),
        (["run", "app.apk", "--", "--profile"], ["run", "app.apk", "--", "--profile"]),
        (["run", "app.apk", "list"], ["run", "app.apk", "list"]),
        (["submit", "--profile"], ["--profile", "submit"]),
        (["--version"], ["--version"]),
        (["nothing", "list"], ["nothing", "list"]),
        ([], []),
    ],
)
def test_the_order_of_words(words: list[str], arranged: list[str]) -> None:
    assert word_order.arrange(words, COMMANDS) == arranged


@pytest.mark.parametrize("name", ["gc", "disk", "pictures", "doctor", "worker", "migrate", "serve"])
def test_what_is_about_this_machine_is_refused_for_a_farm_elsewhere(
    farm, monkeypatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv(profiles.FOLDER_VARIABLE, str(tmp_path / "config"))
    profiles.add(profiles.Profile("office", "https://farm.example.org"), "farm_one", default=True)
    ran = farm(name, *(["k"] if name == "pictures" else []))
    assert ran.code == 2
    assert f"farm {name} is about this machine" in ran.error
    assert "office" in ran.error
    assert "https://farm.example.org" in ran.error
