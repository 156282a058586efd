"""Writes the files of this format version that every later version must read.

``python -m tests.persistence.files.make_files``; for a new version of the format, or for more files
of this one. Files that are there already are never written again, whatever the version.
"""

import copy
import json
from pathlib import Path

import numpy as np

from fastgmm.persistence.container import FORMAT_VERSION
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests.persistence.models import ESTIMATORS, X, fitted

HERE = Path(__file__).parent

POINTS = np.array([[0.0, 0.0, 0.0], [4.0, 4.0, 4.0], [1.5, 2.5, 2.0], [-3.0, 9.0, 1.0]])

WEIGHTS = np.arange(len(X)) % 5 / 4.0

N_BATCHES = 5


def model_of_a_stream(name, structure, dtype=np.float64):
    """A model that has seen all batches of the rows but the last."""
    model = ESTIMATORS[name](n_components=2, covariance_type=structure, random_state=0, n_jobs=1)
    for batch in np.array_split(X.astype(dtype), N_BATCHES)[:-1]:
        model.partial_fit(batch)
    return model


def statistics(name, structure, dtype=np.float64, weights=None):
    """Statistics of the rows under a fitted model."""
    return fitted(name, structure, dtype).accumulate(X.astype(dtype), sample_weight=weights)


FILES = {
    "": (fitted, "maximum likelihood", "full"),
    "_tied_float32": (fitted, "maximum likelihood", "tied", np.float32),
    "_dirichlet_process": (fitted, "dirichlet process", "diag"),
    "_dirichlet_distribution": (fitted, "dirichlet distribution", "spherical"),
    "_stream": (model_of_a_stream, "maximum likelihood", "full"),
    "_stream_tied_float32": (model_of_a_stream, "maximum likelihood", "tied", np.float32),
    "_stream_dirichlet_process": (model_of_a_stream, "dirichlet process", "diag"),
    "_statistics": (statistics, "maximum likelihood", "full", np.float64, WEIGHTS),
    "_statistics_tied": (statistics, "maximum likelihood", "tied"),
    "_statistics_diag_float32": (statistics, "maximum likelihood", "diag", np.float32),
    "_statistics_dirichlet_process": (statistics, "dirichlet process", "spherical"),
}
"""What the files hold: functions and their arguments."""


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


def continuation(model):
    """What a stream comes to with the last batch of the rows."""
    model = copy.deepcopy(model).set_params(n_jobs=1)
    model.partial_fit(np.array_split(X, N_BATCHES)[-1].astype(model.means_.dtype))
    return {
        "n_batches": model.n_batches_,
        "weights": model.weights_.tolist(),
        "means": model.means_.tolist(),
        "covariances": model.covariances_.tolist(),
        "lower_bound": model.lower_bound_,
    }


def contents(statistics):
    """All that statistics hold, as numbers of Python."""
    scatter = statistics.scatter
    second = None if statistics.form is MomentForm.NONE else statistics.second
    return {
        "form": statistics.form.value,
        "reference": statistics.reference.tolist(),
        "weight": statistics.weight.tolist(),
        "first": statistics.first.tolist(),
        "second": None if second is None else second.tolist(),
        "log_likelihood": statistics.log_likelihood,
        "total_weight": statistics.total_weight,
        "n_rows": statistics.n_rows,
        "scatter": None if scatter is None else contents(scatter),
    }


def frozen(thing):
    """What a later version must find in a file."""
    if isinstance(thing, SufficientStatistics):
        return {"statistics": contents(thing)}
    found = {"predictions": predictions(thing)}
    if hasattr(thing, "running_statistics_"):
        found["statistics"] = contents(thing.running_statistics_)
        found["continuation"] = continuation(thing)
    return found


def main():
    path = HERE / f"v{FORMAT_VERSION}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    for suffix, (make, *arguments) in FILES.items():
        name = f"v{FORMAT_VERSION}{suffix}.npz"
        if not (HERE / name).exists():
            thing = make(*arguments)
            kept[name] = frozen(thing)
            thing.save(HERE / name)
    path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
