"""Which jobs a stranger may submit: nothing in a spec may name a path or a variable of this machine."""

from __future__ import annotations

import re
from pathlib import PurePath

from client import preflight
from db import uploads
from db.session import Database
from farm import aars
from farm.errors import AarUnusable, AdapterUnusable, ContextTooLong, KeystoreUnusable, ModelNotFound, SequenceTooLong
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.store import ArtifactStore
from server import model_options

MAX_PREFILLS = 16
MAX_CONTEXT = 1 << 20
_REFERENCES = {
    ModelKind.PRESET: r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}",
    ModelKind.KAGGLE: r"kaggle://[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*){1,5}",
    ModelKind.HUGGINGFACE: r"hf://[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*){0,2}",
    ModelKind.UPLOADED: r"[^\x00-\x1f\x7f/]{1,200}",
}


def admit(database: Database, store: ArtifactStore, spec: JobSpec, owner: str | None) -> JobSpec:
    """The spec as it may be run here, with the options of an uploaded model's own metadata. ModelError, SpecError,
    KeystoreUnusable.

    owner: the token whose uploads may be named; None for any. A local model is one of the client's machine: it is taken
    from the store, where it was uploaded.
    """
    if not spec.model_kind.on_hub:
        spec = model_options.completed(store, _uploaded(database, spec, owner))
    return _require_harmless(spec)


def _require_harmless(spec: JobSpec) -> JobSpec:
    if aars.file_of(spec.app.aar) is not None:
        raise AarUnusable("A remote farm reads no file of yours; choose --aar stock or bazel, or run the job locally.")
    if spec.app.keystore or spec.app.key_alias or spec.app.password_source or spec.app.key_password_source:
        raise KeystoreUnusable("A remote farm signs with its own key; leave the keystore out and sign the APK again.")
    if spec.wanted_context > MAX_CONTEXT:
        raise ContextTooLong(f"A context of {spec.wanted_context} tokens is too long; use at most {MAX_CONTEXT}.")
    spec.require_used()
    if len(spec.prefill) > MAX_PREFILLS or not all(1 < length <= MAX_CONTEXT for length in spec.prefill):
        raise SequenceTooLong(f"Give at most {MAX_PREFILLS} prefill lengths, each from 2 to {MAX_CONTEXT}.")
    if spec.model_kind.on_hub and spec.lora is not None:
        raise AdapterUnusable(
            "A remote farm reads no adapter of yours for a model on a hub; download the base and submit its folder with"
            " --lora, so that both are uploaded."
        )
    if spec.model_kind.on_hub:
        known = _known_form(spec)
        preflight.check_preset(known)
        return known.model_copy(update={"model_digest": None})
    return spec


def _uploaded(database: Database, spec: JobSpec, owner: str | None) -> JobSpec:
    digest = spec.model_digest or ""
    with database.read() as connection:
        known = re.fullmatch(r"[0-9a-f]{64}", digest) is not None and uploads.has_model(connection, digest, owner)
    if not known:
        raise ModelNotFound("This farm has no model of that digest; upload the model's files, then submit again.")
    uploaded = {"model_kind": ModelKind.UPLOADED, "model": spec.model_ref.short_name, "lora_digest": None}
    if spec.lora is not None:
        uploaded["lora"] = PurePath(spec.lora).name[:200]
    return _known_form(spec.model_copy(update=uploaded))


def _known_form(spec: JobSpec) -> JobSpec:
    if re.fullmatch(_REFERENCES[spec.model_kind], spec.model) is None:
        raise ModelNotFound(f"{spec.model[:80]!r} is no model reference of the kind {spec.model_kind}; check it.")
    return spec
