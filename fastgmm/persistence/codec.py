"""Python values as JSON and arrays, and back.

What JSON has stands for itself; anything else is a dictionary of one item that says what it is:
``{"array": name}``, ``{"float": "inf"}``, ``{"tuple": [...]}`` and so on.
"""

import dataclasses
import importlib
import math
from typing import Any

import numpy as np

from fastgmm.persistence.container import ModelFileError
from fastgmm.statistics import MomentForm, SufficientStatistics

_RECORDS = {
    "MixtureParameters": "fastgmm.parameters",
    "VariationalParameters": "fastgmm.families.variational_bayes",
    "Dirichlet": "fastgmm.families.weight_posteriors",
    "StickBreaking": "fastgmm.families.weight_posteriors",
    "EMResult": "fastgmm.em",
    "RunState": "fastgmm.em",
}
"""Records that can be saved, and the modules that they are imported from when they are met."""

_SPECIAL_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}

_SCALARS = (np.float64, np.float32, np.int64, np.int32, np.uint32, np.uint64, np.bool_)


class Encoder:
    """Turns values into JSON, and gathers the arrays in them.

    Attributes
    ----------
    arrays : dict of ndarray
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value: Any, name: str) -> Any:
        """JSON for a value.

        Parameters
        ----------
        value : object
        name : str
            What to call it, in the file and in errors.

        Raises
        ------
        ValueError
            If it is of a kind that cannot be saved.
        """
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, np.generic) and isinstance(value, _SCALARS):
            return {"scalar": self._array(np.asarray(value), name)}
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, np.ndarray):
            return self._encode_array(value, name)
        if isinstance(value, np.random.RandomState):
            return {"random_state": self._encode_state(value, name)}
        if isinstance(value, SufficientStatistics):
            return {"statistics": self.encode_statistics(value, f"{name}_")}
        if isinstance(value, (list, tuple)):
            return self._encode_sequence(value, name)
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            items = {key: self.encode(item, f"{name}_{key}") for key, item in value.items()}
            return {"dict": items}
        kind = type(value).__name__
        if _RECORDS.get(kind) == type(value).__module__:
            fields = {
                field: self.encode(getattr(value, field), f"{name}_{field}")
                for field in _field_names(type(value))
            }
            return {"record": kind, "fields": fields}
        if callable(value):
            raise ValueError(
                f"{name} is a function, {getattr(value, '__qualname__', kind)}, and functions "
                "cannot be saved. Set it to something else first."
            )
        raise ValueError(f"{name} is a {kind}, which cannot be saved.")

    def encode_statistics(self, statistics: SufficientStatistics, prefix: str) -> dict[str, Any]:
        """JSON for sufficient statistics, whose arrays' names begin with a prefix."""
        totals = statistics.log_likelihood, statistics.total_weight, statistics.n_rows
        arrays = {
            "reference": statistics.reference,
            "totals": np.array(totals, dtype=np.float64),
            "weight": statistics.weight,
            "first": statistics.first,
        }
        if statistics.form is not MomentForm.NONE:
            arrays["second"] = statistics.second
        names = {name: self._array(array, f"{prefix}{name}") for name, array in arrays.items()}
        scatter = None
        if statistics.scatter is not None:
            scatter = self.encode_statistics(statistics.scatter, f"{prefix}scatter_")
        return {"form": statistics.form.value, "arrays": names, "scatter": scatter}

    def _array(self, array: np.ndarray, name: str) -> str:
        # Names serve those who open the file by NumPy; what counts is that they differ.
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
        key = plain = plain[:80]
        while key in self.arrays or key == "header":
            key = f"{plain}_{len(self.arrays)}"
        self.arrays[key] = array
        return key

    def _encode_array(self, array: np.ndarray, name: str) -> Any:
        if array.dtype.kind in "OU" and array.ndim == 1:
            strings = array.tolist()
            if all(isinstance(string, str) for string in strings):
                return {"strings": strings}
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} is an array of {array.dtype}, which cannot be saved.")
        return {"array": self._array(array, name)}

    def _encode_sequence(self, values: list | tuple, name: str) -> Any:
        floats = all(isinstance(value, float) for value in values)
        if values and floats and isinstance(values, list):
            return {"floats": self._array(np.array(values, dtype=np.float64), name)}
        encoded = [self.encode(value, f"{name}_{i}") for i, value in enumerate(values)]
        return encoded if isinstance(values, list) else {"tuple": encoded}

    def _encode_state(self, random_state: np.random.RandomState, name: str) -> dict[str, Any]:
        state = random_state.get_state(legacy=False)
        assert isinstance(state, dict)
        if state["bit_generator"] != "MT19937":
            raise ValueError(
                f"{name} draws from {state['bit_generator']}; only the usual MT19937 can be saved."
            )
        return {
            "key": self._array(state["state"]["key"], f"{name}_key"),
            "position": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        }


class Decoder:
    """Turns JSON back into values.

    Any exception of `decode` means that the JSON is not what an `Encoder` makes.

    Parameters
    ----------
    arrays : dict of ndarray
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        self._arrays = arrays

    def decode(self, encoded: Any) -> Any:
        """Value of some JSON."""
        if isinstance(encoded, float) and not math.isfinite(encoded):
            raise ModelFileError("has a number in its header that is too large.")
        if encoded is None or isinstance(encoded, (bool, str, int, float)):
            return encoded
        if isinstance(encoded, list):
            return [self.decode(item) for item in encoded]
        kind, *others = encoded
        if kind == "record":
            return self._record(encoded["record"], encoded["fields"])
        if others:
            raise ModelFileError("has values of unknown kinds in its header.")
        if kind == "statistics":
            return self.decode_statistics(encoded[kind])
        return getattr(self, f"_decode_{_KINDS[kind]}")(encoded[kind])

    def _decode_array(self, key: str) -> np.ndarray:
        return self._arrays[key]

    def _decode_scalar(self, key: str) -> Any:
        (value,) = self._arrays[key].reshape(-1)
        return value

    def _decode_floats(self, key: str) -> list[float]:
        array = self._arrays[key]
        if array.dtype != np.float64 or array.ndim != 1:
            raise ModelFileError(f"has something else in {key!r} than a list of floats.")
        return array.tolist()

    def _decode_float(self, name: str) -> float:
        return _SPECIAL_FLOATS[name]

    def _decode_strings(self, strings: list[str]) -> np.ndarray:
        if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
            raise ModelFileError("has a list of strings with other things in it.")
        array = np.empty(len(strings), dtype=object)
        array[:] = strings
        return array

    def _decode_tuple(self, items: list) -> tuple:
        return tuple(self.decode(item) for item in items)

    def _decode_dict(self, items: dict[str, Any]) -> dict[str, Any]:
        return {key: self.decode(item) for key, item in items.items()}

    def _decode_state(self, state: dict[str, Any]) -> np.random.RandomState:
        random_state = np.random.RandomState()
        position, has_gauss, gauss = state["position"], state["has_gauss"], state["gauss"]
        if type(position) is not int or not 0 <= position <= 624 or has_gauss not in (0, 1):
            raise ModelFileError("has an impossible state of a random generator.")
        key = self._arrays[state["key"]]
        if key.dtype != np.uint32 or key.shape != (624,) or not math.isfinite(gauss):
            raise ModelFileError("has an impossible state of a random generator.")
        random_state.set_state(("MT19937", key, position, has_gauss, gauss))
        return random_state

    def decode_statistics(self, encoded: dict[str, Any]) -> SufficientStatistics:
        """Sufficient statistics of what `Encoder.encode_statistics` gives."""
        arrays = {name: self._arrays[key] for name, key in encoded["arrays"].items()}
        if not all(a.dtype == np.float64 and np.isfinite(a).all() for a in arrays.values()):
            raise ModelFileError("has statistics with other things than finite numbers.")
        log_likelihood, total_weight, n_rows = arrays.pop("totals")
        scatter = None if encoded["scatter"] is None else self.decode_statistics(encoded["scatter"])
        if scatter is not None and (
            scatter.form is not MomentForm.OUTER
            or scatter.reference.shape != (1, arrays["reference"].shape[-1])
        ):
            raise ModelFileError("has a scatter of all rows that is none.")
        return SufficientStatistics.from_moments(
            MomentForm(encoded["form"]),
            log_likelihood=log_likelihood,
            total_weight=total_weight,
            n_rows=int(n_rows),
            scatter=scatter,
            **arrays,
        )

    def _record(self, kind: str, fields: dict[str, Any]) -> Any:
        record = getattr(importlib.import_module(_RECORDS[kind]), kind)
        if sorted(fields) != sorted(_field_names(record)):
            raise ModelFileError(f"has a {kind} with other fields than it should have.")
        return record(**{name: self.decode(field) for name, field in fields.items()})


_KINDS = {
    "array": "array",
    "scalar": "scalar",
    "floats": "floats",
    "float": "float",
    "strings": "strings",
    "tuple": "tuple",
    "dict": "dict",
    "random_state": "state",
}


def _field_names(record: type) -> list[str]:
    assert dataclasses.is_dataclass(record)
    return [field.name for field in dataclasses.fields(record)]
