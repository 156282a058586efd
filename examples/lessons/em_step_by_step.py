"""
EM, step by step
================

The expectation-maximization algorithm on Fisher's irises, by hand: from random centres to the
fit that ``GaussianMixture`` finds, with a picture on the way. The functions are those of
:mod:`fastgmm.gaussian`; formulas have the numbers of Bishop, *Pattern Recognition and Machine
Learning* (2006).
"""

# %%
# The density
# -----------
# A Gaussian is given by its mean and its standard deviation, or by its mean and its precision,
# one over the variance.
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse
from sklearn.datasets import load_iris

from fastgmm import GaussianMixture, gaussian, plotting

x = np.linspace(-4, 4, 200)
for scale in (0.5, 1.0, 2.0):
    density = gaussian.pdf(x, mean=0.0, scale=scale)
    np.testing.assert_allclose(density, gaussian.pdf(x, mean=0.0, precision=1 / scale**2))
    plt.plot(x, density, label=f"standard deviation {scale}, precision {1 / scale**2:g}")
plt.ylabel("density")
plt.ylim(0, 1.1)
plt.legend()
plt.show()

# %%
# In several dimensions the covariance matrix takes the place of the variance. That of largest
# likelihood divides by the number of rows, not by one less.
iris = load_iris()
X = iris.data
print(gaussian.covariance_matrix(X).round(3))

# %%
# The start
# ---------
# A mixture is a weighted sum of Gaussians. We begin with three flowers, drawn at random, as
# centres, equal weights, and the covariance of all rows for each.
random = np.random.default_rng(11)
weights = np.full(3, 1 / 3)
means = X[random.choice(len(X), 3, replace=False)]
covariances = np.repeat(gaussian.covariance_matrix(X)[np.newaxis], 3, axis=0)


def draw(ax, title):
    """The mixture as it stands, over flowers in the colours of their likeliest component."""
    model = GaussianMixture(3)
    model.weights_, model.means_, model.covariances_ = weights, means, covariances
    model.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances)[:, ::-1, ::-1])[
        :, ::-1, ::-1
    ]
    plotting.components(model, X, features=(2, 3), ax=ax)
    ax.get_legend().remove()
    ax.set(title=title, xlabel="petal length (cm)", ylabel="petal width (cm)")
    ax.set(xlim=(0, 8), ylim=(-0.5, 3.3))


# %%
# The two steps
# -------------
# The E-step gives every flower its responsibilities: the probability of each component, given the
# flower (eq. 9.23). The M-step makes new parameters of them, as if a flower were shared out among
# the components (eq. 9.24 to 9.27). Neither ever lowers the log-likelihood. All four measurements
# are used; the pictures show two of them.
figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
shown = dict(zip((0, 1, 3, 6, 12), axes.flat))
likelihoods, change = [-np.inf], np.inf
while change >= 1e-6 * len(X):
    iteration = len(likelihoods) - 1
    if iteration in shown:
        draw(shown[iteration], f"after {iteration} iterations")
    likelihoods.append(gaussian.log_likelihood(X, weights, means, covariances))
    change = likelihoods[-1] - likelihoods[-2]
    responsibilities = gaussian.e_step(X, weights, means, covariances)
    weights, means, covariances = gaussian.m_step(X, responsibilities, reg_covar=1e-6)
draw(axes[1, 2], f"after {len(likelihoods) - 1}, converged")
plt.show()

# %%
# The log-likelihood climbs, fast at first, then by less and less.
assert np.all(np.diff(likelihoods) > -1e-9)
plt.plot(likelihoods[1:], marker="o", ms=3)
plt.xlabel("iteration")
plt.ylabel("log-likelihood")
plt.show()

# %%
# The same by the estimator
# -------------------------
# From the same start ``GaussianMixture`` takes the same steps to the same parameters, up to
# rounding.
random = np.random.default_rng(11)
model = GaussianMixture(
    3,
    means_init=X[random.choice(len(X), 3, replace=False)],
    weights_init=np.full(3, 1 / 3),
    precisions_init=np.repeat(np.linalg.inv(gaussian.covariance_matrix(X))[np.newaxis], 3, axis=0),
    max_iter=1000,
    tol=1e-6,
).fit(X)
assert model.n_iter_ == len(likelihoods) - 1
np.testing.assert_allclose(model.means_, means, rtol=1e-10)
np.testing.assert_allclose(model.covariances_, covariances, rtol=1e-8)
print("largest difference of the means:", np.abs(model.means_ - means).max())

# %%
# The start decides
# -----------------
# EM climbs to an optimum near its start, which need not be the highest. So estimators start from
# the clusters of k-means, or from several starts (``n_init``), and keep the best: here it is
# higher.
best = GaussianMixture(3, random_state=0).fit(X)
print(
    f"log-likelihood from random centres {likelihoods[-1]:.1f}, from k-means "
    f"{best.score(X) * len(X):.1f}"
)

# %%
# What it found
# -------------
# Botanists know three species. The mixture has never seen their names, and still agrees on all
# but five flowers, because species differ not in size alone, but in how their measurements go
# together.
labels = best.predict(X)
for c in range(3):
    names, counts = np.unique(iris.target_names[iris.target[labels == c]], return_counts=True)
    print(c, dict(zip(names.tolist(), counts.tolist())))
plotting.responsibilities(best, X)
plt.show()

# %%
# A word on ellipses
# ------------------
# In one dimension, 68 % lie within a standard deviation of the mean. In two it is 39 %: that is
# why the levels of :func:`fastgmm.plotting.components` are probabilities.
draws = random.standard_normal((2000, 2))
inside = (draws**2).sum(axis=1) < 1
plt.figure(figsize=(4, 4))
plt.scatter(*draws.T, s=4, c=np.where(inside, "#0072B2", "#8C8C8C"))
plt.gca().add_patch(Ellipse((0, 0), 2, 2, fill=False, lw=2))
plt.gca().set(aspect="equal", title=f"within one standard deviation: {inside.mean():.0%}")
plt.show()
