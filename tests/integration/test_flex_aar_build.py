"""The scripts around the Bazel build, with a stand-in for Docker and a stand-in for the sources."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.ops import aar_builds

STAND_IN = """#!/bin/bash
echo "$@" >> "$CALLS"
case $1 in
  image) exit 1 ;;
  build) echo "Successfully built" ;;
  run)
    for word; do [[ $word == *:/work ]] && work=${word%:/work}; done
    cp "$work/ops.txt" "$CALLS.ops"
    [[ -n $FAIL ]] && { echo "INFO: Analyzed"; echo "ERROR: no such package '@fft2d//'"; exit 1; }
    [[ -n $NOTHING ]] || echo an-aar > "$work/tftext_tflite_flex.aar" ;;
esac
"""


def run_build(tmp_path: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], Path, Path]:
    docker, ops = tmp_path / "docker", tmp_path / "ops.txt"
    docker.write_text(STAND_IN)
    docker.chmod(0o755)
    ops.write_text("ReduceJoin\nRegexSplitWithOffsets\n")
    log, output = tmp_path / "build.log", tmp_path / "out.aar"
    ran = subprocess.run(
        [aar_builds.RECIPE / "build", "--ops", ops, "--abis", "arm64-v8a,x86_64", "--pages", "16384", "--log", log,
         "--output", output],
        env={**os.environ, "AAR_RUN": str(docker), "CALLS": str(tmp_path / "calls"), "FAIL": "", "NOTHING": "",
             **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran, log, output


def test_the_container_is_built_and_run_with_all_that_was_asked_for(tmp_path: Path) -> None:
    ran, log, output = run_build(tmp_path)
    assert ran.returncode == 0, log.read_text()
    assert output.read_text() == "an-aar\n"
    inspected, built, started = (tmp_path / "calls").read_text().splitlines()
    assert inspected.startswith("image inspect farm-flex-aar:")
    assert "bazel/releases/download/6.1.0" in built
    # Bazel, and the NDK.
    assert len(re.findall(r"--build-arg \w+_SHA256=[0-9a-f]{64} ", built)) == 2
    assert "android-ndk-r25c" in built
    for word in ("ABIS=arm64-v8a,x86_64", "PAGES=16384", "tensorflow/archive/refs/tags/v2.14.0", "NDK_API=26"):
        assert word in started
    assert re.search(r"TF_SHA256=[0-9a-f]{64} --env TEXT_REPOSITORY=\S+ --env TEXT_COMMIT=[0-9a-f]{40} ", started)
    assert (tmp_path / "calls.ops").read_text() == "ReduceJoin\nRegexSplitWithOffsets\n"


@pytest.mark.parametrize("missing", ["bazel.sha256", "ndk.sha256", "tensorflow.sha256", "tensorflow_text.commit"])
def test_what_is_not_pinned_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    recipe = tmp_path / "flex-aar"
    shutil.copytree(aar_builds.RECIPE, recipe)
    monkeypatch.setattr(aar_builds, "RECIPE", recipe)
    versions = json.loads((recipe / "versions.json").read_text())
    part, name = missing.split(".")
    versions[part][name] = None
    (recipe / "versions.json").write_text(json.dumps(versions))
    ran, log, output = run_build(tmp_path)
    assert ran.returncode == 1
    assert f"ERROR: {missing} is not pinned" in log.read_text()
    assert not output.exists()
    assert not (tmp_path / "calls").exists()


def test_a_failure_is_in_the_log_for_the_farm_to_read(tmp_path: Path) -> None:
    ran, log, output = run_build(tmp_path, FAIL="1")
    assert ran.returncode == 1
    assert aar_builds.cause(log) == "ERROR: no such package '@fft2d//'"
    assert not output.exists()


def test_a_container_that_makes_nothing_is_a_failure(tmp_path: Path) -> None:
    ran, log, _ = run_build(tmp_path, NOTHING="1")
    assert ran.returncode == 1
    assert aar_builds.cause(log) == "ERROR: the container made no AAR"


def test_options_are_checked() -> None:
    for words in (["--nonsense", "x"], ["--abis", "x86_64"]):
        ran = subprocess.run([aar_builds.RECIPE / "build", *words], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr.startswith("ERROR:")) == (2, True)


@pytest.fixture
def registrar() -> ModuleType:
    spec = importlib.util.spec_from_file_location("registrar", aar_builds.RECIPE / "registrar.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_ops_become_a_header_and_targets(tmp_path: Path, registrar: ModuleType) -> None:
    kernels = tmp_path / "tf" / "tensorflow" / "core" / "kernels"
    texts = tmp_path / "text" / "tensorflow_text" / "core" / "kernels"
    for folder in (kernels, texts):
        folder.mkdir(parents=True)
    (kernels / "reduce_join_op.cc").write_text(
        'REGISTER_KERNEL_BUILDER(Name("ReduceJoin").Device(DEVICE_CPU), JoinOp);'
    )
    (kernels / "x_test.cc").write_text('REGISTER_KERNEL_BUILDER(Name("OnlyATest").Device(DEVICE_CPU), X);')
    (texts / "regex_split_kernels.cc").write_text(
        'REGISTER_KERNEL_BUILDER(\n    Name("RegexSplitWithOffsets").Device(tensorflow::DEVICE_CPU),\n    SplitOp);'
    )
    target = tmp_path / "flex_aar"
    ops = ["ReduceJoin", "RegexSplitWithOffsets"]
    assert registrar.write(ops, tmp_path / "tf", tmp_path / "text", target) == []
    header = (target / "ops_to_register.h").read_text()
    assert all(f'__builtin_strcmp(op, "{op}") == 0' in header for op in ops)
    assert (target / "ops.bzl").read_text() == (
        'TEXT_KERNELS = ["@org_tensorflow_text//tensorflow_text/core/kernels:regex_split_kernels"]\n'
    )
    assert registrar.write(["OnlyATest", "Unknown"], tmp_path / "tf", tmp_path / "text", target) == [
        "OnlyATest",
        "Unknown",
    ]


def test_the_header_chooses_as_a_compiler_reads_it(tmp_path: Path, registrar: ModuleType) -> None:
    registrar.write(["ReduceJoin", "Where"], tmp_path, tmp_path, tmp_path)
    program = tmp_path / "x.cc"
    program.write_text(
        '#include "ops_to_register.h"\nstatic_assert(SHOULD_REGISTER_OP("Where"));\n'
        'static_assert(!SHOULD_REGISTER_OP("ReadFile"));\nint main() { return 0; }\n'
    )
    compiler = next((path for name in ("c++", "g++", "clang++") for path in which(name)), None)
    if compiler is None:
        # Without a compiler the text is read instead: each op once, and nothing else.
        assert (tmp_path / "ops_to_register.h").read_text().count("__builtin_strcmp") == 2
        return
    subprocess.run([compiler, "-std=c++17", "-c", program, "-o", tmp_path / "x.o"], check=True)


def which(name: str) -> list[str]:
    return [f"{folder}/{name}" for folder in os.environ["PATH"].split(":") if Path(folder, name).exists()]


def test_registrar_says_which_op_no_source_has(tmp_path: Path) -> None:
    ops = tmp_path / "ops.txt"
    ops.write_text("Unknown\n")
    ran = subprocess.run(
        [sys.executable, aar_builds.RECIPE / "registrar.py", ops, "--tensorflow", tmp_path, "--text", tmp_path,
         "--target", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr == "ERROR: no source of this version registers a kernel for Unknown\n"
