"""Amounts of memory, as people write them."""

import re

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}

_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)

DEFAULT_MEMORY_LIMIT = 10**9
"""Bytes that a source may keep when its user says nothing."""

LEAST_MEMORY_LIMIT = 64 * 10**6
"""Bytes below which decoding has no room to work."""


def parse_memory_limit(limit: str | int | None) -> int:
    """Bytes of a memory limit.

    Parameters
    ----------
    limit : str, int or None
        A number of bytes, or one with a unit: ``"500MB"`` (10**6 bytes each), ``"2 GiB"`` (2**30).
        None is 1 GB.

    Returns
    -------
    n_bytes : int

    Raises
    ------
    ValueError
        If it is no such amount, or too little to work in.
    TypeError
        If it is neither text nor an integer.
    """
    if limit is None:
        return DEFAULT_MEMORY_LIMIT
    if isinstance(limit, bool) or not isinstance(limit, (str, int)):
        raise TypeError(
            "memory_limit should be a number of bytes or text such as '2GB', but got "
            f"{type(limit).__name__}."
        )
    n_bytes = limit if isinstance(limit, int) else _parse(limit)
    if n_bytes < LEAST_MEMORY_LIMIT:
        raise ValueError(
            f"memory_limit={limit!r} is too little: at least "
            f"{LEAST_MEMORY_LIMIT // 10**6}MB are needed."
        )
    return n_bytes


def _parse(text: str) -> int:
    match = _AMOUNT.fullmatch(text)
    unit = None if match is None else _UNITS.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError(
            f"memory_limit={text!r} is no amount of memory. Write a number and a unit, as in "
            "'500MB', '2GB' or '2GiB'."
        )
    return int(float(match[1]) * unit)
