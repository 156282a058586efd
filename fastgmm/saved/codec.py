"""Python values as JSON and arrays, and back.

What JSON has stands for itself; anything else is a dictionary of one item that says what it is:
``{"array": name}``, ``{"float": "inf"}``, ``{"tuple": [...]}`` and so on. A record is a dictionary
of two, ``{"record": name, "fields": {...}}``.
"""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fastgmm.covariance.blas import PrecisionFactors
from fastgmm.statistics import SufficientStatistics

Arrays = dict[str, np.ndarray]
Records = Mapping[str, Any]
"""What makes a record of its fields, by the record's name: most often a dataclass."""

_NO_RECORDS: Records = MappingProxyType({})

_SPECIAL_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}

_SCALARS = (np.float64, np.float32, np.int64, np.int32, np.uint32, np.uint64, np.bool_)


# -- encoding --------------------------------------------------------------------------------------
def encode(value: Any, name: str, arrays: Arrays, records: Records = _NO_RECORDS) -> Any:
    """JSON for a value.

    Parameters
    ----------
    value : object
    name : str
        What to call it, in the file and in errors.
    arrays : dict of ndarray
        The arrays in the value are added to these.
    records : mapping, optional
        By name, the dataclasses that the value may hold.

    Raises
    ------
    ValueError
        If it is of a kind that cannot be saved.
    """
    kind = type(value).__name__
    if isinstance(value, np.generic) and isinstance(value, _SCALARS):  # some are floats, too
        return {"scalar": _keep(np.asarray(value), name, arrays)}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, (np.ndarray, PrecisionFactors)):
        return _encode_array(np.asarray(value), name, arrays)
    if isinstance(value, np.random.RandomState):
        return {"random_state": _encode_random_state(value, name, arrays)}
    if isinstance(value, SufficientStatistics):
        description, more = value.described(f"{name}_")
        arrays.update(more)
        return {"statistics": description}
    if isinstance(value, list) and value and all(isinstance(item, float) for item in value):
        return {"floats": _keep(np.array(value, dtype=np.float64), name, arrays)}
    if isinstance(value, (list, tuple)):
        items = [encode(item, f"{name}_{i}", arrays, records) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": _encode_items(value, name, arrays, records)}
    if records.get(kind) is type(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"record": kind, "fields": _encode_items(fields, name, arrays, records)}
    if callable(value):
        raise ValueError(
            f"{name} is a function, {getattr(value, '__qualname__', kind)}, and functions "
            "cannot be saved. Set it to something else first."
        )
    raise ValueError(f"{name} is a {kind}, which cannot be saved.")


def _encode_items(
    items: Mapping[str, Any], name: str, arrays: Arrays, records: Records
) -> dict[str, Any]:
    return {key: encode(item, f"{name}_{key}", arrays, records) for key, item in items.items()}


def _keep(array: np.ndarray, name: str, arrays: Arrays) -> str:
    """Add an array; returns the name that it has got."""
    # Names serve those who open the file by NumPy; what counts is that they differ.
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    key = plain = plain[:80]
    while key in arrays or key == "header":
        key = f"{plain}_{len(arrays)}"
    arrays[key] = array
    return key


def _encode_array(array: np.ndarray, name: str, arrays: Arrays) -> dict[str, Any]:
    if array.dtype.kind in "OU" and array.ndim == 1:
        strings = array.tolist()
        if all(isinstance(string, str) for string in strings):
            return {"strings": strings}
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is an array of {array.dtype}, which cannot be saved.")
    return {"array": _keep(array, name, arrays)}


def _encode_random_state(
    random_state: np.random.RandomState, name: str, arrays: Arrays
) -> dict[str, Any]:
    state: Any = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise ValueError(
            f"{name} draws from {state['bit_generator']}; only the usual MT19937 can be saved."
        )
    return {
        "key": _keep(state["state"]["key"], f"{name}_key", arrays),
        "position": int(state["state"]["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }


# -- decoding --------------------------------------------------------------------------------------
def decode(encoded: Any, arrays: Arrays, records: Records = _NO_RECORDS) -> Any:
    """Value of some JSON; any exception means that the JSON is not what `encode` makes.

    Parameters
    ----------
    encoded : object
    arrays : dict of ndarray
    records : mapping, optional
        By name, what makes the records that may be met.
    """
    if isinstance(encoded, float) and not math.isfinite(encoded):
        raise ValueError("there is a number in its header that is too large")
    if encoded is None or isinstance(encoded, (bool, str, int, float)):
        return encoded
    if isinstance(encoded, list):
        return [decode(item, arrays, records) for item in encoded]
    kind, *others = encoded
    content = encoded[kind]
    if kind == "record" and others == ["fields"] and content in records:
        fields = _decode_items(encoded["fields"], arrays, records)
        return records[content](**fields)
    if others:
        raise ValueError("there are values of unknown kinds in its header")
    match kind:
        case "array":
            return arrays[content]
        case "scalar":
            (value,) = arrays[content].reshape(-1)
            return value
        case "float":
            return _SPECIAL_FLOATS[content]
        case "floats":
            return _decode_floats(arrays[content])
        case "strings":
            return _decode_strings(content)
        case "tuple":
            return tuple(decode(item, arrays, records) for item in content)
        case "dict":
            return _decode_items(content, arrays, records)
        case "random_state":
            return _decode_random_state(content, arrays)
        case "statistics":
            return SufficientStatistics.from_description(content, arrays)
    raise ValueError("there are values of unknown kinds in its header")


def _decode_items(items: Mapping[str, Any], arrays: Arrays, records: Records) -> dict[str, Any]:
    return {key: decode(item, arrays, records) for key, item in items.items()}


def _decode_floats(array: np.ndarray) -> list[float]:
    if array.dtype != np.float64 or array.ndim != 1:
        raise ValueError("a list of floats holds something else")
    return array.tolist()


def _decode_strings(strings: list[str]) -> np.ndarray:
    if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
        raise ValueError("a list of strings holds something else")
    array = np.empty(len(strings), dtype=object)
    array[:] = strings
    return array


def _decode_random_state(state: Mapping[str, Any], arrays: Arrays) -> np.random.RandomState:
    key, position = arrays[state["key"]], state["position"]
    has_gauss, gauss = state["has_gauss"], state["gauss"]
    if (
        key.dtype != np.uint32
        or key.shape != (624,)
        or type(position) is not int
        or not 0 <= position <= 624
        or has_gauss not in (0, 1)
        or not math.isfinite(gauss)
    ):
        raise ValueError("a random generator has an impossible state")
    random_state = np.random.RandomState()
    random_state.set_state(("MT19937", key, position, has_gauss, gauss))
    return random_state
