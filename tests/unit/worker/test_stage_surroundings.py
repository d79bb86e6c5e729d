"""What a stage is given to see: its environment, its sandbox, its work folder."""

from __future__ import annotations

import mmap
import os
import subprocess
from pathlib import Path

import pytest

from farm import locations
from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged, SandboxUnavailable, StageCrashed
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import SandboxMode
from farm.stages import BY_NAME, StageName
from farm.store import LocalStore
from pipeline.request import StageRequest
from worker import process_tree, sandbox, stage_user, workfolder
from worker.limits import Limits
from worker.sandbox import Bubblewrap, Unconfined, View
from worker.stage_launch import environment
from worker.stage_process import StageJob

SECRETS = {"HF_TOKEN": "hf", "AWS_SECRET_ACCESS_KEY": "aws", "KEYSTORE_PASSWORD": "pw", "FARM_HOME": "/f", "PATH": "/b"}


def job(tmp_path: Path, network: bool) -> StageJob:
    request = StageRequest(
        stage=StageName.FETCH, spec=JobSpec(model_kind=ModelKind.PRESET, model="gpt2"), workdir=tmp_path,
        caches=tmp_path, toolchain=tmp_path, keystore=None, threads=3,
    )  # fmt: skip
    return StageJob(request, View(tmp_path, (), network), Limits(1, 1, 1), "worker", tmp_path / "log")


@pytest.mark.parametrize(("network", "passed_on"), [(False, {"PATH"}), (True, {"PATH", "HF_TOKEN"})])
def test_secrets_stay_outside(tmp_path: Path, network: bool, passed_on: set[str]) -> None:
    found = environment(SECRETS, job(tmp_path, network).request, "mark", network=network)
    assert set(found) & set(SECRETS) == passed_on
    assert found["HOME"] == found["TMPDIR"] == str(tmp_path / "scratch")
    assert found[process_tree.MARK_VARIABLE] == "mark"
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["OPENBLAS_NUM_THREADS"] == "1", "NumPy's threads wait without sleeping for cores that others hold"
    assert found["LC_ALL"] == "C.UTF-8", "Java finds no file below a folder with an umlaut in a locale without UTF-8"


def test_a_stage_names_files_in_utf8_whatever_the_users_locale(tmp_path: Path) -> None:
    """Java can name no file in a folder with an umlaut otherwise."""
    for own in ({}, {"LC_ALL": "C", "LANG": "de_DE@euro"}):
        assert environment(own, job(tmp_path, False).request, "mark", network=False)["LC_ALL"] == "C.UTF-8"


def test_the_sandbox_writes_to_the_work_folder_only(tmp_path: Path) -> None:
    view = View(tmp_path, (Path("/given"),), network=False)
    words = Bubblewrap(own_user=False).wrap(("python", "x"), view)
    writable = [words[place + 1] for place, word in enumerate(words) if word == "--bind"]
    assert writable == [str(tmp_path)]
    assert "--share-net" not in words
    assert {"--unshare-all", "--disable-userns", "--seccomp", "--die-with-parent"} <= set(words)
    contained = Bubblewrap(own_proc=False, own_user=False).wrap(("python", "x"), view)
    assert "--disable-userns" not in contained, "a container's /proc/sys is read-only, where it would be set"
    assert {"--unshare-all", "--seccomp"} <= set(contained)
    assert "/given" in words
    assert str(locations.ROOT / "pipeline") in words
    assert not {"/etc", "/etc/ssl", "/etc/shadow", "/etc/passwd", str(locations.ROOT)} & set(sources(words))
    assert words[-3:] == ("--", "python", "x")
    assert words.index(f"{tmp_path}/inputs") > words.index("--bind"), "read-only over the writable folder, so after it"


def sources(words: tuple[str, ...]) -> list[str]:
    """What is bound."""
    return [words[place + 1] for place, word in enumerate(words) if "bind" in word and "data" not in word]


def test_root_gives_a_stage_a_user_of_its_own_and_keeps_no_privilege(tmp_path: Path) -> None:
    words = Bubblewrap(own_user=True).wrap(("python",), View(tmp_path, (), network=False))
    changed = words[words.index("setpriv") : words.index("python")]
    user = int(changed[changed.index("--reuid") + 1])
    assert stage_user.FIRST <= user < stage_user.FIRST + stage_user.COUNT
    assert changed[changed.index("--bounding-set") + 1] == "-all"
    assert "CAP_DAC_READ_SEARCH" not in words
    theirs = Bubblewrap(own_user=True).wrap(("python",), View(tmp_path, (), network=False, user_files=True))
    assert "-all,+dac_read_search" in theirs


def test_a_network_only_where_it_is_asked_for(tmp_path: Path) -> None:
    assert "--share-net" in Bubblewrap(own_user=True).wrap(("x",), View(tmp_path, (), network=True))


def test_the_choice_of_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "FARM_SANDBOX" in sandbox.choose(SandboxMode.OFF).description
    monkeypatch.setattr(stage_user, "can_switch", lambda: False)
    monkeypatch.setattr(sandbox, "probe", lambda own_proc=True: None)
    assert sandbox.choose(SandboxMode.REQUIRED).description == "bubblewrap"
    monkeypatch.setattr(sandbox, "probe", lambda own_proc=True: "no mount" if own_proc else None)
    in_a_container = sandbox.choose(SandboxMode.REQUIRED)
    assert in_a_container.description == "bubblewrap, with the container's /proc"
    assert "--ro-bind /proc /proc" in " ".join(in_a_container.wrap(("x",), View(Path("/w"), (), network=False)))
    monkeypatch.setattr(sandbox, "probe", lambda own_proc=True: "bubblewrap is not installed")
    assert sandbox.choose(SandboxMode.AUTO).description == "none (bubblewrap is not installed)"
    with pytest.raises(SandboxUnavailable, match=r"bubblewrap is not installed; run: apt-get install bubblewrap"):
        sandbox.choose(SandboxMode.REQUIRED)
    assert Unconfined("x").wrap(("a", "b"), View(Path(), (), network=False)) == ("a", "b")


def test_the_probe_tells_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert sandbox.probe() == "bubblewrap is not installed"
    monkeypatch.setattr("shutil.which", lambda name: name)
    failed = subprocess.CompletedProcess((), 1, b"", b"no permission\n")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: failed)
    assert sandbox.probe() == "bubblewrap fails: no permission"


def test_a_work_folder_has_its_inputs_and_is_removed_whatever_its_permissions(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    made = store.put_bytes(ArtifactName.CHECKED, b"{}")
    folder = tmp_path / "work"
    workfolder.make(folder)
    workfolder.lay_out(folder, {ArtifactName.CHECKED: made}, store, protected=True)
    assert (folder / "inputs" / "checked.json").read_bytes() == b"{}"
    (folder / "scratch" / "locked").mkdir(mode=0o000)
    workfolder.remove(folder)
    assert not folder.exists()
    assert store.has(made)


def test_collect_wants_every_output(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    workfolder.make(tmp_path / "work")
    with pytest.raises(StageCrashed, match=r"ended without checked\.json"):
        workfolder.collect(tmp_path / "work", BY_NAME[StageName.CHECK], store)
    (tmp_path / "work" / "outputs" / "checked.json").write_text("{}")
    [artifact] = workfolder.collect(tmp_path / "work", BY_NAME[StageName.CHECK], store)
    assert artifact.name is ArtifactName.CHECKED


def test_links_in_place_of_folders_are_not_followed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "checked.json").write_text("secret")
    folder = tmp_path / "work"
    workfolder.make(folder)
    (folder / "outputs").rmdir()
    (folder / "outputs").symlink_to(elsewhere)
    (folder / "adopt").symlink_to(elsewhere)
    with pytest.raises(ArtifactDamaged):
        workfolder.collect(folder, BY_NAME[StageName.CHECK], store)
    with pytest.raises(ArtifactDamaged):
        workfolder.adopt(folder, BY_NAME[StageName.CONVERT], tmp_path / "caches")
    assert (elsewhere / "checked.json").read_text() == "secret"


def test_memory_is_measured() -> None:
    own = process_tree.memory([os.getpid()])
    # Fresh pages: what the allocator still has of earlier tests would not count.
    with mmap.mmap(-1, 32 << 20) as ballast:
        ballast.write(b"x" * len(ballast))
        assert process_tree.memory([os.getpid()]) > own + (24 << 20)
    assert process_tree.memory([2**22 + 1]) == 0


def test_descendants_are_members() -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    try:
        assert pid in process_tree.members("no-such-mark", os.getpid())
        assert process_tree.kill("no-such-mark", pid) == 0, "a zombie is gone"
    finally:
        os.close(writing)
        os.close(reading)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == 9
