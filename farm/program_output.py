"""Whether programs that the farm runs leave their command line and, where they fail, their output on standard error.

A stage's log and a script want both; for whoever calls `farm` the sentence of the error is enough.
"""

from __future__ import annotations

shown = True
