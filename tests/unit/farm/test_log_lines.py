from __future__ import annotations

import io
import logging

import pytest

from farm import log_lines


def test_text_from_outside_makes_no_line_and_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    log_lines.begin("%(levelname)s %(message)s", stream=stream)
    forged = "a model\n2026-01-01 ERROR forged\x1b[2J\r\u202e\u2028"
    logging.getLogger("farm.test").info("job %s: %s", "x", forged)
    try:
        raise ValueError(forged)
    except ValueError:
        logging.getLogger("farm.test").exception("failed")
    text = stream.getvalue()
    assert text.startswith(
        "INFO job x: a model\\n2026-01-01 ERROR forged\\x1b[2J\\r\\u202e\\u2028\nERROR failed\n    Traceback"
    )
    lines = text.splitlines()
    assert all(line.isprintable() for line in lines)
    assert [line[:5] for line in lines if not line.startswith("    ")] == ["INFO ", "ERROR"]
