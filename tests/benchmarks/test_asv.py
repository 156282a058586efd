"""asv's settings and suite: pins, keys, and what asv would find."""

import gc
import json
import pkgutil
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from asv.config import Config
from asv_runner import discovery
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from benchmarks import suite
from benchmarks.suite import benchmarks
from benchmarks.suite.calls import em_iterations, public, stored_rows
from benchmarks.suite.clock import quietly
from benchmarks.suite.memory import STATUS, peak_memory
from benchmarks.suite.problems import CENTRE, STRUCTURES, Problem
from benchmarks.suite.timings import COLUMNS, SUITE
from tests import fresh

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
    for name in SUITE:
        matching = [key for key in SETTINGS["regressions_thresholds"] if re.match(key, name)]
        assert len(matching) == 1, name


def test_the_suite_is_where_asv_looks():
    assert Path(suite.__file__).parent == ROOT / SETTINGS["benchmark_dir"]


def test_history_is_kept_where_asv_writes():
    kept = ROOT / SETTINGS["results_dir"]
    assert (kept / ".gitignore").is_file()


def found_by_asv():
    """Benchmarks by name, as asv finds them."""
    found = discovery.disc_benchmarks(str(ROOT / SETTINGS["benchmark_dir"]))
    return {benchmark.name: benchmark for benchmark in found if benchmark}


def test_asv_finds_what_the_list_has(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    found = found_by_asv()
    assert list(found) == list(SUITE)
    for name, benchmark in found.items():
        axes = SUITE[name].axes
        assert benchmark.param_names == list(axes)
        assert benchmark.params == [list(map(repr, values)) for values in axes.values()]
        assert benchmark.version == SUITE[name].version
        assert benchmark.unit == SUITE[name].unit


def test_every_benchmark_has_a_history():
    # One of another name loses it: what is renamed here is renamed there.
    kept = json.loads((ROOT / SETTINGS["results_dir"] / "benchmarks.json").read_text())
    assert sorted(SUITE) == sorted(set(kept) - {"version"})


def test_the_suite_imports_without_fastgmm():
    # asv imports it for every commit, also for one whose package does not import.
    modules = [info.name for info in pkgutil.iter_modules(suite.__path__)]
    imports = "; ".join(f"import suite.{name}" for name in modules)
    code = f"import sys; sys.modules['fastgmm'] = None; {imports}"
    fresh.run(code, cwd=ROOT / "benchmarks", check=True)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_rows_are_drawn_from_the_parameters_that_iterations_start_from(structure):
    # Near its end EM hardly moves: what benchmarks rely on when they call that the usual state.
    problem = {"shape": "40000x2x8", "covariance_type": structure}
    with quietly():
        model = em_iterations(iterations=1, **problem)()
    assert abs(model.means_ - Problem(**problem).arguments["means_init"]).max() < 0.3


def run_once(name, **parameters):
    """The figure of a benchmark, or what its timed call returns, as asv runs it."""
    cls = getattr(benchmarks, name.split(".")[1])
    assert parameters.keys() == SUITE[name].axes.keys()
    benchmark = cls()
    for _ in range(2):  # asv does so for every sample
        benchmark.setup(*parameters.values())
        result = getattr(benchmark, name.split(".")[2])(*parameters.values())
        benchmark.teardown(*parameters.values())
    return result


SMALL = {"covariance_type": "full", "dtype": "float32", "shape": "5000x8x8", "threads": 1}
FEW = {
    "em.EMIterations.time_five_iterations": SMALL,
    "em.WeightedEMIterations.time_five_iterations": {"covariance_type": "diag", "threads": 1},
    "em.BayesianEMIterations.time_five_iterations": {"covariance_type": "full", "threads": 2},
    "em.ManyComponents.time_five_iterations": {
        "covariance_type": "spherical",
        "components": 64,
        "threads": 1,
    },
    "stored.StoredRows.time_five_iterations": {"format": "parquet", "threads": 1},
    "many.FitMany.time_fit": {"sets": COLUMNS, "estimator": "GaussianMixture", "threads": 1},
    "many.Lockstep.time_ten_iterations": {"covariance_type": "spherical", "dtype": "float64"},
    "fits.DefaultFit.time_fit": {"data": "iris", "threads": 1},
    "fits.KMeansStart.time_start": {"shape": CENTRE, "threads": 1},
    "fits.Predictions.time_predict": {
        "method": "predict",
        "covariance_type": "tied",
        "threads": 1,
    },
    "comparison.ToScikitLearn.track_time_ratio": {"covariance_type": "full", "shape": CENTRE},
    "comparison.BayesianToScikitLearn.track_time_ratio": {
        "covariance_type": "diag",
        "shape": CENTRE,
    },
    "comparison.Iterations.track_iterations": {"covariance_type": "full", "data": "iris"},
    "comparison.Likelihood.track_gap_to_scikit_learn": {"covariance_type": "full", "data": "iris"},
    "startup.Import.timeraw_import_fastgmm": {},
}
LIMITS = {
    "comparison.ToScikitLearn.track_time_ratio": (0, 1),
    "comparison.BayesianToScikitLearn.track_time_ratio": (0, 1),
    "comparison.Iterations.track_iterations": (1, 100),
    "comparison.Likelihood.track_gap_to_scikit_learn": (-1e-12, 1e-6),
}


@pytest.mark.parametrize("name", FEW)
def test_benchmarks_run(name):
    result = run_once(name, **FEW[name])
    if name in LIMITS:
        least, most = LIMITS[name]
        assert least < result < most


def test_every_benchmark_is_run():
    # Memory is asked for below, and the first fit of all compiles, which other tests do.
    others = {"memory.PeakMemory.track_peak_beyond_rows", "startup.FirstFit.track_first_fit"}
    assert FEW.keys() | others == SUITE.keys()


def test_a_file_of_rows_goes_with_its_call(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    call = stored_rows(format="npy")
    assert list(tmp_path.glob("*/rows.npy"))
    del call
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_peak_memory():
    parameters = {"init_params": "kmeans", "shape": "100000x8x8"}
    if STATUS.exists():
        assert 0 < run_once("memory.PeakMemory.track_peak_beyond_rows", **parameters) < 20e6
    else:
        with pytest.raises(NotImplementedError):
            peak_memory(**parameters)


def test_a_machine_with_too_few_cores_leaves_benchmarks_out(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with pytest.raises(NotImplementedError):
        em_iterations(threads=2)


def test_an_older_commit_leaves_benchmarks_out():
    with pytest.raises(NotImplementedError, match="fit_more is not in this commit"):
        public("fit_more")
