from __future__ import annotations

from collections.abc import Sequence

from pipeline.litert_lm.child import Golden, Outcome, Prompt, Step, follow, run_prompt

PROMPT = "once"


class FakeRunner:
    """Goes on with a text of its own, from wherever a prompt leads it. merges: reads `ab` as one token."""

    def __init__(self, text: str, forced: str = "", *, merges: bool = False) -> None:
        self.text, self.forced, self.merges = text, forced, merges
        self.asked: list[tuple[str, int]] = []

    def tokens(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text.replace("ab", "\0") if self.merges else text))

    def write(self, text: str, most: int) -> str:
        self.asked.append((text, most))
        return (self.text if text == PROMPT else self.forced)[:most]


def golden(text: str, near_ties: Sequence[int] = (), *, stops: bool = False, stop_near_tie: bool = False) -> Golden:
    steps = [Step(tokens=(ord(each),), text=each, near_tie=at in near_ties) for at, each in enumerate(text)]
    return Golden(steps=tuple(steps), stops=stops, stop_near_tie=stop_near_tie)


def outcome(runner: FakeRunner, wanted: Golden) -> Outcome:
    return follow(runner, PROMPT, runner.tokens(PROMPT), wanted, runner.write(PROMPT, wanted.rest(0)))  # type: ignore[arg-type]


def test_equal_texts_are_compared_whole() -> None:
    assert outcome(FakeRunner("abcdef"), golden("abc")) == Outcome(compared=3, agreed=3)
    assert outcome(FakeRunner("abc"), golden("abc", stops=True)) == Outcome(compared=4, agreed=4)


def test_another_token_is_counted_and_the_rest_compared_behind_the_golden_one() -> None:
    runner = FakeRunner("abX", forced="dX")
    found = outcome(runner, golden("abcde", near_ties=[1, 4]))
    assert (found.compared, found.agreed, found.near_ties) == (4, 3, 1)
    assert "writes 'abX' where 'c' comes behind 6 tokens" in found.difference
    assert runner.asked[1] == ("onceabc", 2)


def test_behind_a_near_tie_the_golden_text_leads_on() -> None:
    runner = FakeRunner("abX", forced="de")
    assert outcome(runner, golden("abcde", near_ties=[2])) == Outcome(compared=4, agreed=4, near_ties=1)
    assert runner.asked[-1] == ("onceabc", 2)
    assert "where 'd' comes" in outcome(FakeRunner("abX", forced="Xe"), golden("abcde", near_ties=[2])).difference


def test_a_text_that_reads_otherwise_leads_nowhere() -> None:
    found = outcome(FakeRunner("aX", merges=True), golden("abcde", near_ties=[1]))
    assert found == Outcome(compared=1, agreed=1, near_ties=1, uncompared=3)


def test_an_end_that_does_not_come_is_another_token() -> None:
    assert "where its end comes" in outcome(FakeRunner("abcd"), golden("abc", stops=True)).difference
    assert outcome(FakeRunner("abcd"), golden("abc", stops=True, stop_near_tie=True)) == Outcome(
        compared=3, agreed=3, near_ties=1
    )
    assert "where 'c' comes" in outcome(FakeRunner("ab"), golden("abc", stops=True)).difference


def test_a_first_space_may_be_missing() -> None:
    assert outcome(FakeRunner("ab"), golden(" ab")) == Outcome(compared=3, agreed=3)
    assert "where 'a' comes" in outcome(FakeRunner("b"), golden(" ab")).difference


def test_a_prompt_is_given_as_the_runtime_reads_it() -> None:
    runner = FakeRunner("abc")
    tokens = runner.tokens(PROMPT)
    assert run_prompt(runner, Prompt(texts=("<s>once", PROMPT), tokens=tokens, golden=golden("abc"))).compared == 3  # type: ignore[arg-type]
    fault = run_prompt(runner, Prompt(texts=("<s>once",), tokens=tokens, golden=golden("abc"))).fault  # type: ignore[arg-type]
    assert "reads '<s>once' as" in fault
