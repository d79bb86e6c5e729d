"""What a hostile stage may leave and say, each with what must come of the job: a code of farm.errors, or success.

Every message is a piece of Python that the stage `check` (or the named one) runs in its work folder. `ok` stands for
the stage's sound outputs, after which the result says whatever it says. Those that end no job and are about no output
are said by one stage after the other of the same job.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

SUCCEEDS = "succeeded"
CRASH, DAMAGED = "stage-crashed", "artifact-damaged"
OK = "stub.write_outputs(workdir, request['stage'], '')\n"


@dataclass(frozen=True)
class Message:
    """name: for the test's; code: what the stage runs; ends: how the job must end; anywhere: any stage can say it."""

    name: str
    code: str
    ends: str
    stage: str = "check"
    anywhere: bool = False


def result(name: str, text: str | bytes, ends: str = CRASH, stage: str = "check") -> Message:
    """A result.json with this content beside sound outputs."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    code = f"{OK}(workdir / 'result.json').write_bytes({data!r})"
    return Message(f"result: {name}", code, ends, stage, anywhere=ends == SUCCEEDS)


def made(name: str, code: str, ends: str, stage: str = "check") -> Message:
    """Code that leaves its own outputs or result."""
    anywhere = ends == SUCCEEDS and name.startswith(("result:", "the work folder"))
    return Message(name, f"from pathlib import Path\n{code}", ends, stage, anywhere)


def _result_file(code: str) -> str:
    return f"{OK}r = workdir / 'result.json'\n{code}"


def _output(code: str) -> str:
    return f"{OK}o = workdir / 'outputs'\nc = o / 'checked.json'\n{code}\n(workdir / 'result.json').write_text('{{}}')"


def _adopted(code: str) -> str:
    return (
        f"{OK}a = workdir / 'adopt'\ng = a / 'graphs'\ng.mkdir(parents=True)\nkey = 'f' * 64 + '.tflite'\n{code}\n"
        "(workdir / 'result.json').write_text('{}')"
    )


def _said(data: bytes) -> str:
    return f"progress({data!r})\n{OK}(workdir / 'result.json').write_text('{{}}')"


def _failure(code: object, sentence: object) -> str:
    return json.dumps({"failure": {"code": code, "sentence": sentence}})


DEEP = '{"attributes": ' + '{"a": ' * 3000 + "1" + "}" * 3000 + "}"
SKIPPABLE, NEVER = "package", ("fetch", "check", "convert", "ops", "verify", "no-such-stage", "")

RESULTS = (
    result("empty", ""),
    result("no JSON", "hello"),
    result("half", '{"notes": ["a"'),
    result("a list", "[]"),
    result("a number", "17"),
    result("null", "null"),
    result("not UTF-8", b'{"notes": ["\xff\xfe"]}'),
    result("UTF-16", '{"notes": []}'.encode("utf-16")),
    result("a NUL byte", b'{"notes": ["a\x00b"]}'),
    result("deep", DEEP),
    result("deep lists", "[" * 100_000),
    result("NaN as a metric", '{"metrics": [{"name": "a", "value": NaN, "unit": "s"}]}'),
    result("infinity as a metric", '{"metrics": [{"name": "a", "value": Infinity, "unit": "s"}]}'),
    result("1e999 as a metric", '{"metrics": [{"name": "a", "value": 1e999, "unit": "s"}]}'),
    result("a text as a metric", '{"metrics": [{"name": "a", "value": "fast", "unit": "s"}]}'),
    result("a metric without a unit", '{"metrics": [{"name": "a", "value": 1}]}'),
    result("a metric's long name", json.dumps({"metrics": [{"name": "a" * 101, "value": 1, "unit": "s"}]})),
    result("1,001 metrics", json.dumps({"metrics": [{"name": "a", "value": 1, "unit": "s"}] * 1001})),
    result("201 notes", json.dumps({"notes": ["a"] * 201})),
    result("an empty note", '{"notes": [""]}'),
    result("a note of 200,000 characters", json.dumps({"notes": ["a" * 200_000]})),
    result("notes as a text", '{"notes": "abc"}'),
    result("attributes as a list", '{"attributes": []}'),
    result("NaN in attributes", '{"attributes": {"a": NaN}}'),
    result("a number of 4,000 digits", '{"attributes": {"a": ' + "9" * 4000 + "}}"),
    result("6,000 attributes", json.dumps({"attributes": {str(number): 1 for number in range(6000)}})),
    result("20 levels of attributes", '{"attributes": ' + '{"a": ' * 20 + "1" + "}" * 20 + "}"),
    result("skips as a list", '{"skips": ["package"]}'),
    *(result(f"skip {name!r}", json.dumps({"skips": {name: "because"}})) for name in NEVER),
    result("skip package", json.dumps({"skips": {SKIPPABLE: "because"}})),
    result("convert skips ops", '{"skips": {"ops": "because"}}', stage="convert"),
    result("convert skips verify", '{"skips": {"verify": "because"}}', stage="convert"),
    result("an empty reason", '{"skips": {"package": ""}}', stage="convert"),
    result("failure as a text", '{"failure": "x"}'),
    result("a failure without a sentence", '{"failure": {"code": "model-damaged"}}'),
    result("an empty sentence", _failure("model-damaged", "")),
    result("a NUL in a sentence", _failure("model-damaged", "a\0b"), "model-damaged"),
    result("an escape in a sentence", _failure("model-damaged", "a\x1b[2Jb"), "model-damaged"),
    result("half a character in a sentence", _failure("model-damaged", "a\ud800b"), CRASH),
    result("lines in a sentence", _failure("model-damaged", "a\nb\r\nc"), "model-damaged"),
    result("an order mark in a sentence", _failure("model-damaged", "a\u202eb"), "model-damaged"),
    result("a sentence of 50,000 characters", _failure("model-damaged", "a" * 50_000), "model-damaged"),
    *(
        result(f"failure {code}", _failure(code, "Said by a stage."))
        for code in (
            "database-unusable",
            "store-unusable",
            "broker-unusable",
            "worker-lost",
            "settings-invalid",
            "usage-error",
            "job-cancelled",
            "job-failed",
            "sandbox-unavailable",
            "not-authenticated",
            "artifact-missing",
            "no-such-error",
            "farm-error",
            "resource-error",
        )
    ),
    result("NUL in notes and attributes", json.dumps({"notes": ["a\0b"], "attributes": {"k\0": "v\0"}}), SUCCEEDS),
    result("a metric with NUL", json.dumps({"metrics": [{"name": "a\0", "value": 1, "unit": "\0"}]}), SUCCEEDS),
    result(
        "a metric of 1e308", '{"metrics": [{"name": "process_peak_memory", "value": 1e308, "unit": "b"}]}', SUCCEEDS
    ),
    result("a negative peak", '{"metrics": [{"name": "process_peak_memory", "value": -5, "unit": "b"}]}', SUCCEEDS),
    result("unknown keys", '{"surprise": 1}', SUCCEEDS),
    result("markup in notes", '{"notes": ["<script>alert(1)</script>"]}', SUCCEEDS),
)
RESULT_FILES = (
    made("result: a link to a file", _result_file("r.symlink_to('/etc/passwd')"), CRASH),
    made("result: a link to itself", _result_file("r.symlink_to(r)"), CRASH),
    made("result: a link to a device", _result_file("r.symlink_to('/dev/zero')"), CRASH),
    made("result: a folder", _result_file("r.mkdir()"), CRASH),
    made("result: a pipe", _result_file("os.mkfifo(r)"), CRASH),
    made("result: a socket", _result_file("import socket\ns = socket.socket(1)\ns.bind(str(r))"), CRASH),
    made("result: a second name", _result_file("r.write_text('{}')\nos.link(r, workdir / 'other')"), CRASH),
    made("result: sparse, 1 GiB", _result_file("r.touch()\nos.truncate(r, 1 << 30)"), CRASH),
    made("result: 5 MiB of spaces", _result_file("r.write_bytes(b' ' * (5 << 20))"), CRASH),
    made("result: none", OK, CRASH),
    made("result: unreadable", _result_file("r.write_text('{}')\nr.chmod(0)"), SUCCEEDS),
    made("result: success and exit code 3", f"{OK}(workdir / 'result.json').write_text('{{}}')\nos._exit(3)", CRASH),
    made("the work folder closed", f"{OK}(workdir / 'result.json').write_text('{{}}')\nworkdir.chmod(0o300)", SUCCEEDS),
)
OUTPUTS = (
    made("output: none", "(workdir / 'result.json').write_text('{}')", CRASH),
    made("output: a link to a file", _output("c.unlink(); c.symlink_to('/etc/passwd')"), DAMAGED),
    made("output: a link to nothing", _output("c.unlink(); c.symlink_to('nowhere')"), DAMAGED),
    made("output: a link to an input", _output("c.unlink(); c.symlink_to(workdir / 'inputs')"), DAMAGED),
    made("output: a folder", _output("c.unlink(); c.mkdir()"), CRASH),
    made("output: a pipe", _output("c.unlink(); os.mkfifo(c)"), DAMAGED),
    made("output: a socket", _output("import socket; c.unlink(); s = socket.socket(1); s.bind(str(c))"), DAMAGED),
    made("output: two names", _output("os.link(c, workdir / 'scratch' / 'again')"), DAMAGED),
    made("output: setuid", _output("c.chmod(0o6777)"), SUCCEEDS),
    made("output: unreadable", _output("c.chmod(0)"), SUCCEEDS),
    made("output: a link beside", _output("(o / 'more').symlink_to('/')"), DAMAGED),
    made("output: deep", _output("d = o\nfor _ in range(20):\n    d = d / 'd'\n    d.mkdir()"), DAMAGED),
    made("output: 6,000 files", _output("for n in range(6000):\n    (o / str(n)).touch()"), DAMAGED),
    made("output: a line in a name", _output("(o / 'a\\nb').touch()"), DAMAGED),
    made("output: no text as a name", _output("open(bytes(o) + b'/\\xff\\xfe', 'w').close()"), DAMAGED),
    made("output: an escape in a name", _output("(o / 'a\\x1b[2J').touch()"), DAMAGED),
    made("output: a backslash in a name", _output("(o / 'a\\\\b').touch()"), DAMAGED),
    made("output: sparse, 100 GiB and 100 GiB",
         _output("for n in 'ab':\n    (o / n).touch()\n    os.truncate(o / n, 100 << 30)"), DAMAGED),
    made("output: the folder a link", _output("import shutil; shutil.rmtree(o); o.symlink_to('/etc')"), DAMAGED),
    made("output: the folder a file", _output("import shutil; shutil.rmtree(o); o.touch()"), DAMAGED),
    made("output: the folder gone", _output("import shutil; shutil.rmtree(o)"), DAMAGED),
    made("output: the folder closed", _output("o.chmod(0)"), SUCCEEDS),
)  # fmt: skip
CACHES = (
    made("cache: another stage's", _adopted("(g / key).touch()"), DAMAGED),
    made("cache: not its own", _adopted("(a / 'screens').mkdir(); (a / 'screens' / key).touch()"), DAMAGED, "convert"),
    made("cache: the reference environment", _adopted(
        "p = a / 'reference-environment' / 'x' / 'bin'; p.mkdir(parents=True); (p / 'python').touch()"),
        DAMAGED, "convert"),
    made("cache: an AAR", _adopted("(a / 'aars').mkdir(); (a / 'aars' / 'x.aar').touch()"), DAMAGED, "convert"),
    made("cache: another name", _adopted("(g / 'graph.py').touch()"), DAMAGED, "convert"),
    made("cache: a name in capitals", _adopted("(g / ('F' * 64 + '.tflite')).touch()"), DAMAGED, "convert"),
    made("cache: a digest", _adopted("(g / (key + '.sha256')).touch()"), DAMAGED, "convert"),
    made("cache: a file named like the cache", _adopted("g.rmdir(); g.touch()"), DAMAGED, "convert"),
    made("cache: a file beside the caches", _adopted("(a / 'x').touch()"), DAMAGED, "convert"),
    made("cache: a link", _adopted("(g / key).symlink_to('/etc/passwd')"), DAMAGED, "convert"),
    made("cache: a linked folder", _adopted("g.rmdir(); g.symlink_to('/etc')"), DAMAGED, "convert"),
    made("cache: adopt is a link", f"{OK}(workdir / 'adopt').symlink_to('/etc')\n"
         "(workdir / 'result.json').write_text('{}')", DAMAGED, "convert"),
    made("cache: adopt is a file", f"{OK}(workdir / 'adopt').touch()\n(workdir / 'result.json').write_text('{{}}')",
         DAMAGED, "convert"),
    made("cache: two names", _adopted("(g / key).touch(); os.link(g / key, workdir / 'x')"), DAMAGED, "convert"),
    made("cache: a pipe", _adopted("os.mkfifo(g / key)"), DAMAGED, "convert"),
    made("cache: deeper", _adopted("(g / 'd').mkdir(); (g / 'd' / key).touch()"), DAMAGED, "convert"),
    made("cache: 100 files",
         _adopted("for n in range(100):\n    (g / (f'{n:064x}.tflite')).touch()"), DAMAGED, "convert"),
    made("cache: setuid", _adopted("(g / key).touch(); (g / key).chmod(0o6777)"), SUCCEEDS, "convert"),
)  # fmt: skip
PROGRESS = tuple(
    Message(f"progress: {name}", _said(data), SUCCEEDS, anywhere=True)
    for name, data in (
        ("garbage", b"\xff\xfe\x00\n{}\n[]\n"),
        ("NaN", b'{"fraction": NaN, "activity": "x"}\n'),
        ("infinity", b'{"fraction": 1e999, "activity": "x"}\n'),
        ("a text", b'{"fraction": "1", "activity": "x"}\n'),
        ("huge", b'{"fraction": 1' + b"0" * 5000 + b', "activity": "x"}\n'),
        ("larger than any float", b'{"fraction": 1' + b"0" * 400 + b', "activity": "x"}\n'),
        ("deep", b"[" * 50_000 + b"\n"),
        ("half a character", b'{"fraction": 0.5, "activity": "\\ud800"}\n'),
        ("NUL", b'{"fraction": 0.5, "activity": "a\\u0000b"}\n'),
        ("long", b'{"fraction": 0.5, "activity": "' + b"a" * 60_000 + b'"}\n'),
        ("no end of line", b"x" * 60_000),
        ("many lines", b"\n" * 60_000),
        ("not a map", b"7\n"),
    )
)
LOGS = tuple(
    Message(f"log: {name}", f"{code}\n{OK}(workdir / 'result.json').write_text('{{}}')", SUCCEEDS, anywhere=True)
    for name, code in (
        ("NUL and escapes", "os.write(1, b'a\\0b\\x1b[2J\\x07\\n' * 100)"),
        ("not UTF-8", "os.write(2, b'\\xff\\xfe\\n' * 100)"),
        ("no end of line", "os.write(1, b'x' * 300_000)"),
        ("40 MiB", "for _ in range(640):\n    os.write(1, b'y' * 65536)"),
        ("closed", "os.close(1); os.close(2)"),
    )
)
MESSAGES = (*RESULTS, *RESULT_FILES, *OUTPUTS, *CACHES, *PROGRESS, *LOGS)
