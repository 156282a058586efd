"""Models and statistics on disk."""

import importlib
import os
import re
from typing import Any

import numpy as np

from fastgmm.covariance import STRUCTURES
from fastgmm.persistence.checks import check_mixture
from fastgmm.persistence.codec import Decoder, Encoder
from fastgmm.persistence.container import Contents, ModelFileError, read_file, write_file
from fastgmm.statistics import MomentForm, SufficientStatistics

ESTIMATORS = {
    "GaussianMixture": "fastgmm.gaussian_mixture",
    "BayesianGaussianMixture": "fastgmm.bayesian_mixture",
}
"""Classes that can be saved, and the modules that they are imported from when they are met."""

_FITTED = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]_")


def save_model(estimator: Any, path: str | os.PathLike) -> None:
    """Write an estimator, fitted or not, to a file: its arguments and its fitted attributes.

    The file is replaced as a whole, or, if anything goes wrong, stays as it was.

    Parameters
    ----------
    estimator : GaussianMixture or BayesianGaussianMixture
    path : path

    Raises
    ------
    TypeError
        If it is of another class.
    ValueError
        If an argument is out of range or cannot be saved, such as a function, or the attributes are
        no mixture's.
    OSError
        If the file cannot be written.
    """
    name = type(estimator).__name__
    if ESTIMATORS.get(name) != type(estimator).__module__:
        raise TypeError(
            f"A {name} cannot be saved, only objects of the classes {', '.join(ESTIMATORS)} "
            "themselves."
        )
    encoder = Encoder()
    parameters = {
        argument: encoder.encode(_as_array(value), argument)
        for argument, value in estimator.get_params(deep=False).items()
    }
    estimator._validate_params()  # as `load` will
    attributes = {
        attribute: value
        for attribute, value in vars(estimator).items()
        if _FITTED.fullmatch(attribute)
    }
    _check(estimator, attributes)
    header = {
        "class": name,
        "parameters": parameters,
        "attributes": {key: encoder.encode(value, key) for key, value in attributes.items()},
    }
    write_file(path, Contents("model", header, encoder.arrays))


def save_statistics(statistics: SufficientStatistics, path: str | os.PathLike) -> None:
    """Write sufficient statistics to a file, likewise.

    Parameters
    ----------
    statistics : SufficientStatistics
    path : path

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    encoder = Encoder()
    header = encoder.encode_statistics(statistics, "")
    write_file(path, Contents("statistics", header, encoder.arrays))


def load(path: str | os.PathLike) -> Any:
    """Read a model or statistics from a file.

    Nothing in a file is ever run: it holds numbers and names, not code.

    Parameters
    ----------
    path : path

    Returns
    -------
    loaded : GaussianMixture, BayesianGaussianMixture or SufficientStatistics

    Raises
    ------
    ModelFileError
        If anything is wrong with the file: it is cut off, damaged, of a later version, or no such
        file at all.
    OSError
        If it is not there, or cannot be read.
    """
    return _load(path, ("model", "statistics"))


def load_model(path: str | os.PathLike) -> Any:
    """Read a model from a file; see `load`."""
    return _load(path, ("model",))


def load_statistics(path: str | os.PathLike) -> SufficientStatistics:
    """Read sufficient statistics from a file; see `load`."""
    return _load(path, ("statistics",))


def _load(path: str | os.PathLike, kinds: tuple[str, ...]) -> Any:
    contents = read_file(path, kinds)
    try:
        if contents.kind == "statistics":
            return Decoder(contents.arrays).decode_statistics(contents.header)
        return _model(contents)
    except MemoryError:
        raise
    except Exception as error:
        # The checksum says that the file is as it was written, but not who wrote it.
        raise ModelFileError(
            f"{os.fspath(path)} holds no usable {contents.kind}: {error}"
        ) from error


# -- models ----------------------------------------------------------------------------------------
def _model(contents: Contents) -> Any:
    decoder, header = Decoder(contents.arrays), contents.header
    module = importlib.import_module(ESTIMATORS[header["class"]])
    estimator_class = getattr(module, header["class"])
    arguments = {key: decoder.decode(value) for key, value in header["parameters"].items()}
    unknown = set(arguments) - set(estimator_class().get_params(deep=False))
    if unknown:
        raise ValueError(f"it has arguments of a later version: {', '.join(sorted(unknown))}")
    estimator = estimator_class(**arguments)
    estimator._validate_params()
    attributes = {}
    for name, value in header["attributes"].items():
        if not _FITTED.fullmatch(name) or hasattr(estimator, name):
            raise ValueError(f"it has an attribute {name!r}")
        attributes[name] = decoder.decode(value)
    _check(estimator, attributes)
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


def _check(estimator: Any, attributes: dict[str, Any]) -> None:
    """Check that fitted attributes belong together."""
    parts = {name.removesuffix("_"): value for name, value in attributes.items()}
    check_mixture(STRUCTURES[estimator.covariance_type], parts)
    if "means" in parts:
        d = np.shape(parts["means"])[1]
        if parts.get("n_features_in", d) != d:
            raise ValueError("n_features_in_ is not the number of features of the means.")
        if "feature_names_in" in parts and np.shape(parts["feature_names_in"]) != (d,):
            raise ValueError("feature_names_in_ does not name the features of the means.")
    if "n_batches" in parts or "running_statistics" in parts:
        _check_stream(estimator, parts)


def _check_stream(estimator: Any, parts: dict[str, Any]) -> None:
    """Check what `partial_fit` goes on from."""
    n_batches, statistics = parts.get("n_batches"), parts.get("running_statistics")
    if type(n_batches) is not int or n_batches < 1:
        raise ValueError("n_batches_ is no number of batches.")
    form = STRUCTURES[estimator.covariance_type].forms.moments
    if not isinstance(statistics, SufficientStatistics) or statistics.form is not form:
        raise ValueError("running_statistics_ are not those of the covariance_type.")
    if "means" not in parts or statistics.reference.shape != np.shape(parts["means"]):
        raise ValueError("running_statistics_ are not those of the means.")
    if (statistics.scatter is not None) != (form is MomentForm.NONE):
        raise ValueError("running_statistics_ have a scatter, or lack it.")
    if not statistics.total_weight > 0 or statistics.n_rows < 1 or (statistics.weight < 0).any():
        raise ValueError("running_statistics_ are those of no rows.")


def _as_array(value: Any) -> Any:
    """Lists of numbers, as the ``*_init`` arguments may be, as arrays."""
    if isinstance(value, (list, tuple)):
        return np.asarray(value)
    return value
