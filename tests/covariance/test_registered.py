"""A structure that is none of the package's own, by its core alone, goes wherever those go."""

import numpy as np
import pytest
from typer.testing import CliRunner

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many, load
from fastgmm.cli.main import app
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.base import register
from fastgmm.kernels.layout import Forms
from tests.compound import CompoundSymmetry
from tests.estimator.helpers import quiet_fit

NAME = CompoundSymmetry.name
K, D = 2, 3


@pytest.fixture(autouse=True)
def registered():
    before = STRUCTURES.copy()
    register(CompoundSymmetry)
    yield
    if NAME not in before:
        del STRUCTURES[NAME]


def make_rows(n=600):
    random = np.random.RandomState(0)
    shared = random.standard_normal((n, 1))
    return shared + random.standard_normal((n, D)) + 6 * random.randint(0, K, (n, 1))


def make(cls=GaussianMixture, **arguments):
    return cls(n_components=K, covariance_type=NAME, random_state=0, **arguments)


def is_compound(covariances):
    for matrix in covariances:
        off = matrix[~np.eye(D, dtype=bool)]
        np.testing.assert_allclose(np.diagonal(matrix), matrix[0, 0], rtol=1e-6)
        np.testing.assert_allclose(off, off[0], rtol=1e-6)
    return True


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_and_predict(dtype, weighted, tmp_path):
    X = make_rows().astype(dtype)
    weights = np.random.RandomState(1).uniform(0, 2, len(X)) if weighted else None
    model = quiet_fit(make(), X, sample_weight=weights)
    assert is_compound(model.covariances_)
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    assert model.predict(X).shape == (len(X),)
    assert model.n_parameters() == K * 2 + K * D + K - 1
    assert np.isfinite(model.bic(X))
    plain = model.to_sklearn()
    assert plain.covariance_type == "full"
    np.testing.assert_allclose(plain.predict_proba(X), model.predict_proba(X), atol=1e-4)
    np.testing.assert_allclose(plain.score_samples(X), model.score_samples(X), rtol=1e-4)
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))


def test_rows_drawn_from_it_have_its_covariances():
    model = quiet_fit(make(), make_rows())
    drawn, labels = model.sample(20_000)
    for c in range(K):
        found = np.cov(drawn[labels == c].T)
        np.testing.assert_allclose(found, model.covariances_[c], atol=0.12)


def test_many_fits_statistics_by_hand_and_streams():
    X = make_rows()
    report = fit_many([X, X[::2]], K, covariance_type=NAME, random_state=0)
    assert not len(report.failed)
    alone = quiet_fit(make().set_params(random_state=int(report.seeds[1])), X[::2])
    np.testing.assert_array_equal(report[1].covariances_, alone.covariances_)
    once = quiet_fit(make(max_iter=1, tol=0), X)
    by_hand = quiet_fit(make(max_iter=0), X)
    by_hand.update(by_hand.accumulate(X[:100]) + by_hand.accumulate(X[100:]))
    np.testing.assert_allclose(by_hand.covariances_, once.covariances_, rtol=1e-12)
    assert is_compound(make().partial_fit(X).partial_fit(X).covariances_)


def test_it_recovers():
    X = np.concatenate([make_rows(), np.zeros((60, D))])
    params = {"reg_covar": 0.0, "init_params": np.repeat([0, 1], [600, 60])}
    with pytest.raises(ValueError, match="ill-defined"):
        make(**params).fit(X)
    assert quiet_fit(make(on_failure="recover", **params), X).diagnostics_


def test_the_command_line(tmp_path):
    X = make_rows()
    np.save(tmp_path / "rows.npy", X)
    model = tmp_path / "model.npz"
    arguments = ["fit", str(tmp_path / "rows.npy"), "-k", str(K), "--covariance-type", NAME]
    result = CliRunner().invoke(app, [*arguments, "--out", str(model), "--quiet"])
    assert result.exit_code == 0, result.output
    assert is_compound(load(model).covariances_)


def test_without_a_conjugate_prior_variational_bayes_refuses_it():
    with pytest.raises(ValueError, match="'compound' has no conjugate prior"):
        make(BayesianGaussianMixture).fit(make_rows())


def test_forms_without_kernels_are_refused():
    class Wrong(CompoundSymmetry):
        name = "wrong"
        forms = Forms("cholesky", "trace")

    with pytest.raises(ValueError, match="No kernel takes densities"):
        register(Wrong)
    assert "wrong" not in STRUCTURES
