"""
Colours of a picture
====================

A photograph's 273,280 pixels as points of red, green and blue: eight Gaussians find its
colours, and every pixel is drawn in the mean colour of its component. The picture ships with
scikit-learn.
"""

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture, plotting

picture = load_sample_image("china.jpg")
pixels = picture.reshape(-1, 3) / 255.0
begin = time.perf_counter()
model = GaussianMixture(8, random_state=0, max_iter=30, tol=1e-2).fit(pixels)
print(f"{len(pixels):,} pixels, {model.n_iter_} iterations: {time.perf_counter() - begin:.1f} s")

# %%
labels = model.predict(pixels)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
axes[0].imshow(picture)
axes[1].imshow(np.clip(model.means_, 0, 1)[labels].reshape(picture.shape))
for ax, title in zip(axes, ("the photograph", "eight colours")):
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %%
# The components in red and blue: what is drawn is a sample of the pixels, as the legend says.
ax = plotting.components(model, pixels, features=(0, 2), levels=(0.5,))
ax.set(xlabel="red", ylabel="blue")
plt.show()
