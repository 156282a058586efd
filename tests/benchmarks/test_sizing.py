"""The script that sizes jobs: its formula, and that it runs."""

import json

import numpy as np
import pytest

from benchmarks import sizing


def test_coefficients_come_out_of_times_that_follow_them():
    features = np.array([2, 4, 8, 16, 32, 64])
    times = sizing.nanoseconds(np.array([1.0, 0.1, 0.03]), features)
    np.testing.assert_allclose(sizing.fitted(features, times, 3), [1.0, 0.1, 0.03], rtol=1e-8)
    # A large figure that is off by a tenth counts no more than a small one that is.
    times[-1] *= 1.1
    near = sizing.nanoseconds(sizing.fitted(features, times, 3), features)
    np.testing.assert_allclose(near, times, rtol=0.1)


def test_it_measures_and_prints(monkeypatch, capsys):
    monkeypatch.setattr(sizing, "SHAPES", ((4000, 2, 4), (4000, 4, 4), (4000, 8, 4)))
    monkeypatch.setattr(sizing, "MEMORY_SHAPES", ((1000, 2, 2),))
    monkeypatch.setattr(sizing, "in_new_process", lambda *_: 3_000_000)
    sizing.main(["--repeats", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["memory"] == [3_000_000]
    assert [len(one["measured"]) for one in found["times"].values()] == [3, 3]
    sizing.main(["--repeats", "1"])
    printed = capsys.readouterr().out
    assert "| 4,000, 8, 4 |" in printed
    assert "| 1,000, 2, 2 | 0 MB | 3 MB |" in printed


def test_help_says_what_it_does(capsys):
    with pytest.raises(SystemExit):
        sizing.main(["--help"])
    assert "Measures the time of an EM iteration" in capsys.readouterr().out
