from __future__ import annotations

from pipeline.inference.drafting import PromptLookupDrafter


def test_what_stood_behind_the_same_two_tokens_is_guessed() -> None:
    assert PromptLookupDrafter([1, 2, 3, 4, 9, 1, 2]).draft(3) == [3, 4, 9]
    assert PromptLookupDrafter([1, 2, 3, 1, 2, 4, 1, 2]).draft(2) == [4, 1]  # the latest place counts


def test_else_what_stood_behind_the_last_one() -> None:
    assert PromptLookupDrafter([1, 2, 3, 9, 2]).draft(2) == [3, 9]
    assert PromptLookupDrafter([1, 2, 3, 9, 2, 5, 1, 2]).draft(1) == [3], "two tokens say more than one"


def test_a_text_without_repetition_gives_no_guess() -> None:
    assert PromptLookupDrafter([1, 2, 3, 4]).draft(7) == []
    assert PromptLookupDrafter([1]).draft(7) == []
    assert PromptLookupDrafter([]).draft(7) == []


def test_what_repeats_goes_on_repeating() -> None:
    assert PromptLookupDrafter([7, 7, 7]).draft(5) == [7] * 5
    assert PromptLookupDrafter([1, 2, 3, 1, 2]).draft(7) == [3, 1, 2, 3, 1, 2, 3]
    assert PromptLookupDrafter([7, 7, 7]).draft(0) == []


def test_guesses_end_where_they_seldom_hold_and_begin_again_where_they_do() -> None:
    drafter = PromptLookupDrafter([])
    for place in range(20):
        drafter.append(7)
        drafter.append(100 + place)  # another one each time
    drafter.append(7)
    assert drafter.draft(3) == []
    for _ in range(8):
        drafter.append(7)
    assert drafter.draft(3) == [7, 7, 7]
    for place in range(40):
        drafter.append(200 + place % 2)
    assert drafter.draft(2) == [200, 201]


def test_the_two_kinds_of_guesses_are_judged_apart() -> None:
    drafter = PromptLookupDrafter([])
    fresh = iter(range(100, 1000))
    for _ in range(12):
        # Behind 1, 2 always comes 3; behind 2 alone mostly something else.
        for token in (1, 2, 3, *(token for _ in range(8) for token in (next(fresh), 2)), next(fresh)):
            drafter.append(token)
    drafter.append(1)
    drafter.append(2)
    assert drafter.draft(1) == [3]
    drafter.append(99)
    drafter.append(2)
    assert drafter.draft(1) == []
