"""Compares the kind `word-level` of the copy of the farm that it lies in with the tokenizers package.

In Python and in the app's classes. Arguments: the toolchain, a folder to work in, and one of kept jars.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from farm.tokenizer_kinds import Reader, unable
from pipeline.android import compilation
from pipeline.android.base import AppBase, AppSources
from pipeline.android.host_driver import classpath
from pipeline.tokenizers import document
from pipeline.tokenizers.codec import TextCodec
from pipeline.toolchain import maven
from pipeline.toolchain.pins import Role
from tests.fixtures.host_driver import HostDriver
from tests.fixtures.kept_jars import kept
from tests.integration.test_tokenizer_parity import WORDS, require_parity


def main(toolchain_folder: Path, folder: Path, jars: Path) -> None:
    words = dict.fromkeys(word for text in ("<unk>", *WORDS) for word in text.split())
    stated = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))  # noqa: S106
    stated.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    stated.add_special_tokens(["<|end|>"])
    written = document.write(json.loads(stated.to_str()))
    assert written.kind is not None
    (folder / "tokenizer.json").write_bytes(written.content)

    toolchain, sources, base = maven.at(toolchain_folder), AppSources(), AppBase(folder / "base")
    base.folder.mkdir()
    platform = (*toolchain.paths(Role.PLATFORM), *toolchain.paths(Role.LIBRARY))
    libraries = (base.library_jar, *platform)
    with kept(jars):
        compilation.compile_kotlin(toolchain, sources.library / "kotlin", platform, base.library_jar, "generation")
        compilation.compile_kotlin(toolchain, sources.host, libraries, base.host_jar, "host", (base.library_jar,))
    driver = HostDriver(classpath(base, toolchain, Role.HOST_NATIVE))
    for reads_special in (False, True):
        require_parity(driver, folder / "tokenizer.json", folder, reads_special=reads_special)
    assert driver.quit() == 0

    codec = TextCodec(written.content, "the file")
    readers = {reader.value: [each.value for each in unable(reader, written.features)] for reader in Reader}
    sys.stdout.write(
        json.dumps(
            {
                "kind": written.kind.value,
                "app": readers["app"],
                "graph": readers["graph"],
                "text": codec.continue_text(codec.encode("def  \u00fc")),
            }
        )
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
