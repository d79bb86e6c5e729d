"""apksigner's words about a signature."""

from __future__ import annotations

from pipeline.android import signing

# As printed by apksigner 0.9 for an APK of the farm.
OUTPUT = """Verifies
Verified using v1 scheme (JAR signing): false
Verified using v2 scheme (APK Signature Scheme v2): true
Verified using v3 scheme (APK Signature Scheme v3): true
Verified using v4 scheme (APK Signature Scheme v4): false
Verified for SourceStamp: false
Number of signers: 1
Signer #1 certificate DN: CN=Keras Android farm
Signer #1 certificate SHA-256 digest: 2ddc8e8d3b4e5c0b4b1a7e64a91d8fca7ab2b4f4d3d4f8a3b1cf2a20f6a1c9de
Signer #1 certificate SHA-1 digest: 0f0d51b5a4e8a1b7a8e4c8b5d6f0a1b2c3d4e5f6
"""


def test_schemes_and_certificate_are_read() -> None:
    signature = signing.parse(OUTPUT)
    assert signature.schemes == {2, 3}
    assert signature.certificate == "2ddc8e8d3b4e5c0b4b1a7e64a91d8fca7ab2b4f4d3d4f8a3b1cf2a20f6a1c9de"


def test_a_scheme_that_does_not_hold_is_missing() -> None:
    assert signing.parse(OUTPUT.replace("v3): true", "v3): false")).schemes == {2}
    assert signing.parse("") == signing.Signature(frozenset(), None)
