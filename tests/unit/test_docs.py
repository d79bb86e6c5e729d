"""The documentation keeps its promises: generated pages are fresh, and everything that can be met is described."""

from __future__ import annotations

import re

import pytest

from cli import reference
from cli.main import COMMANDS, load_command
from farm import errors, locations
from farm.artifacts import PUBLISHED
from farm.job_request import FIELDS
from farm.recipes import RECIPES
from farm.settings import Settings
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
    code = [*(locations.ROOT / "scripts").iterdir(), locations.ROOT / "docker-compose.yml"]
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
    for route in (route for router in routers for route in router.routes):
        assert f"{route.path}`" in page


def test_the_metadata_page_has_every_field() -> None:
    from pipeline.models.metadata import OWN

    page = read("metadata.md")
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    refused = {name for name, field in FIELDS.items() if not field.option.of_model}
    assert rows == {*OWN, *FIELDS} - refused
    assert all(f"`{name}`" in page for name in refused)


def test_the_tutorials_commands_have_the_options_that_they_use() -> None:
    folders = ("tutorial", "how-to")
    text = "\n".join(page.read_text() for name in folders for page in (locations.ROOT / "docs" / name).glob("*.md"))
    calls = re.findall(r"^(?:\w+=\$\()?farm ([a-z-]+)(.*)$", text, re.MULTILINE)
    assert len(calls) >= 6
    for name, rest in calls:
        known = {option for parameter in load_command(name).params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name
