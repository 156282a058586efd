"""Writes the files of this format version that every later version must read.

``python -m tests.saved.files.make_files``; for a new version of the format, or for more files
of this one. Files that are there already are never written again, whatever the version.
"""

import contextlib
import copy
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from fastgmm.em import Listener
from fastgmm.files.container import FORMAT_VERSION
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests.saved.models import ESTIMATORS, X, fitted

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


def unfitted():
    """A model that holds arrays and a generator among its arguments."""
    random_state = np.random.RandomState(5)
    random_state.standard_normal(3)  # an odd number: one more is in waiting
    return ESTIMATORS["maximum likelihood"](
        n_components=2,
        means_init=POINTS[:2],
        weights_init=[0.25, 0.75],
        random_state=random_state,
        tol=np.float64(1e-2),
        max_iter=np.int64(30),
        n_jobs=1,
    )


def named():
    """A model that was fitted to a frame."""
    frame = pd.DataFrame(X, columns=["a", "b", "größe"])
    return ESTIMATORS["maximum likelihood"](n_components=2, random_state=0, n_jobs=1).fit(frame)


def by_hand(structure):
    """A model that has only what predictions need."""
    make = ESTIMATORS["maximum likelihood"]
    model = make(n_components=2, covariance_type=structure, n_jobs=1)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(model, name, getattr(fitted(structure=structure), name))
    return model


def mended():
    """A model that has lost a component, with the records of that."""
    return quiet_fit(*of_run("_recover"))


def unconverged():
    """A model that was to make no iteration."""
    model = ESTIMATORS["maximum likelihood"](n_components=2, max_iter=0, random_state=0, n_jobs=1)
    return quiet_fit(model, X)


def exact_rows():
    """Rows that are the same to the bit on every machine, with a clump of equal ones."""
    generator = np.random.RandomState(0)
    rows = (
        generator.randint(-512, 512, (400, 3)) / 256.0 + 4.0 * (np.arange(400) % 3)[:, np.newaxis]
    )
    rows[-150:] = rows[0]
    return rows


ROWS = exact_rows()

RUN = {"n_components": 3, "tol": 0.0, "max_iter": 12, "random_state": 0, "n_jobs": 1}

CHECKPOINTS = {
    "": ("maximum likelihood", {"n_init": 3}, np.float64, 17),
    "_tied_float32": ("maximum likelihood", {"covariance_type": "tied"}, np.float32, 5),
    "_diag": ("maximum likelihood", {"covariance_type": "diag", "n_init": 2}, np.float64, 3),
    "_finished": ("maximum likelihood", {"covariance_type": "spherical"}, np.float64, None),
    "_dirichlet_process": ("dirichlet process", {"n_init": 2}, np.float64, 15),
    "_dirichlet_process_diag_float32": (
        "dirichlet process",
        {"covariance_type": "diag"},
        np.float32,
        6,
    ),
    "_dirichlet_distribution": (
        "dirichlet distribution",
        {"covariance_type": "tied"},
        np.float64,
        6,
    ),
    "_recover": (
        "maximum likelihood",
        {
            "on_failure": "recover",
            "reg_covar": 0.0,
            "init_params": "random_from_data",
            "n_components": 5,
        },
        np.float64,
        6,
    ),
}
"""Runs: the estimator, its arguments beside `RUN`, the type of the rows, and when to stop it."""


class Stop(Exception):
    pass


class Stopper(Listener):
    """Listens to a fit, and stops it after some iterations."""

    def __init__(self, n_iterations):
        self.left = n_iterations

    def iteration_ends(self, result, change):
        self.left -= 1
        if self.left == 0:
            raise Stop


def of_run(suffix):
    """The estimator of a run, and its rows."""
    name, arguments, dtype, _ = CHECKPOINTS[suffix]
    return ESTIMATORS[name](**{**RUN, **arguments}), ROWS.astype(dtype)


def quiet_fit(model, rows, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows, **options)


def leave_checkpoint(suffix, path):
    """Write the checkpoint of a run that was stopped."""
    model, rows = of_run(suffix)
    if CHECKPOINTS[suffix][-1] is not None:
        model._listener = Stopper(CHECKPOINTS[suffix][-1])
    with contextlib.suppress(Stop):
        quiet_fit(model, rows, checkpoint=path, checkpoint_every=0.0)


def outcome(model):
    """What a run comes to, as numbers of Python."""
    return {
        "weights": model.weights_.tolist(),
        "means": model.means_.tolist(),
        "covariances": model.covariances_.tolist(),
        "lower_bounds": model.lower_bounds_,
        "diagnostics": model.diagnostics_,
    }


FILES = {
    "": (fitted, "maximum likelihood", "full"),
    "_tied_float32": (fitted, "maximum likelihood", "tied", np.float32),
    "_dirichlet_process": (fitted, "dirichlet process", "diag"),
    "_dirichlet_distribution": (fitted, "dirichlet distribution", "spherical"),
    "_diag": (fitted, "maximum likelihood", "diag"),
    "_spherical_float32": (fitted, "maximum likelihood", "spherical", np.float32),
    "_dirichlet_process_full_float32": (fitted, "dirichlet process", "full", np.float32),
    "_dirichlet_process_tied": (fitted, "dirichlet process", "tied"),
    "_dirichlet_distribution_full": (fitted, "dirichlet distribution", "full"),
    "_unfitted": (unfitted,),
    "_named": (named,),
    "_by_hand": (by_hand, "full"),
    "_by_hand_diag": (by_hand, "diag"),
    "_mended": (mended,),
    "_unconverged": (unconverged,),
    "_stream": (model_of_a_stream, "maximum likelihood", "full"),
    "_stream_tied_float32": (model_of_a_stream, "maximum likelihood", "tied", np.float32),
    "_stream_spherical": (model_of_a_stream, "maximum likelihood", "spherical"),
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
    if not hasattr(thing, "means_"):
        return {"fit": quiet_fit(copy.deepcopy(thing), X).means_.tolist()}
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
            thing.save(HERE / name)
            kept[name] = frozen(thing)
    for suffix in CHECKPOINTS:
        name = f"v{FORMAT_VERSION}_checkpoint{suffix}.npz"
        if not (HERE / name).exists():
            leave_checkpoint(suffix, HERE / name)
            kept[name] = {"run": suffix, "outcome": outcome(quiet_fit(*of_run(suffix)))}
    path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
