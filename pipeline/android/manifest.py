"""What `aapt2 dump xmltree` says about a package's manifest, as data: what badging leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from farm.errors import PackageInvalid
from pipeline import process
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

TIMEOUT = 60.0
COMPONENTS = ("activity", "activity-alias", "service", "receiver", "provider")
ELEMENT = re.compile(r"( *)E: ([\w.-]+)")
ATTRIBUTE = re.compile(r"( *)A: (?:[^\s=]+:)?([\w.]+)(?:\(0x[0-9a-f]+\))?=(.*)")
STRING = re.compile(r'"(.*)" \(Raw: ".*"\)')


@dataclass
class Element:
    """An element of the manifest: attributes by their names without namespace, values as aapt2 writes them."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def find(self, name: str) -> Iterator[Element]:
        """The children of that name."""
        return (child for child in self.children if child.name == name)


@dataclass(frozen=True)
class Component:
    """A part of the app that the system starts. exported: None when the manifest does not say. launcher: it is what
    the launcher starts. guarded: callers need a permission."""

    kind: str
    name: str
    exported: bool | None
    filtered: bool
    launcher: bool
    guarded: bool

    @property
    def open(self) -> bool:
        """Whether any other app can start it. Without a word of the manifest, a filter opens it."""
        return not self.guarded and (self.filtered if self.exported is None else self.exported)


@dataclass(frozen=True)
class Manifest:
    """allow_backup: the system's default is yes. backup_rules: both generations of rules are named."""

    components: tuple[Component, ...]
    allow_backup: bool
    backup_rules: bool
    test_only: bool


def read(package: Path) -> Manifest:
    """Ask aapt2; PackageInvalid when it can't read the package."""
    said = process.run(
        (tools.find(Tool.AAPT2), "dump", "xmltree", "--file", "AndroidManifest.xml", package),
        timeout=TIMEOUT,
        error=PackageInvalid,
        hint="the file is no readable APK; build it again.",
    )
    return parse(said.stdout)


def parse(text: str) -> Manifest:
    """Take the output apart; PackageInvalid when there is no application in it."""
    application = next(_tree(text).find("application"), None)
    if application is None:
        raise PackageInvalid("The APK's manifest has no application; build the package again.")
    said = application.attributes
    return Manifest(
        components=tuple(_component(child) for child in application.children if child.name in COMPONENTS),
        allow_backup=said.get("allowBackup") != "false",
        backup_rules="dataExtractionRules" in said and "fullBackupContent" in said,
        test_only=said.get("testOnly") == "true",
    )


def _tree(text: str) -> Element:
    """The manifest's root. aapt2 indents an element's attributes as deep as its name and its children deeper."""
    root = Element("")
    path: list[tuple[int, Element]] = [(-1, root)]
    for line in text.splitlines():
        if found := ELEMENT.match(line):
            depth = len(found[1])
            while path[-1][0] >= depth:
                path.pop()
            element = Element(found[2])
            path[-1][1].children.append(element)
            path.append((depth, element))
        elif found := ATTRIBUTE.match(line):
            string = STRING.fullmatch(found[3])
            path[-1][1].attributes[found[2]] = string[1] if string else found[3]
    return next(root.find("manifest"), root)


def _component(element: Element) -> Component:
    exported = element.attributes.get("exported")
    filters = list(element.find("intent-filter"))
    return Component(
        kind=element.name,
        name=element.attributes.get("name", "without a name"),
        exported=None if exported is None else exported == "true",
        filtered=bool(filters),
        launcher=any(_launches(one) for one in filters),
        guarded="permission" in element.attributes,
    )


def _launches(intents: Element) -> bool:
    names = {child.attributes.get("name") for child in intents.children}
    return {"android.intent.action.MAIN", "android.intent.category.LAUNCHER"} <= names
