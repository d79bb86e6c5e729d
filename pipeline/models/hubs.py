"""Downloads from Kaggle Models and the Hugging Face Hub: only the files that loading needs.

Imported only when a hub is asked for: the two client libraries cost more than a local model's whole fetch.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import huggingface_hub
import kagglehub
import requests
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils._validators import validate_repo_id
from kagglehub.exceptions import KaggleApiHTTPError, UnauthenticatedError
from kagglesdk.kaggle_env import get_endpoint, get_env

from farm import sources
from farm.errors import HubUnreachable, ModelDamaged, ModelNotFound
from farm.progress import Reporter

PROBE_SECONDS = 5.0
# Before the second try of what needs the network, and before the third.
PAUSES = (3.0, 15.0)
KAGGLE_PARTS = (4, 5)
OFFLINE = (
    "check the network, set HTTPS_PROXY where a proxy leads to it, or use a local preset folder, a .keras file or"
    " examples/tiny_gpt2"
)


def patiently(download: Callable[[], None], report: Reporter) -> None:
    """Try again after a pause what the network broke off; HubUnreachable of the last try.

    Both clients go on with a file where it ended.
    """
    for pause in PAUSES:
        try:
            download()
        except HubUnreachable:
            report(0.0, f"the hub does not answer; trying again in {pause:g} s")
            time.sleep(pause)
        else:
            return
    download()


def download_kaggle(handle: str, target: Path, report: Reporter) -> None:
    """Fetch `org/model/keras/variant[/version]` into `target`; HubUnreachable, ModelNotFound, ModelDamaged."""
    if len(handle.split("/")) not in KAGGLE_PARTS:
        raise ModelNotFound(
            f"kaggle://{handle} is no reference to a Kaggle model; write kaggle://ORGANISATION/MODEL/keras/VARIANT."
        )
    _require_reachable(get_endpoint(get_env()), f"kaggle://{handle}")
    with _kaggle_failures(handle):
        if not _kaggle_file(handle, sources.CONFIG, target):
            raise ModelNotFound(
                f"kaggle://{handle} holds no {sources.CONFIG}, so no Keras preset; check the reference."
            )
        for number, name in enumerate(sources.PRESET_FILES):
            report(number / len(sources.PRESET_FILES), f"downloading {name}")
            if name != sources.CONFIG:
                _kaggle_file(handle, name, target)
        for name in _shards(target):
            report(0.5, f"downloading {name}")
            _kaggle_file(handle, name, target)


def download_hugging_face(repository: str, target: Path, report: Reporter) -> None:
    """Fetch `org/model` into `target`; HubUnreachable, ModelNotFound."""
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ModelNotFound(
            f"hf://{repository} is no reference to a Hugging Face model; write hf://ORGANISATION/MODEL."
        ) from error
    _require_reachable(constants.ENDPOINT, f"hf://{repository}")
    shards = ["model_?????.weights.h5", "model-?????-of-?????.safetensors"]
    report(0.1, "downloading")
    try:
        huggingface_hub.snapshot_download(
            repository,
            local_dir=target,
            allow_patterns=[*sources.PRESET_FILES, *sources.TRANSFORMERS_FILES, *shards],
        )
    except GatedRepoError as error:
        raise ModelNotFound(
            f"Hugging Face hands out {repository} only to those who accepted its terms; accept them and set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"There is no public model {repository} on Hugging Face; check its name, or set HF_TOKEN for a private one."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise _broken_off(f"hf://{repository}", error) from error


def _kaggle_file(handle: str, name: str, target: Path) -> bool:
    """Fetch one file; whether there is one."""
    try:
        kagglehub.model_download(handle, name, output_dir=str(target))
    except KaggleApiHTTPError as error:
        if error.response is not None and error.response.status_code == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


def _shards(folder: Path) -> list[str]:
    """The parts of sharded weights, by the table that lies beside them."""
    table = folder / "model.weights.json"
    if not table.exists():
        return []
    try:
        weights = json.loads(table.read_bytes())["weight_map"].values()
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelDamaged(
            f"The downloaded {table.name} is not understood; report it to the model's author."
        ) from error
    names = {str(name) for entry in weights for name in (entry if isinstance(entry, list) else [entry])}
    return sorted(name for name in names if sources.belongs(name, transformers=False))


@contextmanager
def _kaggle_failures(handle: str) -> Iterator[None]:
    try:
        yield
    except (KaggleApiHTTPError, UnauthenticatedError) as error:
        status = getattr(getattr(error, "response", None), "status_code", HTTPStatus.UNAUTHORIZED)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ModelNotFound(
                f"Kaggle hands out {handle} only to those who accepted its terms, or there is no such model; accept"
                " them on its page and set KAGGLE_USERNAME and KAGGLE_KEY."
            ) from error
        raise _broken_off(f"kaggle://{handle}", error) from error
    except (requests.RequestException, OSError) as error:
        raise _broken_off(f"kaggle://{handle}", error) from error
    except ValueError as error:
        raise ModelNotFound(
            f"Kaggle refuses the reference {handle}; write it as kaggle://OWNER/MODEL/keras/VARIANT."
        ) from error


def _require_reachable(endpoint: str, wanted: str) -> None:
    """Ask once, briefly: the clients' own retries take half a minute to notice that there is no network.

    urllib goes by the proxy and certificate settings of the environment, as the clients do. Any answer will do.
    """
    request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 (the scheme is that of the client's setting)
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):  # noqa: S310 (as above)
            return
    except urllib.error.HTTPError:
        return
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise HubUnreachable(
            f"{wanted} cannot be fetched because {endpoint} can't be reached ({str(reason)[:120]}); {OFFLINE}."
        ) from error


def _broken_off(wanted: str, error: Exception) -> HubUnreachable:
    reason = str(error).strip().split("\n")[0][:160] or type(error).__name__
    return HubUnreachable(f"The download of {wanted} was broken off ({reason}); try again later, or {OFFLINE}.")
