from __future__ import annotations

from worker.inference.guessing import FIRST_PAUSE, LONGEST_PAUSE, Guesser


def test_what_stood_behind_the_same_two_tokens_is_guessed() -> None:
    assert Guesser([1, 2, 3, 4, 9, 1, 2]).guess(3) == [3, 4, 9]
    assert Guesser([1, 2, 3, 1, 2, 4, 1, 2]).guess(2) == [4, 1]  # the latest place counts


def test_a_text_without_repetition_gives_no_guess() -> None:
    assert Guesser([1, 2, 3, 4]).guess(7) == []
    assert Guesser([1, 2, 3, 1, 4]).guess(7) == []
    assert Guesser([1]).guess(7) == []


def test_what_repeats_goes_on_repeating() -> None:
    assert Guesser([7, 7, 7]).guess(5) == [7] * 5
    assert Guesser([1, 2, 3, 1, 2]).guess(7) == [3, 1, 2, 3, 1, 2, 3]
    assert Guesser([7, 7, 7]).guess(0) == []


def test_wrong_guesses_are_followed_by_longer_and_longer_pauses() -> None:
    guesser = Guesser([7, 7, 7])
    pauses = []
    for _ in range(8):
        assert guesser.guess(2)
        guesser.judge(2, 0)
        waited = 0
        while not guesser.guess(2):
            guesser.append(7)
            waited += 1
        pauses.append(waited)
    assert pauses[:2] == [FIRST_PAUSE, 2 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    guesser.judge(2, 1)
    guesser.judge(2, 0)
    for _ in range(FIRST_PAUSE):
        guesser.append(7)
    assert guesser.guess(2) == [7, 7]


def test_no_guess_is_no_failure() -> None:
    guesser = Guesser([7, 7, 7])
    guesser.judge(0, 0)
    assert guesser.guess(1) == [7]
