"""The first reason to stop stays, wakes who waits, and can be raised."""

from __future__ import annotations

import threading
import time

import pytest

from worker.termination import Reason, Terminated, Termination


def test_without_a_reason_nothing_happens() -> None:
    with Termination() as termination:
        termination.check()
        assert not termination.wait(0.01)


def test_the_first_reason_stays() -> None:
    with Termination() as termination:
        termination.request(Reason.CANCEL)
        termination.request(Reason.STOP)
        with pytest.raises(Terminated) as caught:
            termination.check()
    assert caught.value.reason is Reason.CANCEL


def test_a_request_wakes_at_once() -> None:
    with Termination() as termination:
        thread = threading.Timer(0.05, termination.request, [Reason.STOP])
        thread.start()
        started = time.monotonic()
        assert termination.wait(30)
        assert time.monotonic() - started < 5
        thread.join()
