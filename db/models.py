"""The tables, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from farm.settings import SandboxMode
from farm.stages import Queue

ID_LENGTH = 10
DIGEST_LENGTH = 64
NAME_LENGTH = 64

# An identical job is looked for among these; a failed or cancelled job never stands in for a new one.
SHARING_STATES = "state IN ('queued', 'running', 'succeeded') AND shareable"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite drops time zones, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC, without a zone where the database has none."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """With its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Constraints have names of their own, so that migrations can drop them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # Whole numbers up to 2^63 (sizes in bytes); an autoincrementing key must be INTEGER in SQLite.
    type_annotation_map = {datetime: UtcDateTime(), int: BigInteger().with_variant(Integer, "sqlite"), Any: JSON()}  # noqa: RUF012 # SQLAlchemy's own form


class Job(Base):
    """A job.

    attempt rises with every claim and fences every write of a running job; counted_attempts are those held
    against the job (a worker that was asked to stop gives its attempt back). shareable: whether an equal submission
    may be answered with this job. queue: which kind of worker the next stage needs. woken_at: when a wake-up was last
    put into the outbox; None where there is no broker. format: farm.jobspec.FORMAT of the version that made it.
    sandbox: the SandboxMode under which it was submitted; `required` keeps it from workers without a sandbox.
    """

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    key: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    state: Mapped[str] = mapped_column(String(NAME_LENGTH))
    shareable: Mapped[bool] = mapped_column(Boolean)
    spec: Mapped[Any]
    model: Mapped[str] = mapped_column(Text)
    recipe: Mapped[str] = mapped_column(String(NAME_LENGTH))
    queue: Mapped[str] = mapped_column(String(NAME_LENGTH), server_default=Queue.CONVERT.value)
    format: Mapped[int] = mapped_column(Integer, server_default="1")
    sandbox: Mapped[str] = mapped_column(String(NAME_LENGTH), server_default=SandboxMode.AUTO.value)
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    woken_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempt: Mapped[int]
    counted_attempts: Mapped[int]
    worker_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(Boolean)
    error_code: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    error_sentence: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[Any]

    __table_args__ = (
        Index("ix_jobs_queue", "state", "queued_at", "id"),
        Index("ix_jobs_lease", "state", "lease_until"),
        Index("ix_jobs_created_at", "created_at"),
        Index("ix_jobs_state_created_at", "state", "created_at"),
        Index("ix_jobs_state_queue", "state", "queue"),
        Index(
            "uq_jobs_key_shared",
            "key",
            unique=True,
            sqlite_where=text(SHARING_STATES),
            postgresql_where=text(SHARING_STATES),
        ),
    )


class JobStage(Base):
    """One stage of a job. key: what its result is filed under, once its inputs are known."""

    __tablename__ = "job_stages"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(NAME_LENGTH))
    key: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH))
    progress: Mapped[float]
    activity: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int | None]
    seconds: Mapped[float | None]
    peak_bytes: Mapped[int | None]


class Attempt(Base):
    """One claim of a job by a worker, and how it ended."""

    __tablename__ = "attempts"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    worker_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    counted: Mapped[bool] = mapped_column(Boolean)
    error_code: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    reason: Mapped[str | None] = mapped_column(Text)


class StageResultRow(Base):
    """What a stage made, under its key: the cache that resuming and sharing live on.

    outputs: list of {name, digest, size}. result: the stage's metrics, notes, skips and facts.
    """

    __tablename__ = "stage_results"
    key: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    stage: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[datetime]
    seconds: Mapped[float]
    peak_bytes: Mapped[int | None]
    outputs: Mapped[Any]
    result: Mapped[Any]

    __table_args__ = (Index("ix_stage_results_stage_created_at", "stage", "created_at"),)


class ArtifactRow(Base):
    """An artifact of a job; the content lies in the store under `digest`."""

    __tablename__ = "artifacts"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    size: Mapped[int]


class MetricRow(Base):
    """One measured figure of a job's stage."""

    __tablename__ = "metrics"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    value: Mapped[float]
    unit: Mapped[str] = mapped_column(String(NAME_LENGTH))


class MeasurementRow(Base):
    """What a phone measured with the job's model, the latest of each kind of phone. content: as the app shared it."""

    __tablename__ = "measurements"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    device: Mapped[str] = mapped_column(String(80), primary_key=True)
    taken_in_at: Mapped[datetime]
    content: Mapped[Any]


class Event(Base):
    """Something that happened to a job."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(NAME_LENGTH))
    stage: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    message: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_events_job_id_id", "job_id", "id"),)


class Outgoing(Base):
    """A wake-up that is to be published: written with the change that queues the job, deleted once published.

    started: whether some worker has had the job before; such a job goes before new ones.
    """

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    queue: Mapped[str] = mapped_column(String(NAME_LENGTH))
    started: Mapped[bool] = mapped_column(Boolean)


class Worker(Base):
    """A worker process. process: its identity on its machine (see farm.identity), by which a dead one is known there;
    seen_at: by which it is known elsewhere; format: the newest farm.jobspec.FORMAT whose jobs it can do; confines:
    whether its stages run in a sandbox."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    process: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    format: Mapped[int] = mapped_column(Integer, server_default="5")
    confines: Mapped[bool] = mapped_column(Boolean, server_default=false())


class ModelDigest(Base):
    """The content digest that a model reference had when it was last fetched."""

    __tablename__ = "models"
    reference: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    seen_at: Mapped[datetime]


class FileDigest(Base):
    """The SHA-256 of a file of the user's, valid as long as size, time of change and inode stay the same."""

    __tablename__ = "file_digests"
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    size: Mapped[int]
    mtime_ns: Mapped[int]
    inode: Mapped[int]
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))


class Token(Base):
    """Who may use the API, and for what. hash: SHA-256 of the secret, which is kept nowhere. Quotas: None is no limit.

    max_queued and max_running count the jobs that this token made; max_bytes the files that it uploaded.
    """

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    hash: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    scopes: Mapped[Any]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    max_queued: Mapped[int | None]
    max_running: Mapped[int | None]
    max_bytes: Mapped[int | None]

    __table_args__ = (Index("uq_tokens_hash", "hash", unique=True),)


class JobOwner(Base):
    """The token by which a job was made; a job that was made at the farm's own machine has none."""

    __tablename__ = "job_owners"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"))

    __table_args__ = (Index("ix_job_owners_token_id", "token_id"),)


class FarmIdentity(Base):
    """One row: the random id of this database, which its store repeats, so that no other database removes files."""

    __tablename__ = "farm_identity"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)


class UnknownFile(Base):
    """A file of the store to which nothing refers, and when that was first seen."""

    __tablename__ = "unknown_files"
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    seen_at: Mapped[datetime]


class FormerUpload(Base):
    """A file that was uploaded before uploads belonged to tokens: read only, so that its content is kept."""

    __tablename__ = "uploads"
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    size: Mapped[int]
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"))
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_uploads_token_id", "token_id"),)


class FormerUploadedModel(Base):
    """A model that was uploaded before models belonged to tokens: read only, so that its listing is kept."""

    __tablename__ = "uploaded_models"
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    size: Mapped[int]
    created_at: Mapped[datetime]


class Upload(Base):
    """A file of a model that a token announced; its content is in the store once completed_at is set."""

    __tablename__ = "token_uploads"
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    size: Mapped[int]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class UploadedModel(Base):
    """A model whose files a token uploaded: the digest is that of its listing in the store; size of all files."""

    __tablename__ = "token_models"
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    size: Mapped[int]
    created_at: Mapped[datetime]


class Webhook(Base):
    """An address that is to hear of a job's end. next_at: when it is tried (again); None once that has ended.

    secret: the key of the signature, erased when the delivery has ended. outcome: what became of the last try.
    """

    __tablename__ = "webhooks"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int]
    next_at: Mapped[datetime | None]
    delivered: Mapped[bool] = mapped_column(Boolean)
    outcome: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_webhooks_next_at", "next_at"), Index("ix_webhooks_job_id", "job_id"))
