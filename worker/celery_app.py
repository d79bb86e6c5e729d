"""`celery -A worker.celery_app worker -Q convert,android`: the entry point of workers that a broker wakes up."""

from __future__ import annotations

import sys

from farm import settings
from farm.errors import FarmError
from worker import broker
from worker.tasks import wake_up

try:
    _settings = settings.load()
    app = broker.connect(_settings)
except FarmError as error:
    sys.exit(error.sentence)
wake_up.register(app, _settings)
