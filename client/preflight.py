"""What can be known of a job before it is queued: refused at submit, and not after minutes in a worker."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from farm import identity, sources
from farm.appspec import AppSpec
from farm.errors import ContextTooLong, KeystorePasswordMissing, ModelEmpty
from farm.identity import ProcessIdentity
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from pipeline.android import keystore
from pipeline.models import fetching
from pipeline.models.positions import positions_of


def check_model(spec: JobSpec) -> None:
    """Refuse a local model without weights, and a context that it has no positions for."""
    _require_weights(spec)
    positions = None if spec.context is None else positions_of(spec.model_ref)
    if spec.context is not None and positions is not None and spec.context > positions:
        raise ContextTooLong(
            f"The context of {spec.context} tokens is longer than the model's {positions} positions; ask for a context"
            f" of at most {positions}."
        )


def _require_weights(spec: JobSpec) -> None:
    """ModelEmpty for a folder with a config.json and nothing to configure."""
    if spec.model_kind is ModelKind.FOLDER and not any(map(sources.is_weights, sources.files(spec.model_ref))):
        raise ModelEmpty(
            f"The folder {spec.model} holds no weights (model.weights.h5 of a preset, model.safetensors of"
            " Transformers); save or copy the model again."
        )


def check_preset(spec: JobSpec) -> None:
    """Refuse a preset that KerasHub does not have, or that can't be converted, with the closest that there is."""
    if spec.model_kind is ModelKind.PRESET:
        fetching.preset_handle(spec.model)


def check_signing(app: AppSpec, workers: Iterable[str], environment: Mapping[str, str] = os.environ) -> None:
    """Open the user's keystore with its password, and see whether the workers that run can do so too.

    workers: the identities of processes. KeystoreUnusable, KeystorePasswordMissing.
    """
    if app.keystore is None:
        return
    seen = tuple(workers)
    with tempfile.TemporaryDirectory(prefix="farm-key-") as folder:
        key = keystore.prepare(app, Path(folder), Path(folder) / "key", environment)
        keystore.check_key(key, keystore.check(key), datetime.now(UTC))
    for source in (app.password_source, app.key_password_source):
        kind, _, name = (source or "").partition(":")
        if kind == "env":
            _check_workers(name, seen, environment)


def _check_workers(name: str, workers: Iterable[str], environment: Mapping[str, str]) -> None:
    """Every worker that can be seen has the same value of an environment variable."""
    for worker in workers:
        seen = _environment(ProcessIdentity.parse(worker))
        if seen is not None and seen.get(name) != environment.get(name):
            raise KeystorePasswordMissing(
                f"A worker runs already (process {ProcessIdentity.parse(worker).pid}) and its environment has not the"
                f" same {name}; end that worker, or give the password by file:PATH, which every worker can read."
            )


def _environment(process: ProcessIdentity) -> dict[str, str] | None:
    """A process's environment as it was started; None when it can't be seen from here."""
    own = identity.of_process()
    if (own.host, own.boot, own.namespace) != (process.host, process.boot, process.namespace):
        return None
    try:
        content = (Path("/proc") / str(process.pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (each.partition(b"=") for each in content.split(b"\0") if each)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
