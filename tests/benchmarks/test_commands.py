"""The comparisons: what each says of itself, its table, and figures that a small run arrives at."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import command, compare
from tests.benchmarks import run
from tests.systems import linux_only

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").glob("**/*.py")
    if 'if __name__ == "__main__":' in path.read_text() and "worker" not in path.stem
)


@pytest.mark.parametrize("module", COMMANDS)
def test_help_says_at_first_what_a_command_does(module):
    code, told, _ = run(import_module(module).main, "--help")
    assert code == 0
    usage, first, *_ = (line.strip() for line in told.splitlines() if line.strip())
    assert "usage: " in usage.lower()
    assert len(first.split()) > 4, first
    assert "python -m" not in first


SMALL = {
    "compare": "--shapes 3e3,4,2 --repeats 2 --iterations 1 3",
    "acceleration": "--only iris",
    "memory": "--shape 1e4,4,3",
}


def records(name, capsys, *more):
    import_module(f"benchmarks.{name}").main([*more, *SMALL[name].split(), "--json"])
    return json.loads(capsys.readouterr().out)["records"]


@pytest.mark.parametrize(
    ("what", "select", "beside", "tolerance"),
    [
        ("iterations", "full, float64", "scikit-learn", 1e-10),
        ("predictions", "predict_proba, tied, float64", "scikit-learn", 1e-10),
        ("few_rows", "predict, diag, float32, 20x8x5$", "scikit-learn", 0.0),
        ("fits", "spherical", "scikit-learn", 1e-6),
        ("small_fits", "diag", "scikit-learn", 1e-6),
        ("selection", "", "scikit-learn", 1e-3),
        ("many", "Gaussian", "scikit-learn", 1e-6),
        ("structures", "VVI", "diag", 1.0),
        ("structures", "EEE", "tied", 1.0),
        ("noise", "full", "without", 1.0),
        ("missing", "tied, 10 %", "complete", 1.0),
        ("numpy", "8 patterns", "NumPy", 1e-10),
    ],
)
def test_both_arrive_at_the_same(what, select, beside, tolerance, capsys, monkeypatch):
    monkeypatch.setattr(compare, "SEARCHED", range(1, 4))
    monkeypatch.setattr(compare, "SETTLED", 1)  # the fiftieth compiles
    monkeypatch.setattr(compare, "gemm_rate", lambda dtype: 1.0)
    case, *summary = records("compare", capsys, what, "--select", select)
    assert case["beside"] == beside
    assert case["differ by"] <= tolerance
    assert [len(samples) for samples in case["samples"]] == [2, 2]
    if case["ratio"] > 0:  # iterations of so few rows can come out as nothing
        assert summary[0][f"{what}, cases"] == 1


def test_every_comparison_has_cases():
    assert all(next(compare.cases(what, ())) for what in compare.WHAT)


def test_accelerated_em_takes_fewer_passes(capsys):
    problem, *_ = records("acceleration", capsys)
    passes = [int(problem[name].split("/")[1]) for name in ("EM", "SQUAREM")]
    assert passes[1] < passes[0]


@linux_only
def test_memory_of_both_starts(capsys):
    found = records("memory", capsys)
    assert [each["start"] for each in found] == ["random_from_data", "kmeans"]
    assert all(0 < each["MB beyond X"] < 100 for each in found)


def test_a_table_goes_on_while_headings_stay(capsys):
    table = command.Table()
    for record in ({"a": "x", "b": 0.012345}, {"a": "y|z", "b": 12345.6}, {"c": None, "d": [1]}):
        table.print(record)
    assert [line.replace(" ", "") for line in capsys.readouterr().out.splitlines()] == [
        "|a|b|",
        "|" + 26 * "-" + "|" + 7 * "-" + ":|",
        "|x|0.0123|",
        "|y/z|12346|",
        "",
        "|c|",
        "|" + 26 * "-" + "|",
        "||",
    ]


@pytest.mark.parametrize("name", ["batch_job", "cluster_job"])
def test_a_folder_with_other_files_is_not_removed(name, tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "notes.txt").touch()
    code, _, _ = run(import_module(f"benchmarks.{name}").main, "--directory", tmp_path)
    assert "holds other files" in code
    assert (tmp_path / "notes.txt").exists()
