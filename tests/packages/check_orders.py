"""Packages that list scikit-learn's classes, in every order of import; run by ``.ci/packages``."""

import itertools
import os
import subprocess
import sys

import pytest

STEPS = {
    "fastgmm": "import fastgmm; fastgmm.GaussianMixture",
    "patch": "import fastgmm; fastgmm.patch_sklearn()",
    "sklearn": "import sklearn.mixture",
}
DATA = """
import numpy as np
X = np.random.default_rng(0).normal(size=(200, 3))
"""
MODELS = (
    DATA
    + """
import fastgmm
models = []
for cls in (fastgmm.GaussianMixture, fastgmm.BayesianGaussianMixture):
    arguments = dict(n_components=2, random_state=0, max_iter=500)
    model = cls(**arguments).fit(X)
    models += [model, model.to_sklearn(), cls._sklearn_class(**arguments).fit(X)]
"""
)


def orders(package):
    steps = {**STEPS, "package": package}
    return [
        pytest.param("\n".join(steps[name] for name in order), id="-".join(order))
        for order in itertools.permutations(steps)
    ]


def run(code, folder):
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": "file:./runs"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("order", orders("import skl2onnx"))
def test_skl2onnx(order, tmp_path):
    code = """
import onnxruntime, skl2onnx
rows = X[:5].astype("f4")
of_mclust = fastgmm.GaussianMixture(2, covariance_type="VEI").fit(X)
for model in [*models, of_mclust]:
    for scores in (False, True):
        graph = skl2onnx.to_onnx(model, rows, options={id(model): {"score_samples": scores}})
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        labels, shares, *others = session.run(None, {"X": rows})
        wide = rows.astype("f8")
        assert np.array_equal(labels.ravel(), model.predict(wide))
        assert np.allclose(shares, model.predict_proba(wide), atol=1e-4)
        for likelihoods in others:
            assert np.allclose(likelihoods.ravel(), model.score_samples(wide), atol=1e-3)
        assert len(others) == scores
noisy = fastgmm.GaussianMixture(2, noise="box").fit(X)
try:
    skl2onnx.to_onnx(noisy, rows)
except ValueError as error:
    assert "no noise component" in str(error)
else:
    raise AssertionError("noise was left out")
"""
    run(order + MODELS + code, tmp_path)


@pytest.mark.parametrize("order", orders("import skops.io"))
def test_skops(order, tmp_path):
    code = """
import skops.io as sio
for model in models:
    plain = type(model).__module__.startswith("sklearn.")
    for _ in range(1 if plain else 2):
        dumped = sio.dumps(model)
        unknown = sio.get_untrusted_types(data=dumped)
        assert all(name.startswith("fastgmm.") for name in unknown) and not (plain and unknown)
        loaded = sio.loads(dumped, trusted=unknown)
        assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
        if not plain:
            model.partial_fit(X)
"""
    run(order + MODELS + code, tmp_path)


AUTOLOG = "import mlflow; mlflow.sklearn.autolog(log_models=False, log_datasets=False)"


@pytest.mark.parametrize("order", orders(AUTOLOG))
def test_mlflow(order, tmp_path):
    code = """
import mlflow, sklearn.mixture
for cls in (sklearn.mixture.GaussianMixture, fastgmm.GaussianMixture):
    cls(2, random_state=0).fit(X)
    run, *others = mlflow.search_runs(output_format="list")
    assert run.data.tags["estimator_class"] == f"{cls.__module__}.{cls.__name__}"
assert len(others) == 1
"""
    run(order + DATA + code, tmp_path)
