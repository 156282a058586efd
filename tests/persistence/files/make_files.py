"""Writes the files of this format version that every later version must read.

``python -m tests.persistence.files.make_files``; for a new version of the format only. Files of
earlier versions are never written again.
"""

import json
from pathlib import Path

import numpy as np

from fastgmm.persistence.container import FORMAT_VERSION
from fastgmm.persistence.models import save_model
from tests.persistence.models import fitted

HERE = Path(__file__).parent

MODELS = {
    "": ("maximum likelihood", "full", np.float64),
    "_tied_float32": ("maximum likelihood", "tied", np.float32),
    "_dirichlet_process": ("dirichlet process", "diag", np.float64),
    "_dirichlet_distribution": ("dirichlet distribution", "spherical", np.float64),
}

POINTS = np.array([[0.0, 0.0, 0.0], [4.0, 4.0, 4.0], [1.5, 2.5, 2.0], [-3.0, 9.0, 1.0]])


def predictions(model):
    """What a model says of some points, as numbers of Python."""
    points = POINTS.astype(model.means_.dtype)
    return {
        "labels": model.predict(points).tolist(),
        "responsibilities": model.predict_proba(points).tolist(),
        "log_likelihoods": model.score_samples(points).tolist(),
        "arguments": {
            name: value
            for name, value in model.get_params().items()
            if value is None or isinstance(value, bool | int | float | str)
        },
    }


def main():
    frozen = {}
    for suffix, kind in MODELS.items():
        name = f"v{FORMAT_VERSION}{suffix}.npz"
        save_model(fitted(*kind), HERE / name)
        frozen[name] = predictions(fitted(*kind))
    (HERE / f"v{FORMAT_VERSION}.json").write_text(json.dumps(frozen, indent=1) + "\n")


if __name__ == "__main__":
    main()
