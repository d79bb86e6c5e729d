"""The JSON forms that `--json` prints. They are an interface: names are added, never changed."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from cli import errors
from client.protocol import EventView, JobView, StageView
from farm import icons
from farm.appspec import AppSpec
from farm.artifacts import PUBLISHED, Artifact
from farm.errors import from_code
from farm.recipes import Recipe


def job_object(job: JobView) -> dict[str, Any]:
    """A job: times in UTC as ISO 8601, sizes in bytes, shares from 0 to 1, only artifacts that can be downloaded."""
    spec = job.spec
    error = errors.error_object(from_code(job.error.code, job.error.sentence)) if job.error else None
    return {
        "id": job.id,
        "state": job.state.value,
        "model": spec.model_ref.text,
        "model_kind": spec.model_kind.value,
        "model_digest": spec.model_digest,
        "lora": spec.lora,
        "recipe": spec.recipe,
        "io_mode": spec.io_mode.value,
        "tokenizer_graph": spec.tokenizer_graph.value,
        "conversion_route": spec.conversion_route.value,
        "context": spec.wanted_context,
        "prefill": list(spec.prefill_lengths),
        "static_shapes": spec.static_shapes,
        "prompt_bytes": spec.prompt_bytes,
        "output_tokens": spec.output_tokens,
        "special_tokens": spec.special_tokens.value,
        "ops": spec.allowed_ops.value,
        "allow_ops": list(spec.allow_ops),
        "app": app_object(spec.app),
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested,
        "position": job.position,
        "progress": job.progress,
        "seconds_left": job.seconds_left,
        "sandbox": job.sandbox.value,
        "waits_for": job.waits_for,
        "error": error,
        "notes": list(job.notes),
        "stages": [_stage_object(stage) for stage in job.stages],
        "metrics": [
            {"stage": metric.stage.value, "name": metric.name, "value": metric.value, "unit": metric.unit}
            for metric in job.metrics
        ],
        "measurements": [each.model_dump(mode="json") for each in job.measurements],
        "artifacts": [artifact_object(artifact) for artifact in published(job)],
    }


def app_object(app: AppSpec) -> dict[str, Any]:
    """The app's settings; of its icon the SHA-256 stands for the picture."""
    icon = None if app.icon is None else hashlib.sha256(icons.decode(app.icon)).hexdigest()
    return {**app.model_dump(mode="json"), "icon": icon}


def published(job: JobView) -> list[Artifact]:
    """What the job hands out, the app first."""
    found = {artifact.name: artifact for artifact in job.artifacts}
    return [found[name] for name in PUBLISHED if name in found]


def artifact_object(artifact: Artifact) -> dict[str, Any]:
    """An artifact with its size in bytes."""
    return {"name": artifact.name.value, "size": artifact.size, "sha256": artifact.digest}


def event_object(event: EventView) -> dict[str, Any]:
    """Something that happened to a job."""
    return {
        "id": event.id,
        "at": _time(event.at),
        "kind": event.kind,
        "stage": event.stage.value if event.stage else None,
        "message": event.message,
    }


def recipe_object(recipe: Recipe) -> dict[str, Any]:
    """A recipe with its limits."""
    return {
        "name": recipe.name,
        "alias": recipe.alias,
        "weights": recipe.weight_format.value,
        "size_ratio": recipe.size_ratio,
        "summary": recipe.summary,
        "limits": {
            "divergence": recipe.limits.divergence,
            "top1_agreement": recipe.limits.top1_agreement,
            "perplexity_ratio": recipe.limits.perplexity_ratio,
            "greedy_agreement": recipe.limits.greedy_agreement,
            "logit_difference": recipe.limits.logit_difference,
        },
    }


def _stage_object(stage: StageView) -> dict[str, Any]:
    return {
        "name": stage.name.value,
        "state": stage.state.value,
        "progress": stage.progress,
        "activity": stage.activity,
        "seconds": stage.seconds,
        "peak_bytes": stage.peak_bytes,
        "note": stage.note,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
