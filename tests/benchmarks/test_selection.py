"""The benchmark of searches, on few rows."""

import json

from benchmarks import selection


def test_both_sides_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(selection, "SHAPES", {"small": (60, 2)})
    monkeypatch.setattr(selection, "NUMBERS", range(1, 3))
    monkeypatch.setattr(selection, "restart_without_unfair_variables", lambda module: None)
    selection.main(["--shapes", "small", "--repeats", "1", "--threads", "1", "--cpu", "--json"])
    (result,) = json.loads(capsys.readouterr().out)
    assert result["shape"] == [60, 2]
    best = result["best_bic"]
    assert best["fastgmm"] <= best["scikit_learn"] + 1
    assert result["ratio"] > 0
    selection.main(["--shapes", "small", "--repeats", "1", "--threads", "1", "--cpu"])
    assert "times as fast" in capsys.readouterr().out
