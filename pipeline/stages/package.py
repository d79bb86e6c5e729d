"""Packages the model with the app: links, lays out, signs and checks the APK."""

from __future__ import annotations

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import KeystoreUnusable
from farm.jobspec import IoMode
from farm.progress import Reporter
from pipeline.android import assembly, checks, keystore, resources, signing
from pipeline.android.base import AppBase
from pipeline.android.checks import Expectation
from pipeline.android.keystore import SigningKey
from pipeline.android.package import Package
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven
from pipeline.toolchain.pins import Role


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `app.apk`. KeystoreUnusable, PackageInvalid when a check fails, ToolMissing."""
    if request.keystore is None:
        raise KeystoreUnusable("The packaging stage was given no signing key; start it through `farm worker`.")
    key, base = SigningKey(request.keystore), AppBase(request.input(ArtifactName.APP_BASE))
    chain, app = maven.at(request.toolchain), request.spec.app
    target = chain.pins.target
    request.scratch.mkdir(parents=True, exist_ok=True)
    unsigned, signed = request.scratch / "unsigned.apk", request.output(ArtifactName.APK)
    assets = assembly.job_assets(request)

    report(0.0, "opening the signing key")
    alias = keystore.alias_for(key, app)
    report(0.1, "linking the app's resources")
    platform = chain.paths(Role.PLATFORM)[0]
    linked = resources.link(base.manifest, base.resources, base.ids, platform, app, target, request.scratch)
    report(0.2, "putting the app together")
    assembly.assemble(linked, base, assets, app.abis, target.page_size, unsigned)
    report(0.3, "signing the app")
    signed.parent.mkdir(parents=True, exist_ok=True)
    signing.sign(unsigned, signed, key, alias)
    unsigned.unlink()
    report(0.6, "checking the app")
    contents = {name: digests.of_file(path) for name, path in (base.asset_files() | assets).items()}
    checks.require(
        Package(signed),
        Expectation(
            target,
            app,
            contents,
            model_alignment=target.page_size,
            permitted_ops=request.permitted_ops,
            small_pages=request.spec.io_mode is IoMode.STRINGS,
        ),
    )
    return StageResult(metrics=(Metric(name="apk_size", value=signed.stat().st_size, unit="bytes"),))
