"""Pictures of mixtures, on matplotlib: of components, densities, fits and the choice among them.

Functions take an Axes or draw on the current one, and return it; those of several panels return
their Figure. They show nothing and change no setting: ``plt.show()`` and ``savefig`` are the
caller's. Levels are probabilities: an ellipse at 0.95 holds 95 % of its component in the two
features shown, while one of a standard deviation holds 39 %, not 68 %.
"""

from fastgmm.sources.optional import import_optional

import_optional("matplotlib", "fastgmm.plotting", "plot")

from fastgmm.plotting.assignments import kmeans_comparison, responsibilities  # noqa: E402
from fastgmm.plotting.curves import convergence, selection  # noqa: E402
from fastgmm.plotting.densities import density  # noqa: E402
from fastgmm.plotting.ellipses import components, pairs  # noqa: E402
from fastgmm.plotting.shapes import structures  # noqa: E402

__all__ = [
    "components",
    "convergence",
    "density",
    "kmeans_comparison",
    "pairs",
    "responsibilities",
    "selection",
    "structures",
]
