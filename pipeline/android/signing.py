"""Signs APKs with apksigner (schemes 2 and 3) and asks it whether a signature holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from farm.errors import KeystoreUnusable, PackageInvalid
from pipeline import process
from pipeline.android.keystore import SigningKey
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

TIMEOUT = 600.0
JVM = ("-JXX:+UseSerialGC", "-JXshare:auto")


@dataclass(frozen=True)
class Signature:
    """Which schemes hold, and the SHA-256 of the first signer's certificate in hex."""

    schemes: frozenset[int]
    certificate: str | None


def sign(unsigned: Path, signed: Path, key: SigningKey, alias: str) -> None:
    """Write the signed APK. The same package and RSA key give the same bytes. KeystoreUnusable when the key fails."""
    process.run(
        (
            tools.find(Tool.APKSIGNER), *JVM, "sign", *key.for_apksigner(),
            "--ks-key-alias", alias, "--v1-signing-enabled", "false", "--v2-signing-enabled", "true",
            "--v3-signing-enabled", "true", "--v4-signing-enabled", "false", "--in", unsigned, "--out", signed,
        ),
        timeout=TIMEOUT, error=KeystoreUnusable, hint="check the keystore, its alias and its password.",
    )  # fmt: skip


def verify(package: Path) -> Signature:
    """Ask apksigner; PackageInvalid when the package is not signed or was changed afterwards."""
    said = process.run(
        (tools.find(Tool.APKSIGNER), *JVM, "verify", "--verbose", "--print-certs", package),
        timeout=TIMEOUT,
        error=PackageInvalid,
        hint="the signature does not hold; build the package again.",
    )
    return parse(said.stdout)


def parse(text: str) -> Signature:
    """Take apksigner's words apart."""
    schemes = re.findall(r"^Verified using v([\d.]+) scheme .*: true$", text, re.MULTILINE)
    certificate = re.search(r"certificate SHA-256 digest: ([0-9a-f]{64})$", text, re.MULTILINE)
    return Signature(frozenset(int(float(scheme)) for scheme in schemes), certificate[1] if certificate else None)
