"""
A million points
================

An iteration of EM is one pass over the rows, on all cores, and nothing of the size of rows times
components is stored. A million points of eight clusters are a matter of seconds.
"""

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixture, plotting

random = np.random.default_rng(0)
angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
centres = 6 * np.column_stack([np.cos(angles), np.sin(angles)])
labels = random.integers(0, 8, 1_000_000)
X = (
    centres[labels]
    + random.standard_normal((1_000_000, 2)) * random.uniform(0.3, 1.3, (8, 2))[labels]
)

start = X[random.choice(len(X), 5000, replace=False)]
few = GaussianMixture(8, n_init=3, random_state=0).fit(start)
begin = time.perf_counter()
model = GaussianMixture(
    8,
    weights_init=few.weights_,
    means_init=few.means_,
    precisions_init=few.precisions_,
    tol=1e-6,
).fit(X)
seconds = time.perf_counter() - begin
print(f"{model.n_iter_} iterations in {seconds:.2f} s: {seconds / model.n_iter_:.3f} s each")

# %%
# The picture draws ten thousand of them, chosen at random, and says so.
plotting.components(model, X)
plt.show()

# %%
# The density shows what points that lie upon each other hide.
plotting.density(model)
plt.show()
