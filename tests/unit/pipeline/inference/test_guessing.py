from __future__ import annotations

from pipeline.inference.guessing import Guesser


def test_what_stood_behind_the_same_two_tokens_is_guessed() -> None:
    assert Guesser([1, 2, 3, 4, 9, 1, 2]).guess(3) == [3, 4, 9]
    assert Guesser([1, 2, 3, 1, 2, 4, 1, 2]).guess(2) == [4, 1]  # the latest place counts


def test_else_what_stood_behind_the_last_one() -> None:
    assert Guesser([1, 2, 3, 9, 2]).guess(2) == [3, 9]
    assert Guesser([1, 2, 3, 9, 2, 5, 1, 2]).guess(1) == [3], "two tokens say more than one"


def test_a_text_without_repetition_gives_no_guess() -> None:
    assert Guesser([1, 2, 3, 4]).guess(7) == []
    assert Guesser([1]).guess(7) == []
    assert Guesser([]).guess(7) == []


def test_what_repeats_goes_on_repeating() -> None:
    assert Guesser([7, 7, 7]).guess(5) == [7] * 5
    assert Guesser([1, 2, 3, 1, 2]).guess(7) == [3, 1, 2, 3, 1, 2, 3]
    assert Guesser([7, 7, 7]).guess(0) == []


def test_guesses_end_where_they_seldom_hold_and_begin_again_where_they_do() -> None:
    guesser = Guesser([])
    for place in range(20):
        guesser.append(7)
        guesser.append(100 + place)  # another one each time
    guesser.append(7)
    assert guesser.guess(3) == []
    for _ in range(8):
        guesser.append(7)
    assert guesser.guess(3) == [7, 7, 7]
    for place in range(40):
        guesser.append(200 + place % 2)
    assert guesser.guess(2) == [200, 201]


def test_the_two_kinds_of_guesses_are_judged_apart() -> None:
    guesser = Guesser([])
    fresh = iter(range(100, 1000))
    for _ in range(12):
        # Behind 1, 2 always comes 3; behind 2 alone mostly something else.
        for token in (1, 2, 3, *(token for _ in range(8) for token in (next(fresh), 2)), next(fresh)):
            guesser.append(token)
    guesser.append(1)
    guesser.append(2)
    assert guesser.guess(1) == [3]
    guesser.append(99)
    guesser.append(2)
    assert guesser.guess(1) == []
