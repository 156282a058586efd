"""Convergence, selection, structures, responsibilities and the comparison with k-means."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import Ellipse

from fastgmm import GaussianMixture, fit_many, plotting
from fastgmm.covariance import STRUCTURES
from fastgmm.plotting import style
from fastgmm.plotting.shapes import _BY_LETTERS, _covariances, _Letters
from tests import fresh


def test_convergence_shows_the_bounds(model, rows):
    ax = plotting.convergence(model)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), model.lower_bounds_)
    other = GaussianMixture(3, random_state=1, init_params="random").fit(rows)
    ax = plotting.convergence({"one": model, "other": other}, ax=pyplot.figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "other"]
    best = max(model.lower_bounds_ + other.lower_bounds_)
    ax = plotting.convergence([model, other], gap=True, ax=pyplot.figure().subplots())
    gap = ax.lines[1].get_ydata()
    np.testing.assert_allclose(gap[0], best - other.lower_bounds_[0])
    assert ax.get_yscale() == "log"
    with pytest.raises(TypeError, match="has no lower_bounds_"):
        plotting.convergence(GaussianMixture())
    with pytest.raises(ValueError, match="no iteration"):
        plotting.convergence([])


@pytest.fixture
def chosen():
    """What a selection is asked for."""
    frame = pd.DataFrame(
        {
            "n_components": [2, 1, 3, 1, 2, 3],
            "covariance_type": ["full"] * 3 + ["diag"] * 3,
            "bic": [5.0, 9.0, np.nan, 8.0, 7.0, 4.0],
            "aic": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0],
            "status": ["near singular", "ok", "failed", "ok", "ok", "ok"],
            "score": [5.0, 9.0, np.nan, 8.0, 7.0, 4.0],
        }
    )
    return SimpleNamespace(to_frame=lambda: frame, criterion="bic", best_index_=5)


def test_selection_has_a_line_per_structure_and_marks_the_best(chosen):
    ax = plotting.selection(chosen)
    full, diag, doubtful, best = ax.lines
    np.testing.assert_array_equal(full.get_data(), [[1, 2, 3], [9, 5, np.nan]])
    np.testing.assert_array_equal(diag.get_data(), [[1, 2, 3], [8, 7, 4]])
    np.testing.assert_array_equal(doubtful.get_data(), [[2], [5]])
    np.testing.assert_array_equal(best.get_data(), [[3], [4]])
    assert best.get_label() == "best: diag, 3"
    assert ax.get_ylabel() == "BIC"
    ax = plotting.selection(chosen, criterion="aic", ax=pyplot.figure().subplots())
    np.testing.assert_array_equal(ax.lines[-1].get_data(), [[1], [2]])
    chosen.criterion = "held-out"
    ax = plotting.selection(chosen, ax=pyplot.figure().subplots())
    np.testing.assert_array_equal(ax.lines[-1].get_data(), [[3], [4]])
    assert ax.get_ylabel() == "held-out"
    with pytest.raises(ValueError, match="criterion should be one of bic, aic, icl"):
        plotting.selection(chosen, criterion="seconds")
    with pytest.raises(TypeError, match="not int"):
        plotting.selection(3)
    with pytest.raises(TypeError, match="selection shows a Selection, not FitReport"):
        plotting.selection(fit_many([np.arange(8.0)[:, np.newaxis]], 1))
    chosen.to_frame()["bic"] = np.nan
    with pytest.raises(ValueError, match="No fit has a finite bic"):
        plotting.selection(chosen, criterion="bic")


def test_structures_share_what_their_letters_say():
    for letters in _BY_LETTERS:
        variances, axes = np.linalg.eigh(_covariances(_Letters(*letters)))
        volumes, ratios = np.sqrt(variances.prod(axis=1)), variances[:, 1] / variances[:, 0]
        directions = np.abs(axes[:, :, 1])
        assert (np.ptp(volumes) > 0.1) == (letters[0] == "V")
        if letters[1] == "I":
            np.testing.assert_allclose(ratios, 1.0)
        else:
            assert (np.ptp(ratios) > 0.1) == (letters[1] == "V")
            assert (np.ptp(directions, axis=0).max() > 0.1) == (letters[2] == "V")
            assert np.allclose(directions, [1, 0]) == (letters[2] == "I")
    shown = [panel for panel in plotting.structures().axes if panel.get_visible()]
    known = sum(
        name in STRUCTURES or letters in STRUCTURES for letters, name in _BY_LETTERS.items()
    )
    assert len(shown) == known
    assert all(len([p for p in panel.patches if isinstance(p, Ellipse)]) == 6 for panel in shown)


def test_responsibilities(model, rows):
    ax = plotting.responsibilities(model, rows)
    shown, shares = ax.images[0].get_array(), model.predict_proba(rows)
    assert np.all(np.diff(shown.argmax(axis=1)) >= 0)
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(shares, axis=0))
    ax = plotting.responsibilities(
        model, rows, kind="uncertainty", features=(1, 2), ax=pyplot.figure().subplots()
    )
    sizes = np.concatenate([points.get_sizes() for points in ax.collections])
    np.testing.assert_allclose(
        np.sort(sizes), np.sort(10 + 160 * (1 - shares.max(axis=1))), rtol=1e-6
    )
    assert ax.get_ylabel() == "x2"
    with pytest.raises(ValueError, match="X should hold the rows"):
        plotting.responsibilities(model, None)
    with pytest.raises(ValueError, match="kind should be one of heatmap, uncertainty"):
        plotting.responsibilities(model, rows, kind="table")


def test_noise_is_grey_and_has_its_name(rows, fresh_figure):
    far = np.random.default_rng(0).uniform(-30, 30, (40, 3))
    model = GaussianMixture(3, noise="box", random_state=0).fit(np.r_[rows, far])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plotting.responsibilities(model, far)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "1", "2", "noise"]
        ax = plotting.responsibilities(
            model, np.r_[far, rows], kind="uncertainty", ax=pyplot.figure().subplots()
        )
    noise = next(points for points in ax.collections if points.get_label() == "noise")
    assert to_hex(noise.get_edgecolor()[0]) == style.GREY.lower()
    sizes = {size for handle in ax.get_legend().legend_handles for size in handle.get_sizes()}
    assert len(sizes) == 1


def test_markers_of_many_rows_shrink(model, rows):
    many = np.tile(rows, (50, 1))
    ax = plotting.responsibilities(model, many, kind="uncertainty")
    assert max(points.get_sizes().max() for points in ax.collections) < 0.1 * 90


def test_kmeans_beside_a_mixture(model, rows):
    apart = rows + 10.0 * model.predict(rows)[:, np.newaxis]
    figure = plotting.kmeans_comparison(GaussianMixture(3, random_state=0).fit(apart), apart)
    left, right = figure.axes
    assert left.get_xlim() == right.get_xlim()
    # Of clusters so far apart both methods have the same, and so the same colours.
    assert right.get_title() == "mixture: 0 % of rows elsewhere"
    for one, other in zip(left.collections[:3], right.collections[:3], strict=True):
        np.testing.assert_array_equal(one.get_offsets(), other.get_offsets())
        np.testing.assert_array_equal(one.get_facecolor(), other.get_facecolor())
    with pytest.raises(ValueError, match="two features"):
        plotting.kmeans_comparison(model, rows, features=0)
    with pytest.raises(ValueError, match="at least as many rows as components, 3, but has 1"):
        plotting.kmeans_comparison(model, rows[:1])


def test_rows_with_missing_values(rows, fresh_figure):
    holes = rows.copy()
    holes[::5, 0] = holes[2::7, 2] = np.nan
    model = GaussianMixture(2, random_state=0, missing_values="em").fit(holes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plotting.responsibilities(model, holes, kind="uncertainty")
        fresh_figure.canvas.draw()
        none = np.full((2, 3), [np.nan, 1.0, 2.0])
        plotting.responsibilities(model, none, kind="uncertainty", ax=fresh_figure.subplots())
    drawn = np.concatenate([points.get_offsets() for points in ax.collections])
    assert len(drawn) == np.isfinite(holes[:, :2]).all(axis=1).sum()
    with pytest.raises(ValueError, match="needs rows without missing values"):
        plotting.kmeans_comparison(model, holes)


def test_a_report_draws_one_of_its_mixtures(rows):
    report = fit_many({"a": rows, "b": rows + 9.0}, 2, random_state=0)
    ax = report.plot("b", rows + 9.0, features=(2, 0))
    first = next(patch for patch in ax.patches if patch.get_alpha() is None)
    np.testing.assert_allclose(first.center, report["b"].means_[0, [2, 0]])
    with pytest.raises(KeyError):
        report.plot("c")


def test_importing_the_package_does_not_import_matplotlib():
    code = (
        "import fastgmm, sys; fastgmm.GaussianMixture; fastgmm.gaussian;"
        "assert 'matplotlib' not in sys.modules; fastgmm.plotting.components"
    )
    fresh.run(code, check=True)


def test_without_matplotlib_the_error_says_how_to_get_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "try: import fastgmm.plotting\n"
        "except ImportError as error: assert 'fastgmm[plot]' in str(error), error\n"
        "else: raise AssertionError"
    )
    fresh.run(code, check=True)
