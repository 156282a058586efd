"""scikit-learn's names lead to fastgmm's classes, and back; each test in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn import mixture

from fastgmm import BayesianGaussianMixture, GaussianMixture
from tests import datasets, fresh
from tests.systems import START_METHOD

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
X = datasets.load("iris").X


def run(*arguments, expect=0, cwd=ROOT):
    """What Python prints."""
    finished = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == expect, finished.stderr
    return finished.stdout + finished.stderr


def check(code, folder=ROOT):
    """Run code in a process of its own, which has imported scikit-learn."""
    fresh.run(code, cwd=folder, env=ENVIRONMENT, check=True)


def test_names_are_replaced_and_put_back():
    check(
        """if True:
        import sklearn.mixture
        from sklearn import mixture
        from sklearn.mixture import BayesianGaussianMixture as Early, GaussianMixture
        originals = Early, GaussianMixture
        import fastgmm
        fastgmm.patch_sklearn()
        fastgmm.patch_sklearn()
        for place in (sklearn.mixture, mixture):
            assert place.GaussianMixture is GaussianMixture is fastgmm.GaussianMixture
            assert place.BayesianGaussianMixture is Early is fastgmm.BayesianGaussianMixture
        from sklearn.mixture import GaussianMixture as Late
        assert Late is fastgmm.GaussianMixture and issubclass(Late, originals[1])
        assert Late(2).to_sklearn().__class__ is originals[1]
        fastgmm.unpatch_sklearn()
        assert (Early, GaussianMixture) == originals
        assert sklearn.mixture.GaussianMixture is originals[1]
        assert fastgmm.GaussianMixture is Late is not originals[1]
        fastgmm.unpatch_sklearn()
        """,
    )


def test_models_and_their_pickles():
    check(
        """if True:
        import pickle, fastgmm, numpy as np
        from sklearn.mixture import GaussianMixture
        X = np.random.RandomState(0).standard_normal((50, 2))
        old = GaussianMixture(random_state=0).fit(X)
        bytes_of_old = pickle.dumps(old)
        fastgmm.patch_sklearn()
        for saved in (pickle.dumps(old), bytes_of_old):
            assert type(pickle.loads(saved)) is type(old) is not GaussianMixture
        new = GaussianMixture(random_state=0).fit(X)
        assert type(pickle.loads(pickle.dumps(new))) is fastgmm.GaussianMixture
        assert np.allclose(new.score_samples(X), old.score_samples(X))
        """,
    )


def test_what_is_not_supported_is_left_to_scikit_learn():
    check(
        """if True:
        import fastgmm, numpy as np, sklearn
        fastgmm.patch_sklearn()
        from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
        X = np.random.RandomState(0).standard_normal((50, 2))
        for parent in (BayesianGaussianMixture, GaussianMixture):
            steps = []
            class Watched(parent):
                def _m_step(self, X, log_resp, **others):
                    steps.append(log_resp.shape)
                    super()._m_step(X, log_resp, **others)
            model = Watched(n_components=2, random_state=0, max_iter=500).fit(X)
            assert steps == [(50, 2)] * model.n_iter_
            assert np.allclose(model.means_, parent(n_components=2, random_state=0, max_iter=500).fit(X).means_)
            class Renamed(parent):
                pass
            Renamed(n_components=2, max_iter=500).fit(X, sample_weight=np.ones(50))
            try:
                model.fit(X, sample_weight=np.ones(50))
            except NotImplementedError as error:
                assert "overrides _m_step" in str(error)
            else:
                raise AssertionError
        """,  # noqa: E501
    )


def test_modules_with_subclasses_are_left_alone(tmp_path):
    """Their classes may call the parent by its name, which must then be the parent."""
    (tmp_path / "subclasses.py").write_text("""if True:
        from sklearn.mixture import GaussianMixture
        class Old(GaussianMixture):
            def __init__(self, n_components=1, random_state=None):
                super(Old, self).__init__(n_components, random_state=random_state)
            def fit(self, X, y=None):
                assert isinstance(self, GaussianMixture)
                return GaussianMixture.fit(self, X, y)
        """)
    (tmp_path / "none.py").write_text("from sklearn.mixture import GaussianMixture")
    check(
        """if True:
        import numpy as np, sys
        sys.path.insert(0, "")
        import subclasses, none, fastgmm
        originals = [none.GaussianMixture]
        fastgmm.patch_sklearn()
        assert none.GaussianMixture is fastgmm.GaussianMixture
        assert subclasses.GaussianMixture is originals[0]
        X = np.random.RandomState(0).standard_normal((50, 2))
        assert subclasses.Old(2, random_state=0).fit(X).means_.shape == (2, 2)
        """,
        folder=tmp_path,
    )


WHAT_IT_IS = """
import sys
import beside
print(__name__, sys.argv[1:], __file__)
sys.exit(3)
"""
SCRIPT = f"""
from sklearn.datasets import load_iris
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
X = load_iris().data
for cls in (GaussianMixture, BayesianGaussianMixture):
    model = cls(n_components=2, random_state=0, max_iter=300).fit(X)
    print(cls.__module__, repr(float(model.score(X))))
{WHAT_IT_IS}"""


def test_scripts_and_modules(tmp_path):
    script = tmp_path / "some_script.py"
    (tmp_path / "beside.py").write_text("")
    script.write_text(WHAT_IT_IS)
    expected = run(script, "--flag", "x", expect=3, cwd=tmp_path)
    script.write_text(SCRIPT)
    theirs = (mixture.GaussianMixture, mixture.BayesianGaussianMixture)
    scores = [cls(n_components=2, random_state=0, max_iter=300).fit(X).score(X) for cls in theirs]
    for command in ([script], ["-m", "some_script"]):
        printed = run("-m", "fastgmm", *command, "--flag", "x", expect=3, cwd=tmp_path)
        *fits, what_it_is = printed.splitlines(keepends=True)
        modules = [line.split()[0] for line in fits]
        assert modules == [GaussianMixture.__module__, BayesianGaussianMixture.__module__]
        assert [float(line.split()[1]) for line in fits] == pytest.approx(scores, rel=1e-8)
        assert what_it_is == expected


WITH_PROCESSES = """
import multiprocessing, pickle, sys
from sklearn.mixture import GaussianMixture
class Mine(GaussianMixture):
    pass
def class_of(model):
    return type(model)
if __name__ == "__main__":
    model = pickle.loads(pickle.dumps(Mine(3)))
    for method in sys.argv[1:]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply_async(class_of, [model]).get(60) is Mine
    print(model)
"""


@pytest.mark.slow
def test_classes_of_scripts_go_to_other_processes(tmp_path):
    (tmp_path / "with_processes.py").write_text(WITH_PROCESSES)
    # What a spawned process does about the main module, one of a forkserver does as well.
    methods = multiprocessing.get_all_start_methods()
    first = [method for method in methods if method != "spawn"] or ["spawn"]
    for command in (["with_processes.py", *first], ["-m", "with_processes", "spawn"]):
        printed = run("-m", "fastgmm", *command, cwd=tmp_path)
        assert printed.endswith("Mine(n_components=3)\n")


@pytest.mark.parametrize("as_module", [False, True])
def test_folders(tmp_path, as_module):
    (tmp_path / "app").mkdir()
    text = "import sys; print(__name__, __file__, __package__, sys.argv, sys.path[0])"
    (tmp_path / "app" / "__main__.py").write_text(text)
    command = ["-m", "app", "x"] if as_module else ["app", "x"]
    assert run("-m", "fastgmm", *command, cwd=tmp_path) == run(*command, cwd=tmp_path)


def test_what_is_not_there(tmp_path):
    for command in (["no.py"], ["."], ["-m", "no"], ["-m", "no.such"], ["-m", "_struct"]):
        text = run("-m", "fastgmm", *command, expect=1, cwd=tmp_path)
        assert text.startswith("fastgmm: ")
        assert text.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["-m"], ["--help"]])
def test_usage(arguments):
    text = run("-m", "fastgmm", *arguments, expect=2)
    assert "python -m fastgmm script.py" in text
    assert "Workers that start a new Python" in text


REPLACED = """if True:
    import {}
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
    assert GaussianMixture is fastgmm.GaussianMixture
    assert BayesianGaussianMixture is fastgmm.BayesianGaussianMixture
    import sklearn
    assert sklearn.mixture.__spec__.loader is sklearn.mixture.__loader__
    fastgmm.unpatch_sklearn()
    assert sklearn.mixture.GaussianMixture is GaussianMixture._sklearn_class
"""
TAKEN_BACK = """if True:
    fastgmm.unpatch_sklearn()
    from sklearn.mixture import GaussianMixture
    assert GaussianMixture is not fastgmm.GaussianMixture
"""
FIRST_IMPORTS = """if True:
    import os, sys, fastgmm
    fastgmm.patch_sklearn()
    assert not {"numpy", "sklearn", "fastgmm.gaussian_mixture"} & set(sys.modules)
    code, *others = sys.argv[1:]
    forked = []
    if others:  # forked with what takes longest to import, all of it before the mixtures
        import numba, sklearn.cluster
        assert not {"sklearn.mixture", "fastgmm.gaussian_mixture"} & set(sys.modules)
    for other in others:
        process = os.fork()
        if not process:
            code, forked = other, []
            break
        forked.append(process)
    exec(code)
    assert not any([os.waitpid(process, 0)[1] for process in forked])
"""


@pytest.mark.slow
def test_nothing_is_imported_before_it_is_used():
    """Nor when the names are put back before that."""
    first = ("sklearn.mixture", "fastgmm.gaussian_mixture", "fastgmm.batch", "fastgmm.cli")
    codes = [*map(REPLACED.format, first), TAKEN_BACK]
    for together in [codes] if START_METHOD == "fork" else [[code] for code in codes]:
        run("-c", FIRST_IMPORTS, *together)


def test_all_estimators_has_both_classes():
    """skops and MLflow take theirs from it."""
    check(
        """if True:
        import fastgmm, sklearn.mixture
        from sklearn.utils import all_estimators
        before = {cls for _, cls in all_estimators()}
        fastgmm.patch_sklearn()
        under = {cls for _, cls in all_estimators()}
        assert under == before | {fastgmm.GaussianMixture, fastgmm.BayesianGaussianMixture}
        fastgmm.unpatch_sklearn()
        assert {cls for _, cls in all_estimators()} == before
        assert not [name for name in dir(sklearn.mixture) if name.startswith("Sklearn")]
        """,
    )


def test_packages_with_a_table_of_classes_are_left_alone(tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "__init__.py").write_text("")
    (tmp_path / "registry" / "table.py").write_text(
        "from sklearn.mixture import GaussianMixture\nNAMES = {GaussianMixture: 'mixture'}"
    )
    (tmp_path / "registry" / "parse.py").write_text("from sklearn.mixture import GaussianMixture")
    check(
        """if True:
        import sys
        sys.path.insert(0, "")
        from registry import parse, table
        import fastgmm
        fastgmm.patch_sklearn()
        for model in (fastgmm.GaussianMixture().to_sklearn(), parse.GaussianMixture()):
            assert type(model) is parse.GaussianMixture and type(model) in table.NAMES
        """,
        folder=tmp_path,
    )
