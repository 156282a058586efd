"""Figures that a commit makes worse on purpose."""

from pathlib import Path

import pytest

from benchmarks.gate import GateError
from benchmarks.gate.accepted import FILE, Acceptance, accept, parse
from benchmarks.gate.verdict import EXACT, Verdict, compare_figures

READ = Acceptance("read passes: .*", 2.0, "a second look")


def line(ratio, name="read passes: full"):
    return compare_figures(name, 1.0, ratio, EXACT, "passes")


def test_an_entry_of_head_alone_counts():
    accepted = accept(line(2.0), [], [READ])
    assert accepted.verdict is Verdict.ACCEPTED
    assert accepted.note == "a second look"


def test_an_entry_that_base_has_already_is_history():
    assert accept(line(2.0), [READ], [READ]).verdict is Verdict.WORSE


def test_an_entry_covers_what_it_says_and_no_more():
    assert accept(line(2.1), [], [READ]).verdict is Verdict.WORSE
    assert accept(line(2.0, "all read passes: full"), [], [READ]).verdict is Verdict.WORSE
    assert accept(line(1.0), [], [READ]).verdict is Verdict.SAME


def test_the_kept_file_is_valid():
    path = Path(__file__).parents[2] / FILE
    for entry in parse(path.read_text(), FILE):
        assert len(entry.reason) > 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[accepted]", "line 1"),
        ("accepted = 3", "accepted"),
        ("[[accepted]]\nfigure = 'x'", "entry 1: .*at_most"),
        ("[[accepted]]\nfigure = '('\nat_most = 2.0\nreason = 'r'", "entry 1"),
        ("[[accepted]]\nfigure = 'x'\nat_most = 2.0\nreason = ' '", "a reason"),
        ("[[accepted]]\nfigure = 'x'\nat_most = 0.5\nreason = 'r'", "at_most above 1"),
        ("[[accepted]]\nfigure = 'x'\nat_most = 'much'\nreason = 'r'", "entry 1"),
        ("[[accepted]]\nfigure = 'x'\nat_most = 2\nreason = 'r'\nuntil = 1", "until"),
    ],
)
def test_a_damaged_file_is_told(text, message):
    with pytest.raises(GateError, match=f"here.*{message}"):
        parse(text, "here")
