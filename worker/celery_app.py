"""`celery -A worker.celery_app worker -Q convert,android`: the entry point of workers that a broker wakes up."""

from __future__ import annotations

import logging
import sys

from celery.signals import after_setup_logger

from farm import settings
from farm.errors import FarmError
from farm.log_lines import FORMAT, OneLine
from worker import broker
from worker.tasks import wake_up

try:
    _settings = settings.load()
    app = broker.connect(_settings)
except FarmError as error:
    sys.exit(error.sentence)
wake_up.register(app, _settings)


def _one_line_a_message(logger: logging.Logger, **_others: object) -> None:
    for handler in logger.handlers:
        handler.setFormatter(OneLine(FORMAT))


after_setup_logger.connect(_one_line_a_message)
