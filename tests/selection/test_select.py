"""`select`: every cell is a fit of its own, and the best of them is honest."""

import pickle
import signal
import warnings

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold

import fastgmm
from fastgmm.covariance import STRUCTURES
from fastgmm.engines.threads import ThreadEngine
from fastgmm.kernels.layout import Forms
from fastgmm.selection.cell import COLUMNS
from fastgmm.selection.plan import all_types

IRIS = load_iris().data
FITTED = ("weights_", "means_", "covariances_", "lower_bounds_", "n_iter_", "converged_")


def blobs(n=300, d=2, seed=0):
    random = np.random.default_rng(seed)
    centres = np.array([[0.0, 0], [9, 0], [0, 9]])[:, :d]
    return centres[random.integers(3, size=n)] + random.standard_normal((n, d))


def own_fit(cell, X, sample_weight=None, **arguments):
    arguments = {"random_state": cell.seed, "tol": cell.tol, "init_params": cell.start, **arguments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fastgmm.GaussianMixture(
            n_components=cell.n_components, covariance_type=cell.covariance_type, **arguments
        ).fit(X, sample_weight=sample_weight)


def assert_bits_of_own_fits(selection, X, sample_weight=None, **arguments):
    for cell in selection.cells:
        model = selection.fits[cell.key]
        own = own_fit(cell, X, sample_weight, **arguments)
        for name in FITTED:
            np.testing.assert_array_equal(getattr(model, name), getattr(own, name), str(cell.key))
        rows = {"X": X, "sample_weight": sample_weight}
        assert cell.bic == own.bic(**rows)
        assert cell.aic == own.aic(**rows)
        assert cell.n_parameters == own.n_parameters()


# -- bits ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_init": 2, "init_params": "k-means++", "max_iter": 20},
        {"init_params": "random", "n_jobs": 1},
        {"init_params": ["hierarchical", "kmeans"], "reg_covar": "scale"},
        {"on_failure": "recover"},
        {"n_components": 2, "share_starts": False},
        {"n_components": range(1, 10), "init_params": ["kmeans", "hierarchical"]},
        {"n_components": (5, 40), "init_params": "kmeans", "max_iter": 3},
    ],
)
def test_every_cell_has_the_bits_of_its_own_fit(arguments):
    X = IRIS if "init_params" in arguments else IRIS.astype(np.float32)
    numbers = arguments.pop("n_components", (1, 3))
    selection = fastgmm.select(X, numbers, random_state=5, **arguments)
    for name in ("init_params", "share_starts"):
        arguments.pop(name, None)
    assert_bits_of_own_fits(selection, X, **arguments)


def test_weights_files_and_large_rows_have_the_bits_too(tmp_path):
    X = np.concatenate([blobs(9000), np.full((3, 2), np.nan)])
    weights = np.concatenate([np.random.default_rng(1).uniform(0.5, 2, 9000), np.zeros(3)])
    selection = fastgmm.select(X, (2, 3), ["full", "tied"], sample_weight=weights, random_state=1)
    assert_bits_of_own_fits(selection, X, weights)
    np.save(tmp_path / "rows.npy", X)
    of_file = fastgmm.select(
        tmp_path / "rows.npy", (2, 3), ["full", "tied"], sample_weight=weights, random_state=1
    )
    np.testing.assert_array_equal(of_file.scores, selection.scores)


def test_a_seed_depends_on_its_number_of_components_alone():
    one = fastgmm.select(IRIS, (2, 4), "diag", random_state=3)
    other = fastgmm.select(IRIS, range(1, 5), ("tied", "diag"), random_state=3)
    seeds = {cell.n_components: cell.seed for cell in other.cells}
    assert [cell.seed for cell in one.cells] == [seeds[2], seeds[4]]
    assert len(set(seeds.values())) == 4
    assert one.cells[0].seed == np.random.SeedSequence(3, spawn_key=(2,)).generate_state(1)[0]
    assert fastgmm.select(IRIS, 2, "diag").cells[0].seed != one.cells[0].seed


# -- what is chosen --------------------------------------------------------------------------------
def test_the_table():
    selection = fastgmm.select(IRIS, range(1, 4), random_state=0)
    frame = selection.to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert selection.scores.shape == (3, 4)
    np.testing.assert_array_equal(selection.scores.ravel(), frame["bic"])
    # mclust's VVV,2 by the same data, with the sign of scikit-learn (R 4.2.2, mclust 6.0.0)
    best = frame.iloc[selection.best_index_]
    assert (best.n_components, best.covariance_type, best.status) == (2, "full", "ok")
    assert best.bic == pytest.approx(574.018, abs=1e-3)
    assert selection.best_estimator_.bic(IRIS) == best.bic
    assert "574.02*" in repr(selection)
    assert "edge" not in repr(selection)
    assert "larger one may be better" in repr(fastgmm.select(IRIS, (1, 2), random_state=0))


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_criteria(criterion):
    selection = fastgmm.select(IRIS, (1, 2, 3), "full", criterion=criterion, random_state=0)
    assert selection.best_index_ == np.argmin(selection.scores)
    for cell in selection.cells:
        model = selection.fits[cell.key]
        largest = np.log(model.predict_proba(IRIS).max(axis=1)).sum()
        assert cell.icl == pytest.approx(model.bic(IRIS) - 2 * largest, rel=1e-12)
        assert cell.score == getattr(cell, criterion)


def test_held_out_likelihood_and_functions():
    X = blobs(240)
    selection = fastgmm.select(X, (1, 3), "full", criterion="cv", cv=4, random_state=0)
    assert selection.best_estimator_.n_components == 3
    assert selection.greater_is_better
    seed = np.random.SeedSequence(0, spawn_key=(0,)).generate_state(1)[0]
    cell, scores = selection.cells[1], []
    for train, test in KFold(4, shuffle=True, random_state=int(seed)).split(X):
        scores.append(own_fit(cell, X[train]).score(X[test]))
    assert cell.score == pytest.approx(np.mean(scores), rel=1e-12)
    weights = np.repeat([1.0, 2.0], 120)
    of_array = fastgmm.select(X, 2, "diag", criterion="cv", sample_weight=weights, random_state=0)
    of_source = fastgmm.select(
        [X], 2, "diag", criterion="cv", sample_weight=weights, random_state=0
    )
    np.testing.assert_allclose(of_array.scores, of_source.scores, rtol=1e-12)
    mine = fastgmm.select(X, (1, 3), "full", criterion=lambda model, X: -model.score(X))
    assert mine.best_estimator_.n_components == 3
    bayesian = fastgmm.select(
        X, (1, 3), "full", criterion="cv", estimator=fastgmm.BayesianGaussianMixture
    )
    assert bayesian.best_estimator_.n_components == 3
    assert np.isnan(bayesian.cells[0].bic)


def test_all_is_what_differs():
    counts = {
        tuple(structure.n_free_parameters(k, d) for k, d in ((2, 3), (3, 5), (2, 1)))
        for structure in STRUCTURES.values()
    }
    assert len(all_types(100, 3)) == len(counts)
    assert len(all_types(100, 1)) == 2
    kept = [STRUCTURES[name].forms for name in all_types(5, 5)]
    assert kept
    assert not any(isinstance(forms, Forms) and "cholesky" in forms.density for forms in kept)
    selection = fastgmm.select(IRIS[:, :1], (1, 2), "all", random_state=0)
    assert selection.scores.shape == (2, 2)


def test_what_is_not_in_order_does_not_win():
    X = np.concatenate([blobs(120), [[30.0, 30.0]] * 9])
    selection = fastgmm.select(X, (1, 4), "full", random_state=0)
    collapsed = selection.cells[1]
    assert collapsed.status == "near singular"
    assert collapsed.bic < selection.cells[0].bic
    assert selection.best_index_ == 0
    assert f"{collapsed.bic:.2f}!" in repr(selection)
    # Units make no difference.
    scaled = fastgmm.select(X * [1e-5, 1e6], (1, 4), "full", random_state=0, reg_covar="scale")
    assert [cell.status for cell in scaled.cells] == [cell.status for cell in selection.cells]
    few = fastgmm.select(
        np.concatenate(
            [
                X[:120],
                X[-9:] + X[:9],
            ]
        ),
        4,
        "full",
        random_state=0,
    )
    assert few.cells[0].status == "ok"
    with pytest.warns(UserWarning, match="No fit is in order.*'few rows'"):
        few = fastgmm.select(X[[0, 1, 2, 3, -1]] + X[:5], 2, "spherical", random_state=0)
    assert few.best_estimator_ is few.fits[2, "spherical"]


def test_contenders_are_fitted_again():
    selection = fastgmm.select(IRIS, range(1, 6), random_state=0)
    order = np.argsort(selection.scores.ravel())
    tols = np.array([cell.tol for cell in selection.cells])
    assert (tols[order[:3]] == 1e-5).all()
    assert set(tols) == {1e-3, 1e-5}


def test_threads_do_not_wait_for_the_starts_of_each_other(monkeypatch):
    """The first fits are of different numbers of components, each of which makes its start."""
    began = []
    fit = fastgmm.selection.search.Search._fit_chain

    def noting(search, chain, tol):
        began.extend(chain)
        fit(search, chain, tol)

    monkeypatch.setattr(fastgmm.selection.search.Search, "_fit_chain", noting)
    X = np.asarray(IRIS, dtype=np.float32)
    fastgmm.select(X, (1, 2, 3), ("full", "diag"), random_state=0, n_jobs=1)
    full = [(3, "full"), (2, "full"), (1, "full")]
    assert began[:6] == [*full, (3, "diag"), (2, "diag"), (1, "diag")]


def test_contenders_go_on_from_where_they_ended(monkeypatch):
    made = []
    fits = fastgmm.selection.fits.fit_rows

    def counting(*arguments):
        result = fits(*arguments)
        made.append((len(result.lower_bounds), arguments[-1]))
        return result

    monkeypatch.setattr("fastgmm.selection.fits.fit_rows", counting)
    X = np.asarray(IRIS, dtype=np.float32)
    selection = fastgmm.select(X, range(1, 4), "full", random_state=0)
    assert_bits_of_own_fits(selection, X)
    again = [(n, before) for n, before in made if before is not None]
    assert len(again) == 3
    assert all(n >= len(before.lower_bounds) > 1 for n, before in again)
    assert any(n > len(before.lower_bounds) for n, before in again)


def test_labels(tmp_path):
    labels = np.where(np.arange(150) % 5, -1, np.arange(150) // 50)
    selection = fastgmm.select(IRIS, range(2, 5), ("full", "tied"), labels=labels, random_state=0)
    frame = selection.to_frame()
    assert frame.status.tolist() == ["failed"] * 2 + ["ok"] * 4
    assert "labels should be from 0 to 1" in frame.error[0]
    for cell in selection.cells[2:]:
        model = selection.fits[cell.key]
        own = fastgmm.GaussianMixture(
            cell.n_components,
            covariance_type=cell.covariance_type,
            random_state=cell.seed,
            tol=cell.tol,
        ).fit(IRIS, labels=labels)
        np.testing.assert_array_equal(model.means_, own.means_)
        assert cell.bic == own.bic(IRIS)
    frame = pandas.DataFrame(IRIS, columns=list("abcd")).assign(kind=labels)
    asked = {"labels": "kind", "random_state": 0}
    of_column = fastgmm.select(frame, 3, "full", criterion=lambda m, X: m.bic(X), **asked)
    assert of_column.cells[0].score == selection.cells[2].bic
    frame.to_parquet(tmp_path / "rows.parquet")
    of_file = fastgmm.select(tmp_path / "rows.parquet", 3, "full", **asked)
    np.testing.assert_allclose(of_file.best_estimator_.means_, selection.fits[3, "full"].means_)
    path = tmp_path / "search.npz"
    part = {"checkpoint": path, "random_state": 0}
    fastgmm.select(IRIS, 3, "full", labels=labels, **part)
    with pytest.raises(ValueError, match=r"another search: .*the labels"):
        fastgmm.select(IRIS, 3, "full", **part)


def test_labels_of_folds(tmp_path):
    labels = np.where(np.arange(150) % 5, -1, np.arange(150) // 50)
    folds = KFold(3, shuffle=True, random_state=0)
    asked = {"criterion": "cv", "cv": folds, "labels": labels, "random_state": 0}
    selection = fastgmm.select(IRIS, 3, "diag", **asked)
    cell, total = selection.cells[0], 0.0
    for train, test in folds.split(IRIS):
        model = fastgmm.GaussianMixture(
            3, covariance_type="diag", random_state=cell.seed, tol=cell.tol
        )
        total += model.fit(IRIS[train], labels=labels[train]).score(IRIS[test]) * len(test)
    assert cell.score == pytest.approx(total / 150, rel=1e-13)
    np.save(tmp_path / "rows.npy", IRIS)
    of_file = fastgmm.select(tmp_path / "rows.npy", 3, "diag", **asked)
    np.testing.assert_allclose(of_file.scores, selection.scores, rtol=1e-3)


# -- failures --------------------------------------------------------------------------------------
def test_a_fit_that_fails_loses_only_itself():
    X = np.column_stack([IRIS[:20], np.ones(20)])
    types = ("full", "spherical")
    selection = fastgmm.select(X, (1, 99), types, reg_covar=0, random_state=0)
    by_key = {cell.key: cell for cell in selection.cells}
    assert "ill-defined empirical covariance" in by_key[1, "full"].error
    assert "n_samples >= n_components" in by_key[99, "full"].error
    assert by_key[99, "full"].status == "failed"
    assert by_key[1, "spherical"].error is None
    assert set(selection.fits) == {(1, "spherical")}
    assert np.isnan(selection.scores[1]).all()
    with pytest.raises(ValueError, match=r"The fit of 99 components, 'diag', failed"):
        fastgmm.select(IRIS[:20], (1, 99), "diag", on_error="raise")
    with pytest.raises(ValueError, match="All 1 fits failed"):
        fastgmm.select(IRIS[:20], 99, "diag")


def no_number(model, X):
    return np.nan


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_components": ()}, ValueError, "empty"),
        ({"n_components": (0, 1)}, ValueError, "integers from 1, but has 0"),
        ({"n_components": "3"}, TypeError, "n_components"),
        ({"covariance_type": ("full", "round")}, ValueError, "covariance_type"),
        ({"covariance_type": ()}, ValueError, "empty"),
        ({"covariance_type": [["full"]]}, TypeError, "hold names"),
        ({"criterion": no_number}, ValueError, "not a number"),
        ({"criterion": "dic"}, ValueError, "criterion should be one of"),
        ({"on_error": "ignore"}, ValueError, "on_error"),
        ({"share_starts": "merge"}, ValueError, "share_starts"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
        ({"n_init": 0}, ValueError, "n_init"),
        ({"tol": -1}, ValueError, "tol"),
        ({"init_params": ["kmeans", "best"]}, ValueError, "init_params"),
        ({"unknown": 1}, TypeError, "unknown"),
        ({"share_starts": "split", "noise": "box"}, ValueError, "do not go together"),
        ({"init_params": []}, ValueError, "init_params is empty"),
        ({"init_params": ["kmeans", 3]}, ValueError, "entry 1 is 3"),
        ({"checkpoint": 3}, TypeError, "checkpoint should be the path of a file, but got 3"),
        ({"criterion": "cv", "cv": 1}, ValueError, "cv should be from 2"),
        ({"estimator": dict}, TypeError, "estimator"),
        ({"estimator": fastgmm.BayesianGaussianMixture}, ValueError, "no 'bic'"),
        ({"X": np.full((9, 2), np.nan)}, ValueError, "NaN"),
        ({"X": "nowhere.npy"}, FileNotFoundError, "nowhere"),
        ({"sample_weight": np.ones(3)}, ValueError, "sample_weight"),
        ({"labels": np.ones(150, int)}, ValueError, "labels should be from 0 to 0"),
        ({"labels": np.ones(3, int)}, ValueError, "labels should have the shape"),
        ({"labels": "kind"}, ValueError, "name of a column"),
        ({"labels": np.zeros(150, int), "share_starts": "split"}, ValueError, "do not go together"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value).partition(" at 0x")[0],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        fastgmm.select(**{"X": IRIS, "n_components": 1, "covariance_type": "diag", **arguments})


def test_an_estimator_may_be_an_object():
    given = fastgmm.GaussianMixture(7, tol=1e-4, n_init=2, random_state=3, n_jobs=1)
    selection = fastgmm.select(IRIS, 2, "diag", estimator=given, max_iter=50)
    other = fastgmm.select(IRIS, 2, "diag", tol=1e-4, n_init=2, random_state=3, max_iter=50)
    assert same_table(selection, other)
    arguments = selection.best_estimator_.get_params()
    assert (arguments["n_init"], arguments["n_jobs"], arguments["max_iter"]) == (2, 1, 50)


# -- splits ----------------------------------------------------------------------------------------
def test_splits_never_end_below_the_mixture_before():
    X = np.random.default_rng(4).standard_normal((400, 3)) ** 3
    types = all_types(*X.shape)
    selection = fastgmm.select(
        X, range(1, 7), types, share_starts="split", random_state=0, tol=1e-2
    )
    likelihoods = np.array([cell.log_likelihood for cell in selection.cells]).reshape(6, -1)
    assert (np.diff(likelihoods, axis=0) >= -1e-9 * np.abs(likelihoods[1:])).all()
    assert {cell.start for cell in selection.cells[len(types) :]} == {"split"}
    key = selection.cells[-1].key
    again = fastgmm.GaussianMixture(**selection.fits[key].get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(again.fit(X).means_, selection.fits[key].means_)
    # A gap is crossed by several splits.
    assert fastgmm.select(X, (1, 4), "full", share_starts="split").fits[4, "full"].n_components == 4


# -- files -----------------------------------------------------------------------------------------
def same_table(one, other):
    left_out = ["seconds"]
    return one.to_frame().drop(columns=left_out).equals(other.to_frame().drop(columns=left_out))


def test_ties_are_broken_by_the_order_of_the_table(monkeypatch):
    """With one component, 'full' and 'tied' are the same, and threads end in any order."""
    tables = []
    for order in (1, -1):
        run = ThreadEngine.for_each

        def for_each(engine, function, n_items, order=order):
            for item in range(n_items)[::order]:
                function(item)

        monkeypatch.setattr(ThreadEngine, "for_each", for_each)
        tables.append(fastgmm.select(IRIS, 1, ("full", "tied", "VVE", "EEE"), random_state=0))
        monkeypatch.setattr(ThreadEngine, "for_each", run)
    assert [cell.tol for cell in tables[0].cells] == [cell.tol for cell in tables[1].cells]
    assert tables[0].best_index_ == tables[1].best_index_


def test_saved_and_pickled(tmp_path):
    selection = fastgmm.select(
        IRIS, (2, 200), criterion=lambda model, X: -model.score(X), random_state=0
    )
    selection.save(tmp_path / "selection.npz")
    for copy in (fastgmm.load(tmp_path / "selection.npz"), pickle.loads(pickle.dumps(selection))):
        assert same_table(copy, selection)
        assert repr(copy) == repr(selection)
        for key, model in selection.fits.items():
            np.testing.assert_array_equal(copy.fits[key].predict(IRIS), model.predict(IRIS))
    damaged = bytearray((tmp_path / "selection.npz").read_bytes())
    damaged[200] ^= 1
    (tmp_path / "selection.npz").write_bytes(damaged)
    with pytest.raises(fastgmm.ModelFileError):
        fastgmm.load(tmp_path / "selection.npz")


def test_an_interrupted_search_goes_on(tmp_path):
    path, asked = tmp_path / "search.npz", []

    def interrupting(X, n_components, random_state):
        asked.append(n_components)
        if n_components == 2:
            signal.raise_signal(signal.SIGINT)
        return np.arange(len(X)) % n_components

    with pytest.raises(KeyboardInterrupt) as caught:
        fastgmm.select(IRIS, (3, 2), "diag", init_params=interrupting, n_jobs=1)
    assert caught.value.selection.cells[0].status == "ok"
    assert "ended before" in caught.value.selection.cells[1].error

    desired = fastgmm.select(IRIS, (1, 2, 3), ("full", "diag"), random_state=0)
    # Without shared starts, every fit is one of its own.
    part = {"checkpoint": path, "random_state": 0, "n_jobs": 1, "share_starts": False}
    fits = fastgmm.selection.fits.fit_rows
    with pytest.MonkeyPatch.context() as patch:

        def failing(model, *rest):
            if model.n_components == 1:
                raise KeyboardInterrupt
            return fits(model, *rest)

        patch.setattr("fastgmm.selection.fits.fit_rows", failing)
        with pytest.raises(KeyboardInterrupt):
            fastgmm.select(IRIS, (1, 2, 3), ("full", "diag"), **part)
    with pytest.MonkeyPatch.context() as patch:
        counted = []
        patch.setattr(
            "fastgmm.selection.fits.fit_rows",
            lambda model, *rest: counted.append(model.n_components) or fits(model, *rest),
        )
        selection = fastgmm.select(IRIS, (1, 2, 3), ("full", "diag"), **part)
        assert same_table(selection, desired)
        assert counted.count(1) == 2
        # Two of six were done, those of most components.
        assert len(counted) == 4 + sum(cell.tol < 1e-3 for cell in desired.cells)
        counted.clear()
        assert same_table(fastgmm.select(IRIS, (1, 2, 3), ("full", "diag"), **part), desired)
        assert not counted
    with pytest.raises(ValueError, match="another search: criterion was 'bic' and is 'aic'"):
        fastgmm.select(IRIS, (1, 2, 3), ("full", "diag"), criterion="aic", **part)
    with pytest.raises(ValueError, match="digest of the rows"):
        fastgmm.select(IRIS + 1e-9, (1, 2, 3), ("full", "diag"), **part)
    with pytest.raises(fastgmm.ModelFileError, match="holds a search"):
        fastgmm.load(path)
    anew = tmp_path / "anew.npz"
    one = fastgmm.select(IRIS, 2, "diag", checkpoint=anew)
    assert same_table(fastgmm.select(IRIS, 2, "diag", checkpoint=anew), one)
    with pytest.raises(ValueError, match="functions cannot be saved"):
        fastgmm.select(IRIS, 2, "diag", init_params=interrupting, checkpoint=tmp_path / "f.npz")


def test_missing_values():
    X = IRIS.copy()
    X[::7, 1] = np.nan
    found = fastgmm.select(X, [1, 2], ("full", "diag"), missing_values="em", random_state=0)
    model, frame = found.fits[2, "full"], found.to_frame()
    assert frame["bic"].min() == pytest.approx(found.best_estimator_.bic(X))
    assert model.missing_values == "em"
    # Of the classes that are likeliest by what is observed.
    likeliest = [np.log(fit.predict_proba(X).max(axis=1)).sum() for fit in found.fits.values()]
    np.testing.assert_allclose(frame["icl"], frame["bic"] - 2 * np.array(likeliest))


def test_classes_of_rows_with_holes_and_noise():
    X = np.r_[IRIS, np.random.RandomState(0).uniform(0, 9, (15, 4))]
    X[::7, 1], X[::11, 0] = np.nan, np.nan
    given = {"missing_values": "em", "noise": "box", "random_state": 0}
    found = fastgmm.select(X, [1, 2], "diag", criterion="icl", **given)
    frame = found.to_frame()
    likeliest = [np.log(fit.predict_proba(X).max(axis=1)).sum() for fit in found.fits.values()]
    np.testing.assert_allclose(frame["icl"], frame["bic"] - 2 * np.array(likeliest))
    model = found.best_estimator_
    result = model.bootstrap(X, n=20, random_state=0)
    assert abs(result.noise_weight.mean() - model.noise_weight_) < 0.05
    assert len(found.bootstrap(X, n=5, random_state=0).distribution[0]) == 5


def test_held_out_rows_may_lack_values(tmp_path):
    X = IRIS.copy()
    X[::7, 1], X[5] = np.nan, np.nan
    weights = np.arange(len(X)) % 3 + 1.0
    given = {"missing_values": "em", "criterion": "cv", "random_state": 0, "sample_weight": weights}
    found = fastgmm.select(X, [2], "diag", **given)
    rows, weights = np.delete(X, 5, axis=0), np.delete(weights, 5)
    seed = np.random.SeedSequence(0, spawn_key=(0,)).generate_state(1)[0]
    total = 0.0
    for train, test in KFold(5, shuffle=True, random_state=int(seed)).split(rows):
        model = fastgmm.GaussianMixture(**found.best_estimator_.get_params())
        model.fit(rows[train], sample_weight=weights[train])
        total += model.score(rows[test], sample_weight=weights[test]) * weights[test].sum()
    assert found.scores[0, 0] == pytest.approx(total / weights.sum(), rel=1e-12)
    np.save(tmp_path / "rows.npy", X)
    of_file = fastgmm.select(tmp_path / "rows.npy", [2], "diag", **given)
    np.testing.assert_allclose(of_file.scores, found.scores, rtol=1e-12)
    sparse = IRIS.copy()
    sparse[1:, 2] = np.nan
    with pytest.raises(ValueError, match=r"without fold \d has no value in column '2'"):
        fastgmm.select(sparse, [1], "diag", missing_values="em", criterion="cv")


def test_noise():
    X = np.r_[IRIS, np.random.RandomState(0).uniform(0, 9, (15, 4))]
    found = fastgmm.select(X, [1, 3], "full", noise="box", random_state=0)
    model = found.fits[3, "full"]
    frame = found.to_frame()
    assert frame["bic"].tolist() == [pytest.approx(m.bic(X)) for m in found.fits.values()]
    likeliest = np.log(model.predict_proba(X).max(axis=1)).sum()
    assert frame["icl"][1] == pytest.approx(model.bic(X) - 2 * likeliest)


def test_labels_to_start_from_where_a_row_has_no_value():
    X = IRIS.copy()
    X[::7, 1], X[3] = np.nan, np.nan
    labels = np.arange(len(X)) // 50
    given = {"init_params": labels, "missing_values": "em", "random_state": 0}
    best = fastgmm.select(X, [3], "diag", **given).best_estimator_
    own = fastgmm.GaussianMixture(3, covariance_type="diag", tol=best.tol, **given).fit(X)
    np.testing.assert_array_equal(best.means_, own.means_)
