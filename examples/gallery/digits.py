"""
Handwritten digits: clusters that can write
===========================================

A mixture is a model of how data come about, so that it can make new ones. Ten components learn
the 1,797 digits that ship with scikit-learn, without being told which is which, and then write
some themselves.
"""

# %%
# The pictures have 64 pixels; thirty principal components keep most of them.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from fastgmm import GaussianMixture

digits = load_digits()
pca = PCA(30, random_state=0).fit(digits.data)
X = pca.transform(digits.data)
model = GaussianMixture(10, reg_covar=1.0, random_state=0).fit(X)

# %%
# What each component holds: its mean, and the digit that most of its pictures show.
labels = model.predict(X)
figure, axes = plt.subplots(1, 10, figsize=(10, 1.6), layout="constrained")
right, written = 0, pca.inverse_transform(model.means_)
for c, ax in enumerate(axes):
    counts = np.bincount(digits.target[labels == c], minlength=10)
    right += counts.max()
    ax.imshow(written[c].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{counts.argmax()}: {counts.max() / counts.sum():.0%}", fontsize="small")
    ax.axis("off")
plt.show()
print(f"{right / len(X):.0%} of the pictures are in a component of their own digit")

# %%
# New digits, drawn from the mixture.
drawn, _ = model.sample(40)
figure, axes = plt.subplots(2, 20, figsize=(10, 1.2), layout="constrained")
for ax, row in zip(axes.flat, pca.inverse_transform(drawn)):
    ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.axis("off")
plt.show()

# %%
# The least likely pictures of all are those that were written oddly.
odd = np.argsort(model.score_samples(X))[:10]
figure, axes = plt.subplots(1, 10, figsize=(10, 1.6), layout="constrained")
for ax, i in zip(axes, odd):
    ax.imshow(digits.images[i], cmap="gray_r")
    ax.set_title(f"a {digits.target[i]}", fontsize="small")
    ax.axis("off")
plt.show()
