"""The first reason to stop stays, wakes who waits, and can be raised."""

from __future__ import annotations

import threading
import time

import pytest

from worker.interruption import Interrupted, Interruption, Reason


def test_without_a_reason_nothing_happens() -> None:
    with Interruption() as interruption:
        interruption.check()
        assert not interruption.wait(0.01)


def test_the_first_reason_stays() -> None:
    with Interruption() as interruption:
        interruption.request(Reason.CANCEL)
        interruption.request(Reason.STOP)
        with pytest.raises(Interrupted) as caught:
            interruption.check()
    assert caught.value.reason is Reason.CANCEL


def test_a_request_wakes_at_once() -> None:
    with Interruption() as interruption:
        thread = threading.Timer(0.05, interruption.request, [Reason.STOP])
        thread.start()
        started = time.monotonic()
        assert interruption.wait(30)
        assert time.monotonic() - started < 5
        thread.join()
