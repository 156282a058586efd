"""
A synthetic table
=================

Programs that make synthetic tables begin with a mixture for every column of numbers: RDT's
``ClusterBasedNormalizer``, which CTGAN and TVAE of the Synthetic Data Vault use, takes a number for
the component it is from and its distance to that component's mean (Xu et al. 2019, Modeling tabular
data using conditional GAN, NeurIPS 32). Here that is done for the 442 patients of the diabetes data
that ship with scikit-learn, and then a table is made up.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

import fastgmm
from fastgmm import BayesianGaussianMixture, plotting

names = {"age": "age", "bmi": "body mass", "bp": "blood pressure", "s2": "LDL", "s3": "HDL"}
table = load_diabetes(as_frame=True, scaled=False).data[list(names)].rename(columns=names)
print(table.describe().round(1).loc[["mean", "std", "min", "max"]])

# %%
# A mixture for every column
# --------------------------
# RDT's arguments: at most ten components, and a prior that leaves most of them empty. ``fit_many``
# fits all columns in one call, with the bits of fits one by one.
report = fastgmm.fit_many(
    table,
    n_components=10,
    estimator=BayesianGaussianMixture,
    columns="each",
    weight_concentration_prior=0.001,
    max_iter=500,
    random_state=0,
)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for ax, name in zip(axes, ("age", "blood pressure", "HDL")):
    plotting.density(report[name], table[[name]], ax=ax)
    ax.get_legend().remove()
    ax.set_xlabel(name)
plt.show()

# %%
# RDT's columns
# -------------
# Components of a weight above 0.005 count. A value gets one of them, drawn by its responsibilities,
# and its distance from the mean in units of four standard deviations, cut at 0.99.
random = np.random.default_rng(0)


def normalized(name):
    """A column as a component and a number between -1 and 1."""
    model, x = report[name], table[[name]]
    used = np.flatnonzero(model.weights_ > 0.005)
    shares = model.predict_proba(x)[:, used] + 1e-6
    shares /= shares.sum(axis=1, keepdims=True)
    drawn = (shares.cumsum(axis=1) < random.random((len(x), 1))).sum(axis=1)
    drawn = np.minimum(drawn, len(used) - 1)
    means = model.means_[used, 0][drawn]
    deviations = np.sqrt(model.covariances_[used, 0, 0])[drawn]
    return drawn, np.clip((x[name] - means) / (4 * deviations), -0.99, 0.99)


columns = {}
for name in table:
    component, number = normalized(name)
    columns |= {f"{name}.normalized": number.round(3), f"{name}.component": component}
print(pd.DataFrame(columns).iloc[:5, :6])

# %%
# With RDT itself the import is all that changes. ``fastgmm.patch_sklearn()`` before its first fit
# leaves code as it is; the script ``docs/examples/rdt_columns.py`` of the repository holds both
# against each other, and :doc:`drop-in use </drop-in>` tells more.
#
# A table that is made up
# -----------------------
# A network learns from such columns what goes with what. For few columns a mixture of whole rows
# does that as well; BIC chooses how many components, and their structure.
selection = fastgmm.select(table, range(1, 7), ["full", "VEV", "EEV", "diag"], random_state=0)
model = selection.best_estimator_
made, _ = model.sample(len(table))
made = pd.DataFrame(made, columns=table.columns)
print(f"{model.n_components} components, {model.covariance_type}")
print(
    "correlations differ by at most", np.abs(made.corr() - table.corr()).to_numpy().max().round(2)
)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharex=True, sharey=True)
for ax, rows, title in zip(axes, (table, made), ("442 patients", "442 who never were")):
    ax.scatter(rows["LDL"], rows["HDL"], s=8, color="#0072B2", alpha=0.6)
    ax.set(title=title, xlabel="LDL", ylabel="HDL")
plt.show()

# %%
# Drawn rows are like the others, not copies of them. But where a component holds few rows, it says
# much about each of these: a synthetic table is not private by being synthetic.
