"""The one place that says how kernels are compiled.

Numba's on-disk cache is keyed on the file that holds a function, not on the functions that it
calls, so an edit elsewhere would leave stale code running. The decorator here adds a digest of
all kernel sources to the cache's file name; any edit then misses the cache.
"""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from numba import config, njit
from numba.extending import intrinsic

# `contract` alone: a fused multiply-add rounds once instead of twice. No flag that lets the
# compiler reorder sums or assume that there is no NaN.
_FASTMATH = {"contract"}


@functools.cache
def _source_digest() -> str:
    """Digest of every kernel source file, eight hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _cache_wanted() -> bool:
    return os.environ.get("FASTGMM_NUMBA_CACHE", "1") != "0"


def kernel(function: Callable | None = None, *, signature=None):
    """Compile `function` for use inside other kernels, or as an entry point.

    Parameters
    ----------
    function : callable
        Plain Python that Numba compiles in nopython mode, without the GIL.
    signature : numba signature, optional
        Given for entry points: the one signature they are compiled for, at once. Arrays of other
        layouts are then converted to it instead of compiled for.

    Returns
    -------
    dispatcher
        The compiled function; `function` itself when ``NUMBA_DISABLE_JIT`` is set.
    """
    if function is None:
        return functools.partial(kernel, signature=signature)
    if config.DISABLE_JIT:
        return function
    signatures = () if signature is None else ([signature],)
    options = {"nogil": True, "error_model": "numpy", "fastmath": _FASTMATH}
    if signature is not None and _cache_wanted():
        function.__qualname__ = f"{function.__qualname__}_{_source_digest()}"
        # No writable directory, a full disk or a damaged cache file costs only compile time; what
        # is wrong with the function itself shows again below.
        with contextlib.suppress(Exception):
            return njit(*signatures, cache=True, **options)(function)
    return njit(*signatures, **options)(function)


def microkernel(definition: Callable):
    """Decorate the LLVM emitter of a micro-kernel, whose meaning is the NumPy `definition`.

    With ``NUMBA_DISABLE_JIT`` set the definition itself runs, so each micro-kernel has a readable
    twin that tests hold it against.
    """

    def decorate(emitter):
        if config.DISABLE_JIT:
            return definition
        compiled = intrinsic(emitter)
        compiled.definition = definition
        return compiled

    return decorate
