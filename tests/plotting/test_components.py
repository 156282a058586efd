"""What is drawn of components: where ellipses lie, how long their axes are, what they hold."""

import copy
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.mixture
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.path import Path
from scipy.stats import chi2
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, plotting
from fastgmm.covariance import STRUCTURES
from fastgmm.plotting.ellipses import ellipse_of
from fastgmm.plotting.style import COLOURS, MARKERS, colour_of, marker_of
from fastgmm.sources.opening import open_source
from tests import structures


def ellipses(ax):
    """Those in the components' colours, without the outlines beneath."""
    return [
        patch for patch in ax.patches if isinstance(patch, Ellipse) and patch.get_alpha() is None
    ]


@pytest.mark.parametrize("covariance_type", structures.ALL)
def test_ellipses_have_the_axes_of_the_marginal(covariance_type, rows):
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(rows)
    ax = plotting.components(model, rows, features=(0, 2))
    matrices = STRUCTURES[covariance_type].as_matrices(model.covariances_, 2, 3)
    found = ellipses(ax)
    assert len(found) == 4
    for i, (c, level) in enumerate([(0, 0.5), (0, 0.95), (1, 0.5), (1, 0.95)]):
        np.testing.assert_allclose(found[i].center, model.means_[c, [0, 2]])
        variances = np.linalg.eigvalsh(matrices[c][np.ix_([0, 2], [0, 2])])
        half_axes = np.sqrt(chi2.ppf(level, 2) * variances)
        drawn = sorted([found[i].height / 2, found[i].width / 2])
        np.testing.assert_allclose(drawn, half_axes, rtol=1e-10)


@pytest.mark.parametrize("level", [0.3935, 0.5, 0.95])
def test_an_ellipse_holds_its_level_and_lies_along_its_axes(level):
    random = np.random.default_rng(0)
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    draws = random.multivariate_normal([1.0, -2.0], covariance, 20_000)
    ellipse = ellipse_of(np.array([1.0, -2.0]), covariance, level)
    inside = ellipse.get_path().contains_points(
        ellipse.get_patch_transform().inverted().transform(draws)
    )
    assert inside.mean() == pytest.approx(level, abs=0.01)  # the standard error is 0.0035


def test_one_deviation_holds_39_percent():
    ellipse = ellipse_of(np.zeros(2), np.eye(2), 1 - np.exp(-0.5))
    assert ellipse.width == pytest.approx(2.0)


def test_labels_colours_and_legend(model, rows):
    frame = pd.DataFrame(rows, columns=["length", "width", "height"])
    named = GaussianMixture(3, random_state=0).fit(frame)
    ax = plotting.components(named, frame, features=("height", "length"))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "length")
    labels = named.predict(frame)
    for c, points in enumerate(ax.collections):
        np.testing.assert_allclose(points.get_offsets(), rows[labels == c][:, [2, 0]])
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "ellipses hold 50 % and 95 %"
    assert [text.get_text()[:2] for text in legend.get_texts()] == ["0 ", "1 ", "2 "]
    # Without names in the model, those of the columns.
    ax = plotting.components(model, frame, ax=pyplot.figure().subplots())
    assert ax.get_xlabel() == "length"
    assert plotting.components(model, rows, ax=pyplot.figure().subplots()).get_xlabel() == "x0"


def test_it_draws_on_the_axes_that_it_is_given(model, rows):
    figure = Figure()
    ax = figure.subplots()
    assert plotting.components(model, rows, ax=ax) is ax
    assert plotting.density(model, ax=ax) is ax
    current = pyplot.gca()
    assert plotting.components(model) is current
    assert not current.collections  # no rows are given
    assert len(ellipses(current)) == 6


def test_many_rows_are_thinned_and_the_legend_says_so(model, rows, tmp_path):
    many = np.tile(rows, (60, 1))
    ax = plotting.components(model, many)
    assert sum(len(points.get_offsets()) for points in ax.collections) == 10_000
    assert "10,000 of 10,800 rows" in ax.get_legend().get_title().get_text()
    np.save(tmp_path / "rows.npy", many)
    on_disk = plotting.components(model, tmp_path / "rows.npy", ax=pyplot.figure().subplots())
    for one, other in zip(ax.collections, on_disk.collections, strict=True):
        np.testing.assert_array_equal(one.get_offsets(), other.get_offsets())


def test_colours_and_markers_differ():
    assert len(set(COLOURS)) == len(COLOURS) == len(set(MARKERS))
    assert len({(colour_of(c), marker_of(c)) for c in range(64)}) == 64


def test_numbers_stand_in_for_a_long_legend(rows):
    model = GaussianMixture(14, random_state=0, max_iter=2, tol=1e9).fit(rows)
    ax = plotting.components(model, rows)
    assert [text.get_text() for text in ax.texts] == [str(c) for c in range(14)]
    assert not ax.get_legend().get_texts()


@pytest.mark.parametrize("cls", [BayesianGaussianMixture, sklearn.mixture.GaussianMixture])
def test_other_mixtures(cls, rows):
    model = cls(n_components=2, random_state=0, max_iter=500).fit(rows)
    np.testing.assert_allclose(
        ellipses(plotting.components(model, rows))[0].center, model.means_[0, :2]
    )


def test_one_feature_is_a_histogram_with_the_mixture(model, rows):
    one = GaussianMixture(2, random_state=0).fit(rows[:, :1])
    for function in (plotting.components, plotting.density):
        ax = function(one, rows[:, :1], ax=pyplot.figure().subplots())
        mixture, *parts = ax.lines
        x, y = mixture.get_data()
        np.testing.assert_allclose(y, np.exp(one.score_samples(x[:, np.newaxis])), rtol=1e-9)
        np.testing.assert_allclose(y, sum(part.get_ydata() for part in parts), rtol=1e-12)
        assert sum(bar.get_width() * bar.get_height() for bar in ax.patches) == pytest.approx(1)
    ax = plotting.density(model, rows, features=2, ax=pyplot.figure().subplots())
    assert np.trapezoid(ax.lines[0].get_ydata(), ax.lines[0].get_xdata()) == pytest.approx(
        1, abs=0.01
    )


def test_weights_count_in_the_histogram_and_rows_of_weight_0_are_not_drawn(rows, tmp_path):
    frame = pd.DataFrame(rows[:, :2], columns=["a", "b"])
    frame["w"] = np.arange(len(rows)) % 4.0
    frame.to_parquet(tmp_path / "rows.parquet")
    source = open_source(tmp_path / "rows.parquet", weight="w")
    present = frame[frame["w"] > 0]
    model = GaussianMixture(2, random_state=0).fit(source)
    ax = plotting.components(model, source)
    drawn = np.concatenate([points.get_offsets() for points in ax.collections])
    np.testing.assert_allclose(
        np.sort(drawn, axis=0), np.sort(present[["a", "b"]].to_numpy(), axis=0)
    )
    bars = plotting.density(model, source, features="a", ax=pyplot.figure().subplots()).patches
    edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
    expected, _ = np.histogram(present["a"], edges, density=True, weights=present["w"])
    np.testing.assert_allclose([bar.get_height() for bar in bars], expected, rtol=1e-6)


def test_a_lazy_frame_does_not_warn(rows):
    frame = pl.DataFrame(rows, schema=["a", "b", "c"]).lazy()
    model = GaussianMixture(2, random_state=0).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plotting.components(model, frame).get_xlabel() == "a"


@pytest.mark.parametrize("noise", [None, "box"])
def test_contours_say_that_they_leave_noise_out(rows, noise):
    model = GaussianMixture(2, noise=noise, random_state=0).fit(rows)
    title = plotting.density(model, rows).get_legend().get_title().get_text()
    assert ("without the noise" in title) == (noise is not None)


def test_noise_of_one_feature_is_a_part(rows):
    X = np.concatenate([rows[:, :1], np.linspace(-60, 60, 40)[:, np.newaxis]])
    model = GaussianMixture(2, noise="box", random_state=0).fit(X)
    mixture, *_, noise = plotting.density(model, X).lines
    x, y = mixture.get_data()
    inside = (x >= -60) & (x <= 60)
    assert inside.sum() > 100
    np.testing.assert_allclose(
        y[inside], np.exp(model.score_samples(x[inside, np.newaxis])), rtol=1e-9
    )
    assert np.trapezoid(noise.get_ydata(), x) == pytest.approx(model.noise_weight_)
    assert noise.get_label().startswith("noise (")
    # The curve is as high as noise within its box, and only there.
    small = GaussianMixture(2, noise=3.0, random_state=0).fit(X)
    ax = plotting.density(small, X, ax=pyplot.figure().subplots())
    x, heights = ax.lines[-1].get_data()
    (corner,), (edge,) = small.noise_box_
    assert x[heights > 0].min() == pytest.approx(corner)
    assert x[heights > 0].max() == pytest.approx(corner + edge)
    assert np.trapezoid(heights, x) == pytest.approx(small.noise_weight_)
    several = GaussianMixture(2, noise="box", random_state=0).fit(rows)
    ax = plotting.density(several, rows, features=0, ax=pyplot.figure().subplots())
    assert len(ax.lines) == 3


def test_pairs_show_every_pair(model, rows):
    figure = plotting.pairs(model, rows)
    panels = np.reshape(figure.axes, (3, 3))
    for i in range(3):
        for j in range(3):
            drawn = ellipses(panels[i, j])
            assert len(drawn) == (0 if i == j else 6)
            if drawn:
                np.testing.assert_allclose(drawn[0].center, model.means_[0, [j, i]])
    assert [panel.get_xlabel() for panel in panels[-1]] == ["x0", "x1", "x2"]
    inside = Figure()
    ax = inside.subplots()
    assert plotting.pairs(model, rows, features=("x2", "x0"), ax=ax) is inside
    assert len(inside.axes) == 5


def test_contours_hold_their_levels(model):
    ax = plotting.density(model, features=(0, 1), levels=(0.5, 0.9))
    lines = ax.collections[-1]
    X, _ = model.sample(4000)
    for path, level in zip(lines.get_paths(), (0.9, 0.5), strict=True):
        polygons = path.to_polygons()
        inside = np.any([Path(polygon).contains_points(X[:, :2]) for polygon in polygons], axis=0)
        assert inside.mean() == pytest.approx(level, abs=0.03)


def test_a_narrow_component_is_seen():
    model = GaussianMixture(2)
    model.weights_, model.means_ = np.array([0.5, 0.5]), np.array([[0.0, 0.0], [5.03, 5.07]])
    model.covariances_ = np.stack([100 * np.eye(2), 1e-6 * np.eye(2)])
    model.precisions_cholesky_ = np.stack([np.eye(2) / 10, 1e3 * np.eye(2)])
    ax = plotting.density(model, levels=(0.4,))
    (polygon,) = ax.collections[-1].get_paths()[0].to_polygons()
    assert Path(polygon).contains_points(model.means_).tolist() == [False, True]
    assert np.ptp(polygon, axis=0).max() < 0.01


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"features": (0, 3)}, "There is no feature 3; there are 3"),
        ({"features": ("a", 1)}, "There is no feature 'a'; there are x0, x1, x2"),
        ({"features": (1, 1)}, "names a feature twice"),
        ({"features": (0, 1, 2)}, "1 to 2 features, not 3"),
        ({"features": (0.5, 1)}, "is neither"),
        ({"features": 0.5}, "0.5 is neither"),
        ({"levels": (0.5, 95)}, "probabilities between 0 and 1"),
        ({"levels": ()}, "probabilities between 0 and 1"),
        ({"X": np.zeros((3, 2))}, "expecting 3 features"),
        ({"X": [[0.0, np.nan, 1.0]]}, "NaN"),
    ],
)
def test_errors(arguments, words, model):
    for function in (plotting.components, plotting.density):
        with pytest.raises(ValueError, match=words):
            function(model, **arguments)


def test_errors_of_models_and_axes(model, rows):
    with pytest.raises(TypeError, match="not of str"):
        plotting.components("model", rows)
    with pytest.raises(NotFittedError):
        plotting.components(GaussianMixture(2), rows)
    part = copy.copy(model)
    del part.precisions_cholesky_
    with pytest.raises(NotFittedError):
        plotting.components(part, rows)
    with pytest.raises(TypeError, match="ax should be a matplotlib Axes, but is int"):
        plotting.components(model, rows, ax=1)
    with pytest.raises(ValueError, match="ax should be of a subplot"):
        plotting.pairs(model, rows, ax=pyplot.figure().add_axes((0, 0, 1, 1)))
    wide = GaussianMixture(1).fit(np.random.default_rng(0).standard_normal((30, 11)))
    with pytest.raises(ValueError, match="choose some by"):
        plotting.pairs(wide)
