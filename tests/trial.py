"""How large a test of a goal runs, by which seed, and what it measured.

Every goal of reliability has one implementation and two sizes: the short form is part of the tests, the full one is
run by `scripts/faults`, which says so by `FARM_FAULTS_*` variables and prints what was measured.
"""

from __future__ import annotations

import json
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

GOALS = {
    "R1": "embedded: 3,000 jobs, 200 random kill -9 of workers: 0 lost, 0 twice, 0 damaged files",
    "R2": "Celery and Redis: 30,000 wake-ups, 117 kills: 0 lost, 0 twice",
    "R3": "PostgreSQL: 3,000 jobs, 250 kills, 20 restarts of the server: 0 lost, 0 twice",
    "R4": "kill -9 before and after every commit, rename and publish: all end, nothing orphaned",
    "R5": "30 processes that overrun their lease: 0 publish; without the fence they do",
    "R6": "a job 34 times longer than every timeout of the broker runs once",
    "R7": "a dead worker's job runs again within 75 s",
    "R8": "Redis killed 32 times in mid-job, then away for 60 s: 0 lost, 0 stuck",
    "R9": "Redis emptied with 100 queued: all run within 60 s; Redis away at submit: submit succeeds",
    "R10": "disk full at 10 points: a clear error, nothing partial, works again with room",
    "R11": "out of memory: shown as such, 3 attempts at most, other jobs unaffected",
    "R12": "1,000 flipped bytes of stored files: all detected on read",
    "R13": "cancel: queued within 2 s, running with its whole tree within 15 s, 50 of 50; outlives all workers",
    "R14": "SIGTERM: gone within the grace and 5 s, job queued again and uncharged, 20 of 20",
    "R15": "100 equal submissions at once: 1 run, 100 answers",
    "R16": "time limit: the tree is gone within the limit and 10 s",
    "R17": "logs over 20 cut connections: nothing lost, nothing doubled",
    "R18": "8 processes that write for 60 s: no lock reaches a user",
    "R19": "half an hour with a fault every 5 s: every job ends, a worker grows by less than 10 %",
    "S1": "60 malicious model files: 0 executed, 0 host bytes read, 0 connections, refused before TensorFlow starts",
    "S2": "20 escape probes from inside the sandbox: 0 succeed",
    "S3": "30 models with forbidden ops: all refused, the op named",
    "S4": "10,000 generated calls: no 5xx; 2,000 generated command lines: no traceback",
    "S5": "50 path traversals, 40 request forgeries, 200 injections: 0 succeed",
    "S6": "a pickled message: not executed",
    "S7": "planted secrets: 0 hits in logs, database, command lines and artifacts",
    "S8": "every APK verifies by v2 and v3; 100 of 100 tampered files refused",
    "S9": "rebuilt in a second clean place: unsigned APK and .tflite identical, 10 of 10",
    "S10": "20 escape probes from a worker's container: 0 succeed; users without rights, read-only roots",
    "S11": "an upload over its limit or a 1000:1 bomb: 413 or 422, the server grows by less than 100 MB",
    "S12": "roles times endpoints: 0 wrong answers; tokens are kept as hashes only",
    "A1": "120 probes from a hostile stage, as root and as an ordinary user: 0 succeed",
    "A2": "100 hostile messages: the worker lives, the job fails with a sentence, nothing poisoned, nothing left",
    "A3": "150 hostile models, folders and tokenizers: 0 host bytes read, 0 executed, each refused in 10 s",
    "A4": "a hostile stage is cancelled within 15 s, its worker ends within 5 s of SIGTERM, 50 of 50",
    "A5": "bombs of memory, processes, disk and logs: the job ends as out of it, other jobs run on",
    "A6": "an empty, foreign or damaged database: 0 blobs removed",
    "A7": "200 hostile webhook receivers: a good one is served within 30 s",
    "A8": "tenants: 0 wrong answers over roles, endpoints and owners",
    "A9": "clocks 120 s apart: 0 healthy jobs failed",
    "A10": "fuzzers, 10,000 cases each: 0 crashes, 0 hangs over 10 s",
    "Q1": "SmolLM2 and Gemma 3 270M with none, fp16 and int8: APK, AAB, AAR, pictures, the right answer",
    "L1": "4,000 tokens read and written by SmolLM2 and Gemma 3 270M, here, in the app and in LiteRT-LM, as by Keras",
    "T1": "100,000 texts by eight published tokenizers, here and in the app: every id is the tokenizers package's",
}
NOTHING = "nothing"
SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL + Redis"


@dataclass
class Trial:
    """One test of one goal. scale: the part of the full size, 0 for the short form. found: what it measured."""

    goal: str
    engine: str
    scale: float
    seed: int
    found: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether this is no short form."""
        return self.scale > 0

    @property
    def chance(self) -> random.Random:
        """A generator that begins at the seed."""
        return random.Random(self.seed)  # noqa: S311 # reproducible

    def size(self, short: int, full: int) -> int:
        """How many."""
        return max(short, round(full * self.scale)) if self.full else short

    def measured(self, sentence: str) -> None:
        """Say it before it is asserted, so that a missed goal is seen with its figure."""
        self.found.append(sentence)

    def close(self, *, held: bool, seconds: float) -> None:
        """Print what was measured, and hand it to whoever runs the full figures."""
        said = "; ".join(self.found) or NOTHING
        sys.stderr.write(f"\n{self.goal} ({self.engine}, seed {self.seed}): {said}\n")
        if path := os.environ.get("FARM_FAULTS_FIGURES"):
            row = {"goal": self.goal, "engine": self.engine, "measured": said, "held": held, "seconds": seconds,
                   "seed": self.seed, "scale": self.scale}  # fmt: skip
            with Path(path).open("a") as stream:
                stream.write(json.dumps(row) + "\n")


def begin(goal: str, engine: str) -> Trial:
    """A trial of the size and seed that this run has."""
    scale, seed = os.environ.get("FARM_FAULTS_SCALE", "0"), os.environ.get("FARM_FAULTS_SEED", "20261")
    return Trial(goal, engine, float(scale), int(seed))
