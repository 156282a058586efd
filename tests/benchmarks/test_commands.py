"""The comparisons: what each says of itself, its table, and figures that a small run arrives at."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import command, many
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
    "iteration": "--shapes 5e3,3,2 --repeats 2 --iterations 1 3 --threads 1",
    "calls": "--shapes 5e3,3,2 --structures --repeats 1 --threads 1",
    "few_rows": "--rows 1 --components 2 --features 3 --structures full --seconds 0.01",
    "missing": "--shape 3e3,4,2 --repeats 1 --numpy-repeats 1 --iterations 1 2",
    "noise": "--shapes 3e3,4,2 --structures full --repeats 1 --iterations 1 2",
    "structures": "--shapes 3e3,4,2 --structures diag VVI EEE --repeats 1 --iterations 1 2",
    "acceleration": "--only iris",
    "memory": "--shape 1e4,4,3",
    "many": "",
}


def records(name, capsys):
    import_module(f"benchmarks.{name}").main([*SMALL[name].split(), "--json"])
    return json.loads(capsys.readouterr().out)["records"]


def test_libraries_arrive_at_the_same_means(capsys):
    (iteration,) = records("iteration", capsys)
    assert iteration["means differ by"] < 1e-10
    assert [len(samples) for samples in iteration["samples"]] == [2, 2]
    fit, _ = records("calls", capsys)
    assert fit["means differ by"] < 1e-6
    assert fit["times faster"] > 0


def test_missing_values_are_fitted_as_numpy_does(capsys):
    complete, few, many = records("missing", capsys)
    assert complete["NumPy, ms"] is None
    assert few["patterns"] == 8
    assert max(each["means differ by"] for each in (few, many)) < 1e-10


def test_an_iteration_with_noise_stands_beside_one_without(capsys):
    (record,) = records("noise", capsys)
    assert record["ratio"] == pytest.approx(record["with noise, ms"] / record["ms"])


def test_every_structure_stands_beside_one_that_reads_rows_alike(capsys):
    found = {each["structure"]: each["beside"] for each in records("structures", capsys)}
    assert found == {"diag": "diag", "VVI": "diag", "EEE": "tied"}


def test_accelerated_em_takes_fewer_passes(capsys):
    problem, *_ = records("acceleration", capsys)
    passes = [int(problem[name].split("/")[1]) for name in ("EM", "SQUAREM")]
    assert passes[1] < passes[0]


def test_predictions_of_few_rows(capsys):
    *cases, summary = records("few_rows", capsys)
    assert summary["cases"] == len(cases) == 6
    assert summary["least"] == min(each["times faster"] for each in cases)


def test_many_mixtures_have_the_means_of_single_ones(capsys, monkeypatch):
    job = many.Job(6, 6, 2, 200, 2, "GaussianMixture", {"n_components": 3})
    monkeypatch.setattr(many, "jobs", lambda asked: [job])
    *ways, summary = records("many", capsys)
    assert all(way["ms per set"] > 0 for way in ways)
    assert summary["means differ by at most"] < 1e-6


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
