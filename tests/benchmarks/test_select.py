"""The benchmark of searches, on few rows."""

import json

from benchmarks import select


def test_both_sides_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(select, "SHAPES", {"small": (60, 2)})
    monkeypatch.setattr(select, "NUMBERS", range(1, 3))
    monkeypatch.setattr(select, "restart_without_unfair_variables", lambda module: None)
    select.main(["--shapes", "small", "--repeats", "1", "--threads", "1", "--cpu", "--json"])
    (result,) = json.loads(capsys.readouterr().out)
    assert result["shape"] == [60, 2]
    best = result["best_bic"]
    assert best["fastgmm"] <= best["scikit_learn"] + 1
    assert result["ratio"] > 0
    select.main(["--shapes", "small", "--repeats", "1", "--threads", "1", "--cpu"])
    assert "times as fast" in capsys.readouterr().out
