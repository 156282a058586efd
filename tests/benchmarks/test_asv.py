"""asv's settings and suite: pins, keys, and what asv would find."""

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from asv.config import Config
from asv_runner.benchmarks import benchmark_types
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import benchmarks.suite
from benchmarks.suite import comparison, em, fits, many, memory, problems, stored

ROOT = Path(__file__).parents[2]
SETTINGS = json.loads((ROOT / "asv.conf.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {canonicalize_name(name): versions for name, versions in SETTINGS["matrix"]["req"].items()}
OF_PIP = "pip+"  # asv's mark of requirements that do not enter an environment's name


def test_everything_is_pinned_to_one_version():
    for name, versions in PINS.items():
        assert len(versions) == 1, name
        Version(versions[0])


def test_pins_are_what_pyproject_allows():
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        (version,) = PINS[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, text


def test_pins_of_optional_packages_are_what_pyproject_allows():
    for text in PROJECT["optional-dependencies"]["batch"]:
        requirement = Requirement(text)
        for version in PINS.get(canonicalize_name(requirement.name), []):
            assert version in requirement.specifier, text


def requirements_of_pins():
    """What pinned packages require in turn; of those that are installed as they are pinned."""
    for name, (version,) in PINS.items():
        if not name.startswith(OF_PIP) and metadata.version(name) == version:
            for text in metadata.requires(name) or []:
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    yield name, requirement


def test_what_the_dependencies_need_is_pinned_too():
    # fastgmm is installed without its dependencies, and pip would take the newest of theirs.
    for name, requirement in requirements_of_pins():
        versions = PINS.get(canonicalize_name(requirement.name))
        assert versions, f"{name} needs {requirement}"
        assert versions[0] in requirement.specifier, f"{name} needs {requirement}"


def test_asv_itself_is_pinned():
    (asv,) = [
        Requirement(text)
        for text in PROJECT["optional-dependencies"]["bench"]
        if Requirement(text).name == "asv"
    ]
    assert re.fullmatch(r"==\d+\.\d+\.\d+", str(asv.specifier))
    assert "pip+asv-runner" in PINS


def test_asv_knows_every_key():
    # asv takes a misspelt key without a word. It looks for one that has no default (asv 0.6.6,
    # build_cache.py).
    assert set(SETTINGS) <= set(vars(Config())) | {"version", "build_cache_size"}


def test_a_benchmark_has_one_threshold():
    # Of several that match, asv takes the largest.
    for name in all_benchmarks():
        matching = [key for key in SETTINGS["regressions_thresholds"] if re.match(key, name)]
        assert len(matching) == 1, name


def test_the_suite_is_where_asv_looks():
    assert Path(benchmarks.suite.__file__).parent == ROOT / SETTINGS["benchmark_dir"]


def test_history_is_kept_where_asv_writes():
    kept = ROOT / SETTINGS["results_dir"]
    assert (kept / ".gitignore").is_file()


def benchmark_classes():
    for info in pkgutil.iter_modules(benchmarks.suite.__path__):
        module = importlib.import_module(f"benchmarks.suite.{info.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                methods = [m for m in dir(value) if any(t.name_regex.match(m) for t in TYPES)]
                if methods:
                    yield f"{info.name}.{name}", value, methods


TYPES = benchmark_types
CLASSES = list(benchmark_classes())


def all_benchmarks():
    return [f"{name}.{method}" for name, _, methods in CLASSES for method in methods]


def test_every_asked_for_figure_has_a_benchmark():
    assert sorted(all_benchmarks()) == [
        "comparison.BayesianToScikitLearn.track_time_ratio",
        "comparison.Iterations.track_iterations",
        "comparison.Likelihood.track_gap_to_scikit_learn",
        "comparison.ToScikitLearn.track_time_ratio",
        "em.BayesianEMIterations.time_five_iterations",
        "em.EMIterations.time_five_iterations",
        "em.ManyComponents.time_five_iterations",
        "em.WeightedEMIterations.time_five_iterations",
        "fits.DefaultFit.time_fit",
        "fits.KMeansStart.time_start",
        "fits.Predictions.time_predict",
        "many.FitMany.time_fit",
        "many.Lockstep.time_ten_iterations",
        "memory.PeakMemory.track_peak_beyond_rows",
        "startup.FirstFit.track_first_fit",
        "startup.Import.timeraw_import_fastgmm",
        "stored.StoredRows.time_five_iterations",
    ]


@pytest.mark.parametrize(("name", "cls", "methods"), CLASSES, ids=[c[0] for c in CLASSES])
def test_a_benchmark_keeps_its_history_when_its_code_changes(name, cls, methods):
    assert cls.version
    assert len(getattr(cls, "params", ())) == len(getattr(cls, "param_names", ()))


def test_the_suite_imports_without_fastgmm():
    # asv imports it for every commit, also for one whose package does not import.
    modules = [info.name for info in pkgutil.iter_modules(benchmarks.suite.__path__)]
    imports = "; ".join(f"import suite.{name}" for name in modules)
    code = f"import sys; sys.modules['fastgmm'] = None; {imports}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", check=True)


@pytest.mark.parametrize("structure", problems.STRUCTURES)
def test_rows_are_drawn_from_the_parameters_that_iterations_start_from(structure):
    # Near its end EM hardly moves: what benchmarks rely on when they call that the usual state.
    shape = "40000x2x8"
    arguments = problems.from_truth(shape, structure, iterations=1)
    with problems.quietly():
        model = problems.mixture(1, **arguments).fit(problems.rows(shape))
    assert abs(model.means_ - arguments["means_init"]).max() < 0.3


def run_once(benchmark, method, *parameters):
    def around(name):
        getattr(benchmark, name, lambda *_: None)(*parameters)

    for _ in range(2):  # asv does so for every sample
        around("setup")
        result = getattr(benchmark, method)(*parameters)
        around("teardown")
    return result


def test_benchmarks_run():
    small = "5000x8x8"
    run_once(em.EMIterations(), "time_five_iterations", "full", "float32", small, 1)
    run_once(em.WeightedEMIterations(), "time_five_iterations", "diag", 1)
    run_once(em.BayesianEMIterations(), "time_five_iterations", "full", 2)
    run_once(stored.StoredRows(), "time_five_iterations", "npy", 1)
    run_once(stored.StoredRows(), "time_five_iterations", "parquet", 1)
    run_once(fits.DefaultFit(), "time_fit", "iris", 1)
    run_once(fits.KMeansStart(), "time_start", problems.CENTRE, 1)
    run_once(fits.Predictions(), "time_predict", "predict", "tied", 1)
    run_once(many.FitMany(), "time_fit", many.SETS, "GaussianMixture", 1)
    run_once(many.Lockstep(), "time_ten_iterations", "spherical", "float64")
    ratio = run_once(comparison.ToScikitLearn(), "track_time_ratio", "full", problems.CENTRE)
    assert 0 < ratio < 1
    assert run_once(comparison.Iterations(), "track_iterations", "full", "iris") > 1
    gap = run_once(comparison.Likelihood(), "track_gap_to_scikit_learn", "full", "iris")
    assert 0 <= gap < 1e-6
    if memory.STATUS.exists():
        extra = run_once(memory.PeakMemory(), "track_peak_beyond_rows", "kmeans", "100000x8x8")
        assert 0 < extra < 20e6
    else:
        with pytest.raises(NotImplementedError):
            memory.PeakMemory().setup("kmeans", "100000x8x8")


def test_a_machine_with_too_few_cores_leaves_benchmarks_out(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with pytest.raises(NotImplementedError):
        em.EMIterations().setup("full", "float64", problems.CENTRE, 2)
