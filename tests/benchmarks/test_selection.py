"""The benchmark of searches, on few rows."""

import json

from benchmarks import selection


def test_both_sides_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(selection, "SHAPES", {"small": (60, 2)})
    monkeypatch.setattr(selection, "NUMBERS", range(1, 3))
    selection.main(["--shapes", "small", "--repeats", "1", "--threads", "1", "--cpu", "--json"])
    (result,) = json.loads(capsys.readouterr().out)["records"]
    assert result["rows x features"] == "60x2"
    assert result["least BIC of fastgmm"] <= result["least BIC of scikit-learn"] + 1
    assert result["times faster"] > 0
    selection.main(["--shapes", "small", "--repeats", "1", "--threads", "1", "--cpu"])
    assert "times faster" in capsys.readouterr().out
