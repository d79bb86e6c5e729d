"""The documentation keeps its promises: generated pages are fresh, and everything that can be met is described."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import textwrap
from pathlib import Path

import pytest

from cli import reference, word_order
from cli.main import COMMANDS, load_command
from client import profiles
from farm import errors, locations
from farm.artifacts import PUBLISHED
from farm.job_request import FIELDS, Layer, build_spec
from farm.recipes import RECIPES
from farm.settings import Settings
from pipeline.models import metadata
from server.settings import ServerSettings

PAGES = reference.pages()


def read(name: str) -> str:
    return (locations.ROOT / "docs" / name).read_text()


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_generated_pages_are_fresh(path) -> None:
    assert read(path.name) == PAGES[path], f"docs/{path} is stale; run scripts/docs"


def test_the_pages_are_written_where_they_are_asked_for(tmp_path) -> None:
    reference.main(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        path.name: text for path, text in PAGES.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_place_with_all_its_options(name: str) -> None:
    section = read("cli.md").split(f"## farm {name}\n")[1].split("\n## ")[0]
    for parameter in load_command(name).params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if option.startswith("--"):
                assert f"`{option}" in section


def test_every_recipe_is_described() -> None:
    page = read("recipes.md")
    for recipe in RECIPES:
        assert page.count(f"| `{recipe.alias}` |") == 2
        assert f"`{recipe.name}`" in page
        assert recipe.summary in page


def test_every_error_is_described() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", read("errors.md"), re.MULTILINE))
    assert rows == {str(cls.exit_code): cls.code() for cls in errors.all_errors()}


def test_every_download_is_named() -> None:
    page = read("cli.md")
    assert all(f"`{name}`" in page for name in PUBLISHED)


def test_links_between_pages_lead_somewhere() -> None:
    for path in sorted((locations.ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_scripts_and_variables_that_are_named_are_there() -> None:
    """A page that tells an operator to run or set something that is gone is worse than none."""
    pages = [locations.ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
    pages += sorted((locations.ROOT / "docs").glob("*.md"))
    text = "\n".join(page.read_text() for page in pages)
    scripts = {path.name for path in (locations.ROOT / "scripts").iterdir()}
    assert set(re.findall(r"\bscripts/([a-z-]+)", text)) <= scripts
    # A script that a test loads leaves __pycache__ there.
    code = [path for path in (locations.ROOT / "scripts").iterdir() if path.is_file()]
    code.append(locations.ROOT / "docker-compose.yml")
    code += [path for folder in ("farm", "server", "client", "cli", "worker") for path in
             (locations.ROOT / folder).rglob("*.py")]  # fmt: skip
    known = set(re.findall(r"\bFARM_[A-Z_]+\b", "\n".join(path.read_text() for path in code)))
    known |= {f"FARM_{name.upper()}" for name in Settings.model_fields}
    known |= {f"FARM_SERVER_{name.upper()}" for name in ServerSettings.model_fields}
    assert set(re.findall(r"\bFARM_[A-Z_]+[A-Z]\b", text)) <= known


def test_every_page_has_its_place_in_the_site() -> None:
    text = (locations.ROOT / "mkdocs.yml").read_text()
    placed = re.findall(r"- ([\w/-]+\.md)$", text.split("\nnav:\n")[1], re.MULTILINE)
    pages = {str(path.relative_to(locations.ROOT / "docs")) for path in (locations.ROOT / "docs").rglob("*.md")}
    assert set(placed) == pages
    assert len(placed) == len(pages)


def test_every_operation_of_the_api_is_described() -> None:
    from server.routes import artifacts, jobs, logs, tokens, uploads

    page = read("http-api.md")
    routers = (artifacts.router, jobs.router, logs.router, tokens.router, uploads.router)
    paths = [getattr(route, "path", "") for router in routers for route in router.routes]
    assert all(path and f"{path}`" in page for path in paths)


def test_the_metadata_page_has_every_field() -> None:
    from pipeline.models.metadata import OWN

    page = read("metadata.md")
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    refused = {name for name, field in FIELDS.items() if not field.option.of_model}
    assert rows == {*OWN, *FIELDS} - refused
    assert all(f"`{name}`" in page for name in refused)


HANDWRITTEN = [page for page in sorted((locations.ROOT / "docs").rglob("*.md")) if Path(page.name) not in PAGES]
PAGES_WITH_COMMANDS = [*HANDWRITTEN, locations.ROOT / "README.md", locations.ROOT / "CONTRIBUTING.md"]


def blocks(page: Path, *kinds: str) -> list[str]:
    """The page's code blocks of these kinds, without what indents them."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, kind, text in found if kind in kinds]


CALL = re.compile(r"(?:^|\$\(|\$ |- run: )\s*(farm [a-z-]+(?: .*)?)$")
END_OF_CALL = re.compile(r"  #|\)| \||;")


def commands(page: Path) -> list[list[str]]:
    """Each call of `farm` in the page's blocks of commands, as words; a variable stands for a number."""
    lines = [line for text in blocks(page, "", "bash", "yaml") for line in text.splitlines()]
    calls = [END_OF_CALL.split(match[1])[0] for line in lines if (match := CALL.search(line))]
    return [[re.sub(r"^\$\w+$", "1", word) for word in shlex.split(call)] for call in calls]


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_are_taken_by_their_parsers(page: Path) -> None:
    for _, *words in commands(page):
        of_farm, *rest = word_order.arrange(words, COMMANDS)
        if of_farm.startswith("-"):
            continue
        assert of_farm in COMMANDS, words
        command = load_command(of_farm)
        # Raises for an unknown option, a missing argument and a value of the wrong kind; nothing is run.
        command.make_context(f"farm {of_farm}", rest, resilient_parsing=False)


def test_the_pages_have_commands_that_are_tried() -> None:
    tried = {page.name: len(commands(page)) for page in PAGES_WITH_COMMANDS}
    assert tried["first-fine-tune.md"] >= 5
    assert tried["install-on-a-phone.md"] >= 5
    assert tried["read-the-result.md"] >= 3
    assert tried["scripts-and-ci.md"] >= 8
    assert tried["where-things-are.md"] == 4
    assert tried["use-the-library.md"] == 2


@pytest.mark.parametrize("name", ["python-api.md", "how-to/extend.md"])
def test_python_in_the_pages_imports_what_there_is(name: str) -> None:
    found = blocks(locations.ROOT / "docs" / name, "python")
    assert found
    for text in found:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                for one in node.names:
                    assert hasattr(module, one.name) or importlib.util.find_spec(f"{node.module}.{one.name}"), one.name


def test_the_python_page_builds_a_spec() -> None:
    """The calls of the page, but for those that need a farm."""
    text = blocks(locations.ROOT / "docs" / "python-api.md", "python")[0]
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    call = next(node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "build_spec")
    spec = eval(ast.unparse(call), {"build_spec": build_spec, "Layer": Layer, "model": "gpt2_base_en"})  # noqa: S307  ours
    assert (spec.recipe.split("_")[0], spec.app.prompts) == ("dynamic", ("Once upon a time",))


@pytest.mark.parametrize("name", ["server.md", "tutorial/first-fine-tune.md"])
def test_farm_toml_in_the_pages_is_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(profiles.FOLDER_VARIABLE, str(tmp_path / "config"))
    found = blocks(locations.ROOT / "docs" / name, "toml")
    assert found
    for text in found:
        (tmp_path / "farm.toml").write_text(text)
        assert profiles.load(tmp_path).layers(None)


def test_metadata_in_the_tutorial_is_taken() -> None:
    [text] = blocks(locations.ROOT / "docs" / "tutorial" / "first-fine-tune.md", "json")
    assert metadata.parse(f"{{{text}}}".encode()).prompts == ("What is a list?",)


def test_the_librarys_page_has_the_activities_that_the_tests_compile() -> None:
    page = locations.ROOT / "docs" / "how-to" / "use-the-library.md"
    samples = locations.ANDROID_BUILDER / "sample/src/main/kotlin/dev/kerasfarm/sample"
    for name in ("StoryActivity.kt", "ChatActivity.kt"):
        sample = (samples / name).read_text().rstrip()
        assert sample in page.read_text()
        assert sample.count("\n") < 60
    settings = (locations.ANDROID_BUILDER / "generation").rglob("GenerationOptions.kt")
    names = re.findall(r"^    val (\w+):", next(settings).read_text(), re.MULTILINE)
    assert len(names) >= 7
    assert all(f"| `{name}` |" in page.read_text() for name in names)


def test_what_python_needs_is_said_where_things_are() -> None:
    page = read("where-things-are.md")
    for usage in ("store", "caches", "logs", "keys", "work"):
        assert f"`FARM_HOME/{usage}`" in page
