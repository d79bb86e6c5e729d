"""The content-addressed artifact store: what lies there is whole, never changes, and is checked when it is read.

`protocol` says what a store does, `folder` keeps it in a folder, `bucket` in an S3-compatible service behind a folder.
"""

from farm.store.folder import COPY_BYTES, LocalStore
from farm.store.protocol import GRACE_SECONDS, ArtifactStore

__all__ = ["COPY_BYTES", "GRACE_SECONDS", "ArtifactStore", "LocalStore"]
