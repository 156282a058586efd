"""
The variance in the denominator
===============================

k-means and a Gaussian mixture take the same steps: share the rows out, then move the centres.
They differ in what is near. k-means measures every distance alike. A mixture divides it by the
component's own variance,

.. math::
   \\log p(x) = -\\tfrac12 \\left(\\frac{(x - \\mu)^2}{\\sigma^2} + \\log 2\\pi\\sigma^2\\right),

so that a wide component reaches far, and a narrow one does not.
"""

# %%
# Two clusters in one dimension, one three times as wide as the other.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans

from fastgmm import GaussianMixture, plotting

random = np.random.default_rng(0)
x = np.concatenate([random.normal(0, 3, 600), random.normal(6, 0.6, 600)])[:, np.newaxis]
truth = np.repeat([0, 1], 600)
kmeans = KMeans(2, n_init=5, random_state=0).fit(x)
mixture = GaussianMixture(2, random_state=0).fit(x)

ax = plotting.density(mixture, x)
border = kmeans.cluster_centers_.mean()
ax.axvline(border, color="black", ls=":", label="border of k-means")
ax.legend()
plt.show()

# %%
# The border of k-means lies halfway between the centres, amid the wide cluster. The mixture's
# lies where the two curves cross, twice: what is far to the right belongs to the wide component
# again.


def agreement(labels):
    """Share of the rows that are with their own, whatever the clusters are called."""
    same = np.mean(labels == truth)
    return max(same, 1 - same)


print(f"k-means {agreement(kmeans.labels_):.1%}, mixture {agreement(mixture.predict(x)):.1%}")

# %%
# In two dimensions the covariance matrix is in the denominator, so that direction counts, too. Here
# the clusters of k-means would be a poor start; EM begins with seeds of k-means++ instead.
stretch = np.array([[3.0, 0.0], [0.0, 0.35]])
X = np.concatenate(
    [random.standard_normal((300, 2)) @ stretch + [0, shift] for shift in (-2.0, 0.0, 2.0)]
)
model = GaussianMixture(3, n_init=10, init_params="k-means++", random_state=0).fit(X)
plotting.kmeans_comparison(model, X)
plt.show()

# %%
# From a mixture to k-means
# -------------------------
# Make all variances equal, spherical and small, and the responsibilities become zeros and ones:
# then the steps of EM are those of k-means (Bishop 2006, section 9.3.2).
for variance in (9.0, 1.0, 0.01):
    equal = GaussianMixture(3, covariance_type="spherical")
    centres = KMeans(3, n_init=5, random_state=0).fit(X).cluster_centers_
    equal.weights_, equal.means_ = np.full(3, 1 / 3), centres
    equal.covariances_ = np.full(3, variance)
    equal.precisions_cholesky_ = equal.covariances_**-0.5
    unsure = 1 - equal.predict_proba(X).max(axis=1)
    print(f"variance {variance:4}: mean uncertainty {unsure.mean():.3f}")
