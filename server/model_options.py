"""Settings that a request leaves open, as the uploaded model's own metadata have them."""

from __future__ import annotations

import json

from farm import job_request, sources
from farm.artifacts import Artifact, ArtifactName
from farm.job_request import FIELDS, Layer
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.store import ArtifactStore
from pipeline.models import jsonfile, metadata


def completed(store: ArtifactStore, spec: JobSpec) -> JobSpec:
    """The spec with what the metadata of an uploaded model ask for, by the rules of `farm submit`: what the request
    says itself goes first, also where that is the default. ModelError, SettingsInvalid, and the errors of JobSpec."""
    said = spec.model_fields_set | spec.app.model_fields_set
    if spec.model_kind is not ModelKind.UPLOADED or set(FIELDS) <= said:
        return spec
    asked = metadata.layer_of(_metadata_of(store, spec.model_digest or ""))
    open_ones = {name: value for name, value in asked.values.items() if name not in said}
    if not open_ones:
        return spec
    return job_request.build_spec(None, [Layer(open_ones, asked.folder, asked.source, asked.of_model)], spec)


def _metadata_of(store: ArtifactStore, digest: str) -> bytes:
    """The content of metadata.json; without one, the empty table."""
    with store.open(Artifact(ArtifactName.MODEL_FILE, digest, 0)) as stream:
        listing = json.load(stream)
    for name in (metadata.METADATA, sources.KERAS_FILE):
        if name in listing:
            file = Artifact(ArtifactName.MODEL_FILE, listing[name]["digest"], listing[name]["size"])
            with store.open(file) as stream:
                if name == sources.KERAS_FILE:
                    return metadata.in_keras_file(stream, name)
                return stream.read(jsonfile.CONFIG_BYTES + 1)
    return b"{}"
