from __future__ import annotations

import re
from pathlib import Path

import pytest

from farm.errors import ReferenceEnvironmentUnavailable, ReferenceRunDiffers
from pipeline import process
from pipeline.android.golden import Golden, GoldenLimits, GoldenPrompt
from pipeline.flex import reference_environment, reference_run
from pipeline.inference.text_model import TextAnswer

END = 9
PROMPTS = (
    GoldenPrompt(text="one", prompt_tokens=(1, 2), tokens=(3, 4, 5), margins=(1.0, 0.001, 1.0)),
    GoldenPrompt(text="two", prompt_tokens=(1,), tokens=(6, END), margins=(1.0, 1.0)),
)


def answer(prompt: tuple[int, ...], *tokens: int) -> TextAnswer:
    return TextAnswer(b"", prompt, tokens, 0.1)


def test_only_texts_that_fit_are_asked() -> None:
    bare = GoldenPrompt(text=None, prompt_tokens=(1,), tokens=(2,), margins=(1.0,))
    golden = Golden(format=1, prompts=(*PROMPTS, bare), limits=GoldenLimits(near_tie=0.1))
    assert reference_run.askable(golden, 3) == PROMPTS
    assert reference_run.askable(golden, 2) == ()
    assert [(asked.prompt, asked.max_new_tokens) for asked in reference_run.completions(PROMPTS)] == [
        (b"one", 3),
        (b"two", 2),
    ]


def test_equal_answers_and_ties() -> None:
    equal = [answer((1, 2), 3, 4, 5), answer((1,), 6)]
    assert reference_run.compare(PROMPTS, equal, (END,), 0.01, 1.0, "2.14.0") == reference_run.ReferenceRunMetrics(
        2, 2, 0, 1.0
    )
    tied = [answer((1, 2), 3, 8, 8), answer((1,), 6)]
    assert reference_run.compare(PROMPTS, tied, (END,), 0.01, 1.0, "2.14.0") == reference_run.ReferenceRunMetrics(
        2, 1, 1, 1.0
    )


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([answer((1, 2), 3, 4, 7), answer((1,), 6)], "leaves golden prompt 0 at token 2"),
        ([answer((1, 2), 3, 4, 5), answer((1,), 6, 7)], "leaves golden prompt 1 at token 1"),
        ([answer((1, 2), 3, 4, 5), answer((1,))], "leaves golden prompt 1 at token 0"),
        ([answer((1, 3), 3, 4, 5), answer((1,), 6)], "reads golden prompt 0 as other tokens"),
    ],
)
def test_other_tokens_are_refused(answers: list[TextAnswer], sentence: str) -> None:
    with pytest.raises(ReferenceRunDiffers, match=sentence):
        reference_run.compare(PROMPTS, answers, (END,), 0.01, 1.0, "2.14.0")


def test_a_quantized_model_may_leave_its_path_as_often_as_its_recipe_says() -> None:
    """Kernels of another processor round otherwise."""
    left = [answer((1, 2), 3, 4, 7), answer((1,), 6)]
    found = reference_run.compare(PROMPTS, left, (END,), 0.01, 0.75, "2.14.0")
    assert (found.equal, found.agreement) == (1, 0.75)
    with pytest.raises(ReferenceRunDiffers, match=r"75\.0% of the steps agree where 76% are needed"):
        reference_run.compare(PROMPTS, left, (END,), 0.01, 0.76, "2.14.0")


def test_every_package_of_the_environment_is_pinned_with_hashes() -> None:
    lines = reference_environment.LOCK.read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([0-9a-z.]+) \\$", lines, re.MULTILINE))
    assert pinned["tensorflow-cpu"] == "2.14.0"
    assert pinned["numpy"].startswith("1.")
    wanted = {re.split("[=<>]", line)[0] for line in reference_environment.LOCK.with_suffix(".in").read_text().split()}
    assert set(pinned) == wanted
    blocks = re.split(r"^(?=[a-z0-9-]+==)", lines, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_environment_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "reference.lock"
    lock.write_text("x==1 --hash=sha256:0\n")
    with pytest.raises(ReferenceEnvironmentUnavailable, match="is not installed"):
        reference_environment.python(tmp_path, lock)
    commands: list[list[str]] = []

    def run(words, *, error, **_rest):
        commands.append([str(word) for word in words])
        if "venv" in words:
            (Path(words[-1]) / "bin").mkdir(parents=True)
            (Path(words[-1]) / "bin" / "python").touch()
        elif len(commands) == 2:
            raise error("pip failed; see.")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(ReferenceEnvironmentUnavailable):
        reference_environment.ensure(tmp_path, lock)
    assert not reference_environment.folder(tmp_path, lock).exists()
    made = reference_environment.ensure(tmp_path, lock)
    assert reference_environment.python(tmp_path, lock) == made / "bin" / "python"
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(commands[-1])
    count = len(commands)
    assert reference_environment.ensure(tmp_path, lock) == made
    assert len(commands) == count
    lock.write_text("x==2 --hash=sha256:0\n")
    assert reference_environment.folder(tmp_path, lock) != made
