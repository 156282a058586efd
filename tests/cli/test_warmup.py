"""`fastgmm warmup` compiles all that is ever needed, and says so if it is not kept."""

import ast
import contextlib
import io
import os
from pathlib import Path

import pytest

import fastgmm.kernels
from fastgmm.cli.warmup import warmup
from fastgmm.kernels import every
from tests.fresh import in_new_process, run

pytestmark = pytest.mark.compiled_only

#: After the warm-up nothing may be looked for in the cache; what would be is printed.
EVERYTHING = """
import itertools, warnings
import numpy as np
import fastgmm
from fastgmm.cli import warmup
from fastgmm.kernels import compile
from tests import structures

warmup.warmup()
late = []

def note(function, signature, options, cached=compile._cached):
    late.append(function.__qualname__)
    return cached(function, signature, options)

compile._cached = note
warnings.simplefilter("ignore")
random = np.random.RandomState(0)
few = random.standard_normal((60, 2))
far, jumping = np.concatenate([few, few + 1e6]), np.concatenate([few, [[1e6, 1e6]]])
wide = random.standard_normal((120, 50))
labels = np.arange(1 << 14) % 64
apart = (1000.0 * labels + random.standard_normal(len(labels)))[:, np.newaxis]
many = random.standard_normal((8200, 2))
options = {"max_iter": 2, "reg_covar": 1e-2, "random_state": 0}
for name in structures.ALL:
    fastgmm.GaussianMixture(2, covariance_type=name, **options).fit(few)
for name, dtype in itertools.product(structures.OF_FORMS, (np.float64, np.float32)):
    options["covariance_type"] = name
    for X, k in ((few, 2), (far, 2), (apart, 64)):
        start = labels if k == 64 else "kmeans"
        model = fastgmm.GaussianMixture(k, init_params=start, **options).fit(X.astype(dtype))
        model.update(model.accumulate(X.astype(dtype), np.ones(len(X))))
        model.predict(X.astype(dtype)), model.predict_proba(X.astype(dtype)), model.score(X)
    fastgmm.fit_many([few.astype(dtype)] * 3, 2, **options)
    recovering = {**options, "init_params": "random_from_data", "on_failure": "recover"}
    for X in (jumping, few[:9] * 0.0):
        fastgmm.GaussianMixture(3, **recovering).fit(X.astype(dtype))
del options["covariance_type"]
for dtype, start in itertools.product((np.float64, np.float32), ("kmeans", "k-means++")):
    for rows in (many, np.round(many)):
        fastgmm.GaussianMixture(3, init_params=start, **options).fit(rows.astype(dtype))
fastgmm.GaussianMixture(2, **options).fit(wide)
fastgmm.BayesianGaussianMixture(n_components=2, **options).fit(few)
print("late:", late)
"""


def warmed_up(cache):
    """What a warm-up says; what it compiles, and how long that takes, is no matter here."""
    os.environ["FASTGMM_NUMBA_CACHE"] = cache
    every.every_kernel = lambda: []
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        warmup()
    assert "all kernels ready" in out.getvalue()
    return err.getvalue()


def test_kept():
    assert in_new_process(warmed_up, "1") == ""


def test_not_kept():
    text = in_new_process(warmed_up, "0")
    assert text.startswith("fastgmm: The compiled kernels could not be kept")
    assert "NUMBA_CACHE_DIR" in text
    assert text.count("\n") == 1


@pytest.mark.slow
def test_nothing_is_left_to_compile():
    environment = {**os.environ, "FASTGMM_NUMBA_CACHE": "1"}
    folder = Path(__file__).parents[2]
    finished = run(EVERYTHING, env=environment, cwd=folder, check=True, timeout=1200)
    assert "all kernels ready" in finished.stdout
    assert finished.stdout.endswith("late: []\n")


def test_every_entry_point_is_called():
    """The forms' own are those of `statistics_pass`."""
    folder = Path(fastgmm.kernels.__file__).parent
    files = [file for file in folder.rglob("*.py") if file.parent.name != "forms"]
    defined = {
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(getattr(name, "id", "") == "entry_point" for name in node.decorator_list)
    }
    tree = ast.parse((folder / "every.py").read_text(encoding="utf-8"))
    called = {getattr(node.func, "attr", "") for node in ast.walk(tree) if type(node) is ast.Call}
    assert defined | {"statistics_pass"} == called - {"", "dtype"}
