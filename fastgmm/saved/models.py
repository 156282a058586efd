"""Models on disk: their arguments and their fitted attributes."""

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastgmm.files.container import (
    Contents,
    ModelFileError,
    is_table,
    read_file,
    write_file,
)
from fastgmm.saved import SAVABLE
from fastgmm.saved.checks import check_fitted
from fastgmm.saved.codec import Arrays, decode, encode
from fastgmm.statistics import SufficientStatistics

Reader = TypeVar("Reader", bound=Callable[[dict[str, Any], Arrays], Any])

_READERS: dict[str, Callable[[dict[str, Any], Arrays], Any]] = {}
_TABLE_READERS: list[Callable[[str | os.PathLike], Any]] = []
_FITTED = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]_")


def loadable(kind: str) -> Callable[[Reader], Reader]:
    """Decorator that enters a function as what reads files of a kind, from header and arrays."""

    def enter(reader: Reader) -> Reader:
        _READERS[kind] = reader
        return reader

    return enter


def loadable_table(reader: Callable[[str | os.PathLike], Any]) -> Any:
    """Decorator that enters a function as what reads reports, which are Parquet files."""
    _TABLE_READERS.append(reader)
    return reader


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
    arrays: Arrays = {}
    write_file(path, Contents("model", describe_model(estimator, arrays), arrays))


def describe_model(estimator: Any, arrays: Arrays) -> dict[str, Any]:
    """Header of an estimator; its arrays are added to others. See `save_model`.

    Parameters
    ----------
    estimator : GaussianMixture or BayesianGaussianMixture
    arrays : dict of ndarray
    """
    name = type(estimator).__name__
    if type(estimator) is not SAVABLE.get(name):
        raise TypeError(
            f"A {name} cannot be saved, only objects of the classes {', '.join(SAVABLE)} "
            "themselves."
        )
    parameters = {
        argument: encode(_as_array(value), argument, arrays)
        for argument, value in estimator.get_params(deep=False).items()
    }
    estimator._validate_params()  # as `load` will
    attributes = {name: value for name, value in vars(estimator).items() if _FITTED.fullmatch(name)}
    check_fitted(estimator, attributes)
    return {
        "class": name,
        "parameters": parameters,
        "attributes": {key: encode(value, key, arrays) for key, value in attributes.items()},
    }


def load(path: str | os.PathLike) -> Any:
    """Read a model, statistics, a selection or a report of many fits from a file.

    Nothing in a file is ever run: it holds numbers and names, not code.

    Parameters
    ----------
    path : path

    Returns
    -------
    loaded : GaussianMixture, BayesianGaussianMixture, SufficientStatistics, Selection or FitReport

    Raises
    ------
    ModelFileError
        If anything is wrong with the file: it is cut off, damaged, of a later version, or no such
        file at all; or an attribute is missing, or is not what it should be.
    OSError
        If it is not there, or cannot be read.
    """
    if is_table(path):
        return _TABLE_READERS[0](path)
    return _load(path, tuple(_READERS))


def load_model(path: str | os.PathLike) -> Any:
    """Read a model from a file; see `load`."""
    return _load(path, ("model",))


def _load(path: str | os.PathLike, kinds: tuple[str, ...]) -> Any:
    kind, header, arrays = read_file(path, kinds)
    try:
        return _READERS[kind](header, arrays)
    except MemoryError:
        raise
    except Exception as error:
        raise unusable(path, kind, error) from error


def unusable(path: str | os.PathLike, kind: str, error: Exception) -> ModelFileError:
    """What to raise of contents that are no use.

    The checksum says that a file is as it was written, but not who wrote it.
    """
    text = f"{error} is missing" if isinstance(error, KeyError) else error
    return ModelFileError(f"{os.fspath(path)} holds no usable {kind}: {text}")


@loadable("model")
def described_model(header: dict[str, Any], arrays: Arrays) -> Any:
    """An estimator from its header; any exception means that it is no use.

    Parameters
    ----------
    header : dict
    arrays : dict of ndarray
    """
    estimator_class = SAVABLE[header["class"]]
    arguments = _decode_each(header["parameters"], arrays)
    unknown = set(arguments) - set(estimator_class().get_params(deep=False))
    if unknown:
        raise ValueError(f"it has arguments of a later version: {', '.join(sorted(unknown))}")
    for name, value in arguments.items():
        wrong = (list, tuple, SufficientStatistics) + ((dict,) if name != "freeze" else ())
        if isinstance(value, wrong):
            raise ValueError(f"{name} is no argument's value")
    estimator = estimator_class(**arguments)
    estimator._validate_params()
    attributes = _decode_each(header["attributes"], arrays)
    for name in attributes:
        if not _FITTED.fullmatch(name) or hasattr(estimator, name):
            raise ValueError(f"it has an attribute {name!r}")
    check_fitted(estimator, attributes)
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


loadable("statistics")(SufficientStatistics.from_description)


def _decode_each(items: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    decoded = {}
    for name, value in items.items():
        try:
            decoded[name] = decode(value, arrays)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{name} cannot be read, {error!r}") from error
    return decoded


def _as_array(value: Any) -> Any:
    """Lists of numbers, as the ``*_init`` arguments may be, as arrays."""
    return np.asarray(value) if isinstance(value, (list, tuple)) else value
