"""The one place that says how kernels are compiled.

Numba's on-disk cache is keyed on the file that holds a function, not on the functions that it
calls, so an edit elsewhere would leave stale code running. The decorator here adds a digest of
all kernel sources to the cache's file name; any edit then misses the cache. The digest also holds
the processor that is compiled for and the compiler's version: in one file for several of them, two
processes that compile at the same moment could each note the other's code as its own.
"""

import contextlib
import functools
import gc
import hashlib
import os
import signal
import threading
import types
from collections.abc import Callable

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from llvmlite.binding.ffi import lib as llvm
from numba import config, njit
from numba import types as numba_types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python
from numba.extending import intrinsic

from fastgmm.kernels import target

# `contract` alone: a fused multiply-add rounds once instead of twice. No flag that lets the
# compiler reorder sums or assume that there is no NaN.
_FASTMATH = {"contract"}


@functools.cache
def _digest() -> str:
    """Digest of all that kernels follow from, eight hexadecimal digits."""
    versions = numba.__version__, llvmlite.__version__
    digest = hashlib.sha256(repr((target.describe(), versions)).encode())
    for folder, folders, files in os.walk(os.path.dirname(__file__)):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(files):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    digest.update(name.encode() + file.read())
    return digest.hexdigest()[:8]


def _cache_wanted() -> bool:
    return os.environ.get("FASTGMM_NUMBA_CACHE", "1") != "0"


_making = threading.RLock()
"""Held while kernels are made."""

_LOCKS = [_making, global_compiler_lock, *([llvm._lock] if hasattr(llvm, "_lock") else [])]
"""This one, Numba's and llvmlite's, in the order that threads take them in."""


def _before_fork() -> None:
    """Let other threads finish what they compile: a child could not, and would wait for them."""
    for lock in _LOCKS:
        lock.__enter__()


def _after_fork() -> None:
    for lock in reversed(_LOCKS):
        lock.__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


@contextlib.contextmanager
def _without_collector():
    """Leave cyclic garbage for a second: the compiler makes so many objects that it runs often."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _without_signals():
    """Put off what handlers in Python do on Ctrl-C or on being ended, as raising exceptions."""
    in_main = threading.current_thread() is threading.main_thread()  # where alone they are called
    numbers = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    handlers = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    came = []
    try:
        for number in handlers:
            signal.signal(number, lambda *signalled: came.append(signalled))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came:
            handlers[number](number, frame)


class _Library(JITCodeLibrary):
    """Compiled code, optimised once where micro-kernels make all of its inner loops.

    Numba has LLVM optimise every function by itself, and all that is linked once more. The second
    time takes as long as the first, and finds nothing to do in a kernel that is `as_written`: what
    other kernels it calls, outside its inner loops, were optimised when they were compiled.
    What is left is to count references no more often than need be.

    LLVM asks functions of llvmlite for code and hands it to them. What a signal raised there would
    be lost, and LLVM read from nowhere.

    What is loaded is machine code: what else there is for kernels that call this one is read when
    one of them is compiled.
    """

    _bitcode: bytes | None = None
    """Of a kernel that was loaded, for those that call it."""
    _as_written = False

    def serialize_using_object_code(self):
        name, kind, code = super().serialize_using_object_code()
        defined = [each.name for each in self.get_defined_functions()]
        defined += [
            each.name for each in self._final_module.global_variables if not each.is_declaration
        ]
        return name, kind, (*code, defined)

    @classmethod
    def _unserialize(cls, codegen, state):
        name, _, (machine_code, bitcode, defined) = state
        library = codegen.create_library(name)
        library.enable_object_caching()
        library._set_compiled_object(machine_code)
        library._bitcode = bitcode
        library._finalize_final_module()
        codegen._engine._defined_symbols.update(defined)
        return library

    def _get_module_for_linking(self):
        if self._bitcode is not None:
            self._shared_module, self._bitcode = binding.parse_bitcode(self._bitcode), None
        return super()._get_module_for_linking()

    def _finalize_specific(self):
        with _without_signals():
            super()._finalize_specific()

    def _optimize_functions(self, ll_module):
        for function in ll_module.functions:
            attributes = b" ".join(function.attributes).split()
            self._as_written |= b"optsize" in attributes
        super()._optimize_functions(ll_module)

    def _optimize_final_module(self):
        if not self._as_written:
            super()._optimize_final_module()
            return
        passes, builder = self._codegen._module_pass_manager(
            opt=0, loop_vectorize=False, slp_vectorize=False, cost="cheap"
        )
        passes.add_global_dead_code_eliminate_pass()  # texts of errors, that forbid a cache
        passes.run(self._final_module, builder)


@contextlib.contextmanager
def _as_kernels():
    """Let Numba put what it compiles into a `_Library`: kernels, and nothing of other packages."""
    with global_compiler_lock:
        codegen = cpu_target.target_context.codegen()
        usual = codegen._library_class
        codegen._library_class = _Library
        try:
            yield
        finally:
            codegen._library_class = usual


class _NotCompiledYet(Exception):
    """A kernel that is to be loaded only is not in the cache."""


_loading_only = False
"""Whether kernels may be loaded alone; changed and read under `_making`."""


def entry_point(factory: Callable):
    """Decorate a function that makes a compiled kernel: it is called once for given arguments.

    The threads of a first fit all ask at the same moment; one compiles, and the others wait.

    The function's `at_hand` gives the kernel if it was made, or, if that is asked for, is in the
    cache; else None. See `fastgmm.kernels.paying`.
    """
    made: dict = {}

    @functools.wraps(factory)
    def get(*arguments):
        try:
            return made[arguments]
        except KeyError:
            with _making:
                # A type of numbers is the same one by its class.
                plain = tuple(np.dtype(x) if isinstance(x, type) else x for x in arguments)
                if plain not in made:
                    with _without_collector(), _as_kernels():
                        made[plain] = factory(*plain)
                made[arguments] = made[plain]
                return made[arguments]

    def at_hand(*arguments, load):
        global _loading_only
        if arguments in made or not load:
            return made.get(arguments)
        with _making:
            _loading_only = True
            try:
                return get(*arguments)
            except _NotCompiledYet:
                return None
            finally:
                _loading_only = False

    get.at_hand = at_hand  # type: ignore[attr-defined]
    return get


def kernel(
    function: Callable | None = None, *, signature=None, variant: str = "", fused: bool = True
):
    """Compile `function` for use inside other kernels alone, or as an entry point.

    Parameters
    ----------
    function : callable
        Plain Python that Numba compiles in nopython mode, without the GIL.
    signature : numba signature, optional
        Given for entry points, all that Python may call: the one signature they are compiled for,
        at once. Arrays of other layouts are then converted to it instead of compiled for.
    variant : str, optional
        What tells kernels apart that one function makes. Each entry point has a cache file of its
        own. Other kernels stand in these files by their names and by numbers that Numba counts anew
        in every process: of two with one name, a process that loads both may call the wrong one.
    fused : bool, optional
        Whether a product and a sum may be rounded once. Where not, every operation is rounded as
        NumPy's are.

    Returns
    -------
    dispatcher
        The compiled function; `function` itself when ``NUMBA_DISABLE_JIT`` is set.
    """
    if function is None:
        return functools.partial(kernel, signature=signature, variant=variant, fused=fused)
    if config.DISABLE_JIT:
        return function
    signatures = () if signature is None else ([signature],)
    options = {"nogil": True, "error_model": "numpy"}
    options["fastmath"] = _FASTMATH if fused else False
    # What only kernels call needs no way in from Python, which takes as long to compile as itself.
    options["no_cfunc_wrapper"], options["no_cpython_wrapper"] = True, signature is None
    if variant:
        function.__qualname__ = f"{function.__qualname__}_{variant}"
    if signature is not None and _cache_wanted():
        function.__qualname__ = f"{function.__qualname__}_{_digest()}"
        dispatcher = _cached(function, signature, options)
        if dispatcher is not None:
            return dispatcher
    if _loading_only and signature is not None:
        raise _NotCompiledYet
    return njit(*signatures, **options)(function)


@functools.cache
def _name_helpers():
    """Tell LLVM where Numba's functions for the memory of arrays are.

    Before it compiles, Numba does so too, and compiles more of them, which machine code holds.
    """
    for name, address in _nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class _KernelAlone(CompileResultCacheImpl):
    """What the cache keeps: a kernel without the environments of functions that are Numba's own.

    Nothing reads those, and to load them half of Numba would be imported.
    """

    def reduce(self, result):
        *payload, environments = super().reduce(result)
        package = __name__.partition(".")[0]
        ours = (each for each in environments if each.globals["__name__"].startswith(package))
        return *payload, tuple(ours)


class _Loading(FunctionCache):
    """A cache that loads without what only compiling needs.

    Numba would first import and register all functions that it knows, which takes as long as to
    import Numba itself. It does so anyway before it compiles.
    """

    _impl_class = _KernelAlone

    def load_overload(self, sig, target_context):
        _name_helpers()
        with self._guard_against_spurious_io_errors():
            found = self._load_overload(sig, target_context)
            if found is None and _loading_only:
                raise _NotCompiledYet
            return found


def _cached(function, signature, options):
    """The function compiled, or loaded from the cache; None where there is no place for a cache.

    A full disk or a damaged file costs no more than the time to compile once.
    """
    with contextlib.suppress(Exception):
        dispatcher = njit(cache=True, **options)(function)
        dispatcher._cache = _Loading(function)
        for attempt in range(1 if _loading_only else 2):
            with contextlib.suppress(Exception):
                if attempt:
                    # Emptied, a damaged file is good for the next process again.
                    FunctionCache(function).flush()
                dispatcher.compile(signature)
            # Compiled code is there before it is written to the cache, even where that fails.
            if dispatcher.overloads:
                dispatcher.disable_compile()
                return dispatcher
    return None


def inlined(function: Callable):
    """Decorate a part of kernels, which is written into those that call it before they are typed.

    So it takes no compiling of its own, and no call.
    """
    return function if config.DISABLE_JIT else njit(inline="always")(function)


def filled_in(template: Callable, parts) -> Callable:
    """A copy of a function that finds the names it leaves open in `parts`.

    As global names, for an entry point must not have kernels in its closure: they would be pickled
    for the cache's key, differently in every process.

    Parameters
    ----------
    template : callable
        Plain Python, to be made a kernel.
    parts : module or namespace
    """
    known = template.__globals__
    names = [name for name in template.__code__.co_names if name not in known]
    found = {name: getattr(parts, name) for name in names if hasattr(parts, name)}
    copy = types.FunctionType(
        template.__code__, {**known, **found}, template.__name__, closure=template.__closure__
    )
    copy.__qualname__ = template.__qualname__
    return copy


def microkernel(definition: Callable):
    """Decorate the LLVM emitter of a micro-kernel, whose meaning is the NumPy `definition`.

    With ``NUMBA_DISABLE_JIT`` set the definition itself runs, so each micro-kernel has a readable
    twin that tests hold it against. Entry points must not have one in their closure: Numba's cache
    would take each process's for another.
    """

    def decorate(emitter):
        if config.DISABLE_JIT:
            return definition
        compiled = intrinsic(emitter)
        compiled.definition = definition
        return compiled

    return decorate


def _as_written_definition():
    pass


@microkernel(_as_written_definition)
def as_written(typing):
    """Let LLVM leave the loops of the kernel that calls this as they are.

    For kernels all of whose inner loops micro-kernels write, vectors and blocks of them at a time,
    or other kernels, which are not written into this one. LLVM would unroll these once more: twice
    the code, and half as long again to compile, for nothing.
    """

    def emit(context, builder, signature, args):
        builder.function.attributes.add("optsize")
        return context.get_dummy_value()

    return numba_types.void(), emit
