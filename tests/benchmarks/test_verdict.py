"""When the gate calls something slower: samples made up, with the noise of a busy machine."""

import numpy as np
import pytest

from benchmarks.gate import verdict
from benchmarks.gate.table import amount, markdown
from benchmarks.gate.verdict import Verdict, compare_figures, compare_times, confirm

LIMIT = verdict.TIME


def noisy_pairs(factor, seed, n=60, seconds=20e-3, spread=0.1):
    """Samples whose noise is mostly common to a pair, never makes faster, and has a long tail."""
    random = np.random.default_rng(seed)
    mood = 1 + random.exponential(0.5, n)
    own = 1 + random.exponential(spread, (2, n))
    base, head = seconds * mood * own
    return list(zip(base, factor * head, strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_the_same_code_raises_no_alarm(seed):
    line = compare_times("fit", noisy_pairs(1.0, seed), LIMIT)
    assert line.verdict is Verdict.SAME


@pytest.mark.parametrize("seed", range(10))
def test_ten_per_cent_are_found(seed):
    assert compare_times("fit", noisy_pairs(1.13, seed), LIMIT).verdict is Verdict.WORSE
    assert compare_times("fit", noisy_pairs(1 / 1.13, seed), LIMIT).verdict is Verdict.BETTER


def test_less_than_the_limit_is_no_news():
    line = compare_times("fit", noisy_pairs(1.03, seed=0, n=2000), LIMIT)
    assert line.verdict is Verdict.SAME


def test_less_than_the_floor_is_no_news():
    line = compare_times("fit", noisy_pairs(1.5, seed=0, seconds=1e-4), LIMIT)
    assert line.ratio > 1.3
    assert line.verdict is Verdict.SAME


def test_what_chance_explains_is_no_news():
    # A median far off, among samples that scatter to both sides.
    pairs = [(1.0, head) for head in [1.5] * 5 + [0.8] * 4]
    assert compare_times("fit", pairs, LIMIT).verdict is Verdict.SAME


def test_few_samples_must_all_agree():
    start = verdict.START
    assert compare_times("import", [(1.0, 1.4)] * 3, start).verdict is Verdict.WORSE
    mixed = [(1.0, 1.4), (1.0, 1.4), (1.0, 0.9)]
    assert compare_times("import", mixed, start).verdict is Verdict.SAME


def test_one_bad_run_is_told_but_does_not_fail():
    slow = compare_times("fit", noisy_pairs(1.3, seed=0), LIMIT)
    same = compare_times("fit", noisy_pairs(1.0, seed=1), LIMIT)
    assert confirm(slow, slow).verdict is Verdict.WORSE
    assert confirm(slow, same).verdict is Verdict.NOT_CONFIRMED


@pytest.mark.parametrize(
    ("base", "head", "limit", "expected"),
    [
        (1.0, 1.0, verdict.EXACT, Verdict.SAME),
        (1.0, 2.0, verdict.EXACT, Verdict.WORSE),
        (0.0, 1.0, verdict.EXACT, Verdict.WORSE),
        (12.0, 11.0, verdict.EXACT, Verdict.BETTER),
        (1000.0, 1009.0, verdict.INSTRUCTIONS, Verdict.SAME),
        (1000.0, 1011.0, verdict.INSTRUCTIONS, Verdict.WORSE),
        (170_000, 230_000, verdict.BYTES, Verdict.SAME),
        (170_000, 240_000, verdict.BYTES, Verdict.WORSE),
        (-3.25, -3.25 + 1e-12, verdict.ROUNDING, Verdict.SAME),
        (-3.25, -3.24, verdict.ROUNDING, Verdict.WORSE),
    ],
)
def test_figures(base, head, limit, expected):
    assert compare_figures("figure", base, head, limit, "passes").verdict is expected


def test_the_table_tells_first_what_is_worse():
    worse = compare_times("EM iterations", noisy_pairs(1.3, seed=0), LIMIT)
    lines = [
        compare_times("predict", noisy_pairs(1.0, seed=0), LIMIT),
        verdict.not_compared("new one", "s", "new"),
        confirm(worse, worse),
    ]
    text = markdown("v1", "HEAD", lines, ["2 cores."])
    assert "**1 of 2 worse**" in text
    shown, folded = text.split("<details>")
    assert "| EM iterations |" in shown
    assert "**worse**" in shown
    assert "again +" in shown
    assert "| predict |" in folded
    assert "| new one |" in folded
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {6}


def test_amounts_have_units():
    assert amount(0.0123, "s") == "12.3 ms"
    assert amount(2.5, "s") == "2.5 s"
    assert amount(3.2e6, "bytes") == "3.20 MB"
    assert amount(float("nan"), "s") == ""
