"""
Anomalies: a component of noise
===============================

Breast tumours, of which few are malignant. Three measurements that are known to tell (Mangasarian,
Street & Wolberg 1995, Breast cancer diagnosis and prognosis via linear programming, Operations
Research 43) of 357 benign tumours and of 30 malignant ones, from the data that ship with
scikit-learn. The mixture sees no diagnosis: which tumours are like no others?
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

import fastgmm
from fastgmm import GaussianMixture, plotting

cancer = load_breast_cancer(as_frame=True)
malignant = np.flatnonzero(cancer.target == 0)
few = np.random.default_rng(0).choice(malignant, 30, replace=False)
chosen = np.sort(np.concatenate([np.flatnonzero(cancer.target == 1), few]))
X = np.log(cancer.data.loc[chosen, ["mean texture", "worst area", "worst smoothness"]])
X.columns = ["log texture", "log area", "log smoothness"]
truth = cancer.target[chosen].to_numpy() == 0

# %%
# With and without
# ----------------
# A plain mixture has to give every tumour to a Gaussian; what is odd widens it, or gets one of its
# own. With ``noise="box"`` there is a further component, as dense everywhere in the box around the
# data. BIC, which counts its parameters, prefers it: one Gaussian, and noise.
plain = fastgmm.select(X, range(1, 5), "full", n_init=5, random_state=0)
noisy = fastgmm.select(X, range(1, 5), "full", noise="box", n_init=5, random_state=0)
for name, selection in (("plain", plain), ("with noise", noisy)):
    print(name, selection.to_frame()["bic"].round(1).tolist())
model = noisy.best_estimator_
print(f"{model.n_components} component, and {model.noise_weight_:.1%} noise")

# %%
# Rows of noise have the label -1, and are drawn in grey. The circles are the malignant tumours.
labels = model.predict(X)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for ax, features in zip(axes, ((0, 1), (1, 2))):
    plotting.components(model, X, features=features, ax=ax)
    ax.scatter(
        *X[truth].iloc[:, list(features)].to_numpy().T, s=60, facecolors="none", edgecolors="k"
    )
plt.show()
found = truth & (labels == -1)
print(f"{np.sum(labels == -1)} tumours are noise, and {found.sum()} of these are malignant")
share = found.sum() / np.sum(labels == -1)
print(f"of all tumours {truth.mean():.1%} are malignant, of noise {share:.1%}")

# %%
# Without noise the least likely rows are the ones to look at. As many of them as there are in
# noise:
one = GaussianMixture(1).fit(X)
odd = np.argsort(one.score_samples(X))[: np.sum(labels == -1)]
print(f"{truth[odd].sum()} of the {len(odd)} least likely rows of a plain Gaussian are malignant")

# %%
# What the outliers do
# --------------------
# The Gaussian that does not have to hold them is narrower, and nearer to that of the benign tumours
# alone.
for name, fit in (
    ("benign alone", GaussianMixture(1).fit(X[~truth])),
    ("all, with noise", model),
    ("all, without", one),
):
    spread = np.sqrt(np.diag(fit.covariances_[0]))
    print(f"{name:16} standard deviations {spread.round(3)}")

# %%
# A likelihood tells how odd a tumour is, not what it is: noise has a share of harmless ones, and
# malignant ones that look like others are missed. :doc:`Noise and outliers </noise>` tells how the
# component works.
