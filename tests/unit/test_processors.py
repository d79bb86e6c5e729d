"""What `scripts/processors` runs is there, and its rows are told apart."""

from tests import processors


def test_every_named_test_exists() -> None:
    missing = [name for name in (*processors.NUMBERS, *processors.EMULATED) if not (processors.ROOT / name).exists()]
    assert not missing


def test_emulation_runs_part_of_what_this_machine_runs() -> None:
    assert set(processors.EMULATED) < set(processors.NUMBERS)
    assert len({row.name for row in processors.PROCESSORS}) == len(processors.PROCESSORS)
