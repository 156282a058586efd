"""
How many components?
====================

The likelihood cannot say: it grows with every component. Three answers on the same data weigh
it, each in a way of its own: a criterion that counts parameters, rows that were kept aside, and
a test. A kernel density estimate beside them needs no number at all, and pays for that.
"""

# %%
# The lengths of the petals of 150 irises: three species, of which two overlap.
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import gaussian_kde
from sklearn.datasets import load_iris

import fastgmm
from fastgmm import plotting

petals = load_iris(as_frame=True).data.iloc[:, [2]]
numbers = range(1, 9)

# %%
# What the likelihood says
# ------------------------
# ``select`` fits all numbers of components, each from several starts. The mean log-likelihood
# of the rows that the mixtures were fitted to climbs on and on.
selection = fastgmm.select(petals, numbers, "full", n_init=5, random_state=0)
table = selection.to_frame()
print(table[["n_components", "log_likelihood", "n_parameters", "bic", "aic", "status"]].round(1))

# %%
# A criterion
# -----------
# The Bayesian information criterion charges log n for every parameter, and approximates how likely
# the data are under the model as a whole (Schwarz 1978). Akaike's charges 2, and asks for
# prediction (Akaike 1974). ICL also charges for components that overlap, and asks for clusters.
# The lower, the better.
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for ax, criterion in zip(axes, ("bic", "aic", "icl")):
    plotting.selection(selection, criterion=criterion, ax=ax)
    ax.get_legend().remove()
plt.show()

# %%
# Rows kept aside
# ---------------
# Cross-validation fits to nine tenths and scores the tenth, in turn: what is too fine loses.
# Kernel density estimation takes part. It puts a Gaussian on every row; only their width is chosen,
# here by Scott's rule and, at half and a quarter of it, by hand.
held_out = fastgmm.select(petals, numbers, "full", criterion="cv", cv=10, n_init=5, random_state=0)
scores = held_out.to_frame()["score"].to_numpy()

x = petals.to_numpy().ravel()
parts = np.array_split(np.random.default_rng(0).permutation(len(x)), 10)
of_kernels = {}
for share in (1.0, 0.5, 0.25):
    logs = []
    for part in parts:
        rest = np.delete(x, part)
        scott = gaussian_kde(rest).factor
        logs.append(gaussian_kde(rest, scott * share).logpdf(x[part]))
    of_kernels[share] = np.concatenate(logs).mean()

ax = plt.figure().subplots()
ax.plot(list(numbers), scores, marker="o", label="mixture")
for (share, score), style in zip(of_kernels.items(), ("--", "-.", ":")):
    ax.axhline(score, color="#882255", ls=style, label=f"kernels, {share:g} of Scott's width")
ax.set(xlabel="components", ylabel="held-out log-likelihood per row")
ax.legend()
plt.show()

# %%
# A test
# ------
# Is one more component worth it? The likelihood ratio has no textbook distribution here. So samples
# are drawn from the smaller mixture, and both are fitted to each (McLachlan 1987).
print(selection.bootstrap(petals, n=99, random_state=0))

# %%
# The densities
# -------------
# Two components and eight, and kernels of Scott's width. Kernels blur what is narrow and are rough
# where rows are few, with one width for both; and they are as large as the data, where a mixture
# is some numbers. In many dimensions there are never enough rows for them.
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained", sharey=True)
grid = np.linspace(0, 8, 400)
for ax, k in zip(axes, (selection.best_estimator_.n_components, 8)):
    plotting.density(selection.fits[k, "full"], petals, ax=ax)
    ax.set_title(f"{k} components")
    ax.get_legend().remove()
axes[2].hist(x, bins=30, density=True, color="#DDDDDD")
axes[2].plot(grid, gaussian_kde(x)(grid), color="#882255")
axes[2].set_title("kernels on all 150 rows")
axes[2].set_xlabel("petal length (cm)")
plt.show()

# %%
# What the number is
# ------------------
# All say how many Gaussians describe the rows well, not how many kinds there are. A skewed group
# takes two; two groups of one shape may share one. With all four measurements
# :doc:`BIC chooses two components </mclust>` for three species, by a hair.
