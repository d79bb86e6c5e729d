"""Packages the model with the app as an Android App Bundle, the form in which Google Play takes apps."""

from __future__ import annotations

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import KeystoreUnusable
from farm.progress import Reporter
from pipeline.android import assembly, bundle, bundle_checks, findings, keystore, play
from pipeline.android.base import AppBase
from pipeline.android.bundle_checks import Bundle
from pipeline.android.bundletool import Bundletool
from pipeline.android.checks import Expectation
from pipeline.android.keystore import SigningKey
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `app.aab`. KeystoreUnusable, PackageInvalid when a check fails, ToolMissing."""
    if request.keystore is None:
        raise KeystoreUnusable("The bundle stage was given no signing key; start it through `farm worker`.")
    key, base = SigningKey(request.keystore), AppBase(request.input(ArtifactName.APP_BASE))
    chain, app, rules = maven.at(request.toolchain), request.spec.app, play.load()
    request.scratch.mkdir(parents=True, exist_ok=True)
    tool = Bundletool(chain, request.scratch)
    unsigned, signed = request.scratch / "unsigned.aab", request.output(ArtifactName.BUNDLE)
    assets = assembly.job_assets(request)

    report(0.0, "opening the signing key")
    alias = keystore.alias_for(key, app)
    report(0.1, "building the bundle")
    packed = bundle.build(base, assets, app, rules.size.base_module, tool, unsigned)
    report(0.4, "signing the bundle")
    signed.parent.mkdir(parents=True, exist_ok=True)
    bundle.sign(unsigned, signed, key, alias, chain.pins.target.min_sdk)
    unsigned.unlink()
    report(0.6, "checking the bundle and an APK made of it")
    contents = {name: digests.of_file(path) for name, path in (base.asset_files() | assets).items()}
    made = Bundle(signed, tool)
    findings.require_none(
        signed.name,
        bundle_checks.inspect(
            made, Expectation(chain.pins.target, app, contents, rules, permitted_ops=request.permitted_ops)
        ),
    )
    return StageResult(
        metrics=(
            Metric(name="bundle_size", value=signed.stat().st_size, unit="bytes"),
            Metric(name="bundle_download", value=made.download, unit="bytes"),
        ),
        notes=("The model lies in the bundle's asset pack, since the base module would be too large.",) * packed,
    )
