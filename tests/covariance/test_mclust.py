"""mclust's structures: their M-steps by laws, and that they go wherever the others go."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from typer.testing import CliRunner

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many, load
from fastgmm.cli.main import app
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.base import Conjugate
from fastgmm.covariance.estimates import CentredStatistics
from fastgmm.parameters import MixtureParameters
from fastgmm.statistics import MomentForm
from tests import structures
from tests.estimator.helpers import PARAMETERS, assert_identical_fit, quiet_fit

NAMES = [a + b + c for c in "IEV" for a in "EV" for b in "EV"] + ["EII", "VII"]
SYNONYMS = {
    "EII": "tied_spherical",
    "VII": "spherical",
    "EEI": "tied_diag",
    "VVI": "diag",
    "EEE": "tied",
    "VVV": "full",
}
CONJUGATE = {"VII", "VVI", "EEE", "VVV"}
K, D = 3, 4
REG = np.array([0.3, 0.1, 0.0, 0.2])

every_name = pytest.mark.parametrize("name", NAMES)
every_structure = pytest.mark.parametrize("name", structures.ALL)


def make_scatters(seed=0, d=D):
    random = np.random.RandomState(seed)
    roots = random.standard_normal((K, d, 2 * d)) * random.uniform(0.3, 3, (K, 1, 1))
    return 10 * roots @ roots.swapaxes(1, 2), random.uniform(5, 50, K)


def m_step(name, scatters, weight, reg_covar=0.0, previous=None):
    """Covariances as matrices, from scatters in the structure's moment form."""
    structure = STRUCTURES[name]
    diagonals = scatters.diagonal(axis1=-2, axis2=-1)
    form, scatter = {
        MomentForm.OUTER: (MomentForm.OUTER, scatters),
        MomentForm.DIAGONAL: (MomentForm.DIAGONAL, diagonals),
        MomentForm.TRACE: (MomentForm.TRACE, diagonals.sum(axis=-1)),
        MomentForm.NONE: (MomentForm.NONE, scatters.sum(axis=-3)),
    }[structure.forms.moments]
    k, d = scatters.shape[-3:-1]
    means = np.zeros((*weight.shape, d))
    centred = CentredStatistics(form, weight, means, scatter.copy())
    found = structure.fit(centred, reg_covar, previous)
    assert found.shape[weight.ndim - 1 :] == structure.shape(k, d)
    return structure.as_matrices(found, k, d)


def is_held_open(name, *, rows=None, features=None):
    """Whether no covariance is singular when some components' rows, or some features, vanish.

    ``rows`` and ``features`` are their factors.
    """
    scatters, weight = make_scatters()
    scatters *= np.reshape(np.ones(K) if rows is None else rows, (K, 1, 1))
    if features is not None:
        scatters *= np.outer(features, features)
    covariances = m_step(name, scatters, weight)
    return np.isfinite(covariances).all() and (np.linalg.eigvalsh(covariances) > 1e-9).all()


def cost(scatters, weight, covariances):
    """-2 times the expected log-likelihood, without constants (Celeux & Govaert 1995, eq. 5)."""
    traces = np.trace(np.linalg.solve(covariances, scatters), axis1=1, axis2=2)
    return (weight * np.linalg.slogdet(covariances)[1] + traces).sum()


def random_rows(seed=0, n=240, d=D, k=K):
    random = np.random.RandomState(seed)
    labels = np.arange(n) % k
    roots = random.standard_normal((k, d, d)) + np.eye(d)
    means = 3 * random.standard_normal((k, d))
    return means[labels] + np.einsum("ni,nij->nj", random.standard_normal((n, d)), roots[labels])


X = random_rows()


def make(name, n_components=K, **arguments):
    arguments = {"covariance_type": name, "random_state": 0, "max_iter": 6, "tol": 0, **arguments}
    return GaussianMixture(n_components, **arguments)


# -- M-steps ---------------------------------------------------------------------------------------
@every_structure
@pytest.mark.parametrize("seed", range(3))
def test_no_other_covariances_of_the_structure_are_likelier(name, seed):
    """Whatever scatters they are those of, near or far."""
    scatters, weight = make_scatters(seed)
    found = m_step(name, scatters, weight)
    least = cost(scatters, weight, found)
    random = np.random.RandomState(seed)
    for size in np.repeat([1e-3, 1e-2, 0.1, 1.0], 10):
        maps = np.eye(D) + size * random.standard_normal((K, D, D))
        others = m_step(name, maps @ scatters @ maps.swapaxes(1, 2), weight)
        assert cost(scatters, weight, others) >= least - 1e-9 * abs(least)


@every_name
@pytest.mark.parametrize("start", ["its own", "another's"])
def test_a_m_step_ends_where_it_would_end_from_elsewhere(name, start):
    """And what it starts from is never likelier."""
    scatters, weight = make_scatters()
    arrays = m_step(name, *make_scatters(1 if start == "another's" else 0))
    factors = np.linalg.inv(np.linalg.cholesky(arrays)).swapaxes(1, 2)
    before = MixtureParameters(weight / weight.sum(), np.zeros((K, D)), None, factors)
    again = m_step(name, scatters, weight, previous=before)
    assert cost(scatters, weight, again) <= cost(scatters, weight, arrays) + 1e-9
    if start == "its own":
        np.testing.assert_allclose(again, m_step(name, scatters, weight), rtol=0, atol=1e-6)


@every_name
@pytest.mark.parametrize("reg_covar", [0.0, 0.5, REG], ids=["none", "one", "each"])
def test_covariances_are_of_their_structure(name, reg_covar):
    """Equal volumes, shapes and orientations, with a regularisation, too."""
    scatters, weight = make_scatters()
    covariances = m_step(name, scatters, weight, reg_covar)
    volume, shape, orientation = name
    volumes = np.linalg.det(covariances) ** (1 / D)
    normal = covariances / volumes[:, np.newaxis, np.newaxis]
    shapes = np.linalg.eigvalsh(normal)
    off = covariances * (1 - np.eye(D))
    assert np.allclose(volumes, volumes[0]) == (volume == "E")
    assert np.allclose(shapes, shapes[0]) == (shape != "V")
    assert np.allclose(shapes, 1.0) == (shape == "I")
    assert (not off.any()) == (orientation == "I")
    if orientation != "I":
        commute = [np.allclose(a @ normal[0], normal[0] @ a, atol=1e-7) for a in normal[1:]]
        assert all(commute) == (orientation == "E")


@every_name
def test_the_scatter_is_what_is_regularised(name):
    scatters, weight = make_scatters()
    added = weight[:, np.newaxis, np.newaxis] * np.diag(REG if name[1] != "I" else [0.15] * 4)
    expected = m_step(name, scatters + added, weight)
    np.testing.assert_allclose(m_step(name, scatters, weight, REG), expected, rtol=1e-7, atol=1e-9)


@every_name
def test_m_steps_of_many_mixtures_have_the_bits_of_each(name):
    """Some settle sooner than others, and one is of no use at all."""
    made = [make_scatters(seed) for seed in range(4)]
    scatters, weight = (np.stack(part) for part in zip(*made, strict=True))
    scatters[2] = scatters[2] * np.diag([1, 1e-3, 1e3, 1])
    scatters[2] += scatters[2].swapaxes(-1, -2)
    scatters[3] = np.nan
    together = m_step(name, scatters, weight)
    for one, scatter, count in zip(together, scatters, weight, strict=True):
        np.testing.assert_array_equal(one, m_step(name, scatter, count))


LINEAR = {
    "rotation": (
        lambda r: ortho_group.rvs(D, random_state=r),
        [n for n in NAMES if n[1] == "I" or n[2] != "I"],
    ),
    "stretch": (
        lambda r: np.diag(r.uniform(0.2, 5, D)),
        ["EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV"],
    ),
    "any": (lambda r: r.standard_normal((D, D)), ["EEE", "VEE", "EVV", "VVV"]),
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in LINEAR for name in LINEAR[kind][1]]
)
def test_covariances_move_with_the_rows(kind, name):
    random = np.random.RandomState(3)
    scatters, weight = make_scatters()
    A = LINEAR[kind][0](random)
    moved = m_step(name, A @ scatters @ A.T, weight)
    np.testing.assert_allclose(
        moved, A @ m_step(name, scatters, weight) @ A.T, rtol=1e-6, atol=1e-6
    )


@every_name
def test_a_component_of_no_spread_spoils_no_other(name):
    scatters, weight = make_scatters()
    with np.errstate(all="ignore"):
        alone = m_step(name, np.where(np.arange(K)[:, None, None] == 1, 0.0, scatters), weight)
    factors = STRUCTURES[name].factor(alone)
    assert np.isfinite(factors[[0, 2]]).all()


@pytest.mark.parametrize("name", ["EVE", "VVE"])
def test_a_start_finds_no_worse_axes_than_those_of_a_component_lead_to(name):
    """From those of all scatters together alone, one of these ends far below."""
    for seed in range(30):
        scatters, weight = make_scatters(seed, d=3)
        alone = [
            m_step(name, scatters, weight, previous=oriented_as(scatter)) for scatter in scatters
        ]
        found = cost(scatters, weight, m_step(name, scatters, weight))
        assert found <= min(cost(scatters, weight, other) for other in alone) + 1e-5


def oriented_as(scatter):
    """Parameters from which the axes of a scatter are known."""
    factors = np.repeat(np.linalg.cholesky(np.linalg.inv(scatter))[np.newaxis], K, axis=0)
    return MixtureParameters(np.full(K, 1 / K), np.zeros((K, 3)), factors, factors)


# -- one component, one feature --------------------------------------------------------------------
def test_of_one_component_only_its_shape_matters():
    scatters, weight = (part[:1] for part in make_scatters())
    full = scatters / weight[0]
    variances = full[0].diagonal()
    expected = {"II": np.eye(D) * variances.mean(), "I": np.diag(variances)}
    for name in NAMES:
        kind = expected.get("II" if name[1] == "I" else name[2], full[0])
        np.testing.assert_allclose(m_step(name, scatters, weight)[0], kind, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*NAMES, "E", "V"])
def test_in_one_dimension_only_the_volume_is_left(name):
    x = random_rows(d=1)
    model = quiet_fit(make(name), x)
    other = quiet_fit(make("spherical" if name[0] == "V" else "tied_spherical"), x)
    assert model.covariances_.shape == (K, 1, 1)
    np.testing.assert_allclose(model.covariances_[:, 0, 0], other.covariances_ * np.ones(K))
    np.testing.assert_allclose(model.lower_bounds_, other.lower_bounds_)
    assert model.n_parameters() == other.n_parameters() == 2 * K - 1 + (K if name[0] == "V" else 1)


def test_structures_for_one_feature_refuse_more(tmp_path):
    np.save(tmp_path / "x.npy", X)
    for name in ("E", "V"):
        words = f"covariance_type='{name}' is for 1 feature, but there are 4"
        with pytest.raises(ValueError, match=words):
            make(name).fit(X)
        with pytest.raises(ValueError, match=words):
            fit_many([X], K, covariance_type=name)
        arguments = ["fit", str(tmp_path / "x.npy"), "-k", "2", "--covariance-type", name]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code
        assert words in result.output


# -- the same by other names -----------------------------------------------------------------------
@pytest.mark.parametrize(("name", "other"), SYNONYMS.items())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_synonyms_have_the_same_answers(name, other, dtype):
    rows, weights = X.astype(dtype), np.random.RandomState(0).uniform(0, 2, len(X))
    for cls in (GaussianMixture, BayesianGaussianMixture):
        if not isinstance(STRUCTURES[name], Conjugate) and cls is BayesianGaussianMixture:
            continue
        one, two = (
            quiet_fit(
                cls(n_components=K, covariance_type=n, random_state=0), rows, sample_weight=weights
            )
            for n in (name, other)
        )
        np.testing.assert_array_equal(one.means_, two.means_)
        np.testing.assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=1e-13)
        as_matrices = STRUCTURES[other].as_matrices
        for attribute in ("covariances_", "precisions_cholesky_"):
            expected = as_matrices(np.asarray(getattr(two, attribute)), K, D)
            np.testing.assert_array_equal(getattr(one, attribute), expected)
        np.testing.assert_array_equal(one.predict_proba(rows), two.predict_proba(rows))


@pytest.mark.parametrize("name", [name for name in structures.ALL if name not in structures.SHARED])
def test_variational_bayes_takes_those_with_a_prior(name):
    model = BayesianGaussianMixture(n_components=K, covariance_type=name, random_state=0)
    structure = STRUCTURES[name]
    is_conjugate = isinstance(structure, Conjugate)
    assert name not in NAMES or is_conjugate == (name in CONJUGATE)
    if is_conjugate:
        plain = quiet_fit(model, X).to_sklearn()
        np.testing.assert_allclose(plain.predict_proba(X), model.predict_proba(X), atol=1e-9)
        assert model.covariance_prior_.shape == structure.of_one(model.covariances_).shape
        return
    with pytest.raises(ValueError, match=f"'{name}' has no conjugate prior"):
        model.fit(X)


# -- wherever structures go ------------------------------------------------------------------------
@every_structure
def test_attributes_and_scikit_learn(name):
    model = quiet_fit(make(name), X)
    assert (np.diff(model.lower_bounds_) > -1e-9).all()
    plain = model.to_sklearn()
    np.testing.assert_allclose(plain.predict_proba(X), model.predict_proba(X), atol=1e-10)
    np.testing.assert_allclose(plain.score_samples(X), model.score_samples(X), rtol=1e-10)
    shape = STRUCTURES[name].shape(K, D)
    for attribute in PARAMETERS[2:]:
        assert np.shape(getattr(model, attribute)) == shape
    assert model.sample(10)[0].shape == (10, D)
    start = {
        f"{part}_init": getattr(model, f"{part}_") for part in ("weights", "means", "precisions")
    }
    further = quiet_fit(make(name, max_iter=1, **start), X)
    assert further.lower_bound_ == pytest.approx(model.score(X), rel=1e-12)
    kept = GaussianMixture(**further.to_sklearn().get_params())
    assert quiet_fit(kept, X).lower_bounds_[0] == pytest.approx(model.score(X), rel=1e-12)


def test_a_scalar_is_a_number():
    model = quiet_fit(make("tied_spherical"), X)
    assert isinstance(model.covariances_, float)
    assert GaussianMixture(K, covariance_type="tied_spherical", precisions_init=2.0).fit(X)


@every_structure
def test_many_fits_and_statistics_by_hand(name):
    sets = [X, X[::2] * [1, 1, 1, 5], X[::3], np.concatenate([X[:30], np.zeros((30, D))])]
    report = fit_many(sets, K, covariance_type=name, random_state=0, reg_covar=0, tol=1e-3)
    for i, rows in enumerate(sets):
        model = make(name, reg_covar=0, tol=1e-3, max_iter=100).set_params(
            random_state=int(report.seeds[i]), n_jobs=1
        )
        if report.errors[i] is None:
            assert_identical_fit(report[i], quiet_fit(model, rows))
        else:
            with pytest.raises(ValueError, match="ill-defined"):
                quiet_fit(model, rows)
    once, by_hand = quiet_fit(make(name, max_iter=1), X), quiet_fit(make(name, max_iter=0), X)
    by_hand.update(by_hand.accumulate(X[:100]) + by_hand.accumulate(X[100:]))
    np.testing.assert_allclose(by_hand.covariances_, once.covariances_, rtol=1e-9, atol=1e-11)


@every_structure
def test_files_and_the_command_line(name, tmp_path):
    rows, model, checkpoint = (tmp_path / name for name in ("x.npy", "model.npz", "checkpoint.npz"))
    np.save(rows, X)
    arguments = ["fit", str(rows), "-k", str(K), "--covariance-type", name, "--random-state", "0"]
    arguments += ["--tol", "0", "--max-iter", "6", "--out", str(model), "--quiet"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    straight = quiet_fit(make(name), X)
    assert_identical_fit(load(model), straight)
    assert CliRunner().invoke(app, ["info", str(model)]).exit_code == 0
    quiet_fit(make(name, max_iter=2), X, checkpoint=checkpoint)
    assert_identical_fit(quiet_fit(make(name), X, checkpoint=checkpoint), straight)


@every_structure
def test_what_collapses_is_refused_or_mended(name):
    """One component sits on a point, without regularisation; shared variances hold it open."""
    rows = np.concatenate([X[::3], X[1::3], np.zeros((60, D))])
    labels = np.repeat([0, 1, 2], [80, 80, 60])
    params = {"reg_covar": 0, "init_params": labels}
    model = make(name, on_failure="recover", **params)
    if is_held_open(name, rows=[1, 1, 0]):
        assert not quiet_fit(model, rows).diagnostics_
        return
    with pytest.raises(ValueError, match="ill-defined"):
        quiet_fit(make(name, **params), rows)
    actions = [record["action"] for record in quiet_fit(model, rows).diagnostics_]
    assert actions
    assert set(actions) <= {"widen", "reseed", "prune"}
    assert np.isfinite(model.score(rows))


@every_structure
def test_a_constant_feature_is_refused_or_mended(name):
    constant = [1, 1, 1, 0]
    rows = X * constant
    if is_held_open(name, features=constant):
        assert np.isfinite(quiet_fit(make(name, reg_covar=0), rows).score(rows))
        return
    with pytest.raises(ValueError, match="ill-defined"):
        make(name, reg_covar=0).fit(rows)
    model = quiet_fit(make(name, reg_covar=0, on_failure="recover"), rows)
    assert "regularize" in [record["action"] for record in model.diagnostics_]
    assert np.isfinite(quiet_fit(make(name, reg_covar="scale"), rows).score(rows))


def test_which_structures_hold_a_covariance_open():
    shared = {"EII", "EEI", "EEE", "EEV"}
    assert {name for name in NAMES if is_held_open(name, rows=[1, 1, 0])} == shared
    spheres = {"EII", "VII"}
    assert {name for name in NAMES if is_held_open(name, features=[1, 1, 1, 0])} == spheres


# -- bad input -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "precisions", "words"),
    [
        ("VVI", np.ones((K, D, D)) + np.eye(D), "diagonal matrices, as covariance_type='VVI' says"),
        ("VEI", np.ones((K, D, D)) + np.eye(D), "diagonal matrices, as"),
        ("VII", [np.diag([1.0, 2, 3, 4])] * K, "multiples of the identity matrix, as"),
        ("EII", [np.eye(D), np.eye(D), 2 * np.eye(D)], "identity matrix, the same for every"),
        ("EEE", [np.eye(D), np.eye(D), 2 * np.eye(D)], "matrices, the same for every component"),
        ("VEV", np.eye(D), r"shape of \(3, 4, 4\), but got \(4, 4\)"),
        ("VEV", -np.ones((K, D, D)), "symmetric, positive-definite"),
        ("tied_diag", np.ones(3), r"'tied_diag precision' should have the shape of \(4,\)"),
        ("tied_diag", [1.0, 1, 0, 1], "'tied_diag precision' should be positive"),
        ("tied_diag", [1.0, 1, np.nan, 1], "'tied_diag precision' should be positive"),
        ("tied_spherical", [1.0], r"shape of \(\), but got \(1,\)"),
        ("tied_spherical", -1.0, "precisions_init"),
        (
            "full",
            1.0,
            "'precisions_init' parameter of GaussianMixture must be an array-like or None",
        ),
    ],
)
def test_given_precisions_have_to_be_of_the_structure(name, precisions, words):
    with pytest.raises(ValueError, match=words):
        make(name, precisions_init=precisions).fit(X)


def test_attributes_set_by_hand_have_to_be_of_the_structure(tmp_path):
    model = quiet_fit(make("VVI"), X)
    model.precisions_cholesky_ = model.precisions_cholesky_ + np.triu(np.ones((D, D)))
    for use in (lambda: model.predict(X), lambda: model.save(tmp_path / "model.npz")):
        with pytest.raises(ValueError, match="precisions_cholesky_ should hold diagonal matrices"):
            use()
    assert not (tmp_path / "model.npz").exists()


def test_unknown_names_are_answered_by_all_that_there_are():
    for name in ("VVX", "vvv", "EIE", "XII"):
        with pytest.raises(ValueError, match="covariance_type") as error:
            make(name).fit(X)
        assert all(repr(known) in str(error.value) for known in STRUCTURES)
    with pytest.raises(ValueError, match="should hold diagonal"):
        BayesianGaussianMixture(
            covariance_type="VVI", covariance_prior=np.ones((D, D)) + np.eye(D)
        ).fit(X)
