"""What stages ask for beside their inputs, and what each resource brings: one row of `PROVIDERS` a resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import digests
from db.session import Database
from farm import aars, sources
from farm.artifacts import Artifact, ArtifactName
from farm.digests import of_file
from farm.errors import ArtifactDamaged, ModelNotFound
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import Resource, Stage
from farm.store import ArtifactStore
from pipeline.android import keystore
from pipeline.android.keystore import SigningKey
from pipeline.flex import reference_environment
from pipeline.litert_lm import processor_list
from pipeline.request import StageRequest
from pipeline.toolchain import arm_machine
from worker import workfolder

# Where the key lies for a stage that signs, beside its work folder.
KEY_SUFFIX = ".key"


@dataclass(frozen=True)
class Surroundings:
    """The job and what its worker has. protected: whether a stage cannot write to what is linked into its folder."""

    spec: JobSpec
    settings: Settings
    database: Database
    store: ArtifactStore
    protected: bool


@dataclass(frozen=True)
class Access:
    """What a stage may see and use because of its resources. key: the folder in which the signing key will lie.
    secrets, user_files: see worker.sandbox.View."""

    readable: tuple[Path, ...] = ()
    secrets: tuple[Path, ...] = ()
    user_files: bool = False
    network: bool = False
    key: Path | None = None
    permitted_ops: frozenset[str] = frozenset()

    def __or__(self, other: Access) -> Access:
        return Access(
            (*self.readable, *other.readable),
            (*self.secrets, *other.secrets),
            self.user_files or other.user_files,
            self.network or other.network,
            self.key or other.key,
            self.permitted_ops | other.permitted_ops,
        )


class Provider:
    """A resource's part in a stage, in the order in which the supervisor asks. This one brings nothing."""

    def decides(self, around: Surroundings) -> Any:
        """What of it decides the stage's result, as JSON."""
        return None

    def reserve(self, around: Surroundings, workdir: Path) -> Access:
        """What the stage may see and use, before its process starts."""
        return Access()

    def provide(self, around: Surroundings, request: StageRequest) -> None:
        """Bring it, just before the stage's work begins; a FarmError is the stage's failure."""

    def succeeded(self, around: Surroundings, outputs: Mapping[ArtifactName, Artifact]) -> None:
        """The stage has succeeded, now or in an earlier job."""


class Model(Provider):
    """The job's own model, from where its reference says. The spec decides, so that the place need not."""

    def reserve(self, around: Surroundings, workdir: Path) -> Access:
        """The network for a model on a hub, the files for one of this machine, or for an adapter of this machine."""
        kind = around.spec.model_kind
        local = sources.places(around.spec.model_ref)
        return Access(readable=local, user_files=bool(local), network=kind.on_hub)

    def provide(self, around: Surroundings, request: StageRequest) -> None:
        """An uploaded model comes out of the store, under the digest that was checked when it was uploaded."""
        spec = around.spec
        if spec.model_kind is not ModelKind.UPLOADED:
            return
        if spec.model_digest is None:
            raise ModelNotFound(f"The uploaded model {spec.model} has no digest; upload and submit it again.")
        artifact = Artifact(ArtifactName.SOURCE, spec.model_digest, 0)
        try:
            around.store.materialise(artifact, request.input(ArtifactName.SOURCE), protected=around.protected)
        except ArtifactDamaged:
            # Nothing here can make it again; without it, its owner is asked to send it again.
            around.store.discard(artifact)
            raise

    def succeeded(self, around: Surroundings, outputs: Mapping[ArtifactName, Artifact]) -> None:
        """The next job with the same reference knows the model's content before it fetches it."""
        digests.remember_model(around.database, around.spec.model, outputs[ArtifactName.SOURCE].digest)


class SigningKeyProvider(Provider):
    """The user's keystore, or the farm's own."""

    def decides(self, around: Surroundings) -> Any:
        """The digest of the keystore that will sign."""
        own = around.spec.app.keystore
        store = Path(own) if own is not None else SigningKey(keystore.ensure(around.settings.keys)).store
        # A keystore that cannot be read fails, with its sentence, where the key is provided.
        with suppress(OSError):
            return of_file(store)
        return None

    def reserve(self, around: Surroundings, workdir: Path) -> Access:
        """An empty folder of the stage's own."""
        key = workdir.with_name(workdir.name + KEY_SUFFIX)
        workfolder.remove(key)
        key.mkdir(mode=0o700)
        return Access(secrets=(key,), key=key)

    def provide(self, around: Surroundings, request: StageRequest) -> None:
        """Put the key and its password there."""
        assert request.keystore is not None  # noqa: S101 # reserved above
        keystore.prepare(around.spec.app, around.settings.keys, request.keystore)


class PermittedOps(Provider):
    """The dangerous ops that the farm's operator lets in: without them in the key, a result would outlive them."""

    def decides(self, around: Surroundings) -> Any:
        """Their names."""
        return sorted(around.settings.permitted_ops)

    def reserve(self, around: Surroundings, workdir: Path) -> Access:
        """Their names."""
        return Access(permitted_ops=around.settings.permitted_ops)


class SuppliedAar(Provider):
    """The AAR that the job brings, if it brings one."""

    def decides(self, around: Surroundings) -> Any:
        """Its digest. One that cannot be read fails, with its sentence, in its stage."""
        supplied = aars.file_of(around.spec.app.aar)
        with suppress(OSError):
            return of_file(supplied) if supplied is not None else None
        return None

    def reserve(self, around: Surroundings, workdir: Path) -> Access:
        """The file."""
        supplied = aars.file_of(around.spec.app.aar)
        return Access(readable=(supplied,) if supplied is not None else (), user_files=supplied is not None)


class ReferenceEnvironment(Provider):
    """TensorFlow of another version, installed by the worker since stages have no network. Its lock decides, which the
    stage's module declares."""

    def provide(self, around: Surroundings, request: StageRequest) -> None:
        """Install it unless it is there."""
        reference_environment.ensure(around.settings.caches)


class ArmMachine(Provider):
    """The emulator of phones, if it is there: a result without it must not stand once it is."""

    def decides(self, around: Surroundings) -> Any:
        """The versions of its packages, and how long it may run."""
        found = arm_machine.find(around.settings.toolchain)
        return {"packages": None if found is None else found.versions, "seconds": around.settings.arm_seconds}


class ProcessorList(Provider):
    """The kernel's list of processors, without which LiteRT-LM's allocator ends its process. Of /sys nothing else."""

    def reserve(self, around: Surroundings, workdir: Path) -> Access:
        """The file."""
        return Access(readable=(processor_list.PATH,))


PROVIDERS: Mapping[Resource, Provider] = {
    Resource.MODEL: Model(),
    Resource.SIGNING_KEY: SigningKeyProvider(),
    Resource.PERMITTED_OPS: PermittedOps(),
    Resource.SUPPLIED_AAR: SuppliedAar(),
    Resource.REFERENCE_ENVIRONMENT: ReferenceEnvironment(),
    Resource.ARM_MACHINE: ArmMachine(),
    Resource.PROCESSOR_LIST: ProcessorList(),
}


def providers(stage: Stage) -> Iterable[Provider]:
    """Those of the stage's resources, in the order of their table."""
    return (provider for resource, provider in PROVIDERS.items() if resource in stage.resources)


def deciding(stage: Stage, around: Surroundings) -> dict[str, Any]:
    """What of the stage's resources decides its result, by their names."""
    return {each.value: PROVIDERS[each].decides(around) for each in sorted(stage.resources)}


def reserve(stage: Stage, around: Surroundings, workdir: Path) -> Access:
    """What the stage may see and use."""
    access = Access()
    for provider in providers(stage):
        access |= provider.reserve(around, workdir)
    return access
