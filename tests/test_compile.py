"""The cache of compiled kernels: never stale, used when it can be, and never in the way.

Everything runs in new processes, on a copy of the package. Most need no more than two tiny kernels
that are added to the copy, one in a file of its own that the other calls.
"""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types
from numba.core.codegen import JITCodeLibrary

from fastgmm.kernels import compile, paying
from fastgmm.kernels.linalg import products
from tests import fresh

pytestmark = pytest.mark.compiled_only

PACKAGE = Path(__file__).parents[1] / "fastgmm"

INNER = """
from numba import types
from fastgmm.kernels.compile import kernel, microkernel
from fastgmm.kernels.layout import HEADER

CONSTANT = 1.0


def emitted(context):
    return context.get_constant(types.float64, 10.0)


@microkernel(lambda: 10.0)
def micro(typing):
    return types.float64(), lambda context, builder, signature, args: emitted(context)


@kernel
def inner():
    return CONSTANT
"""
OUTER = """
from numba import types
from fastgmm.kernels.compile import kernel
from fastgmm.kernels.inner import inner, micro


@kernel(signature=types.float64())
def outer():
    return inner() + micro()
"""
#: Edits of the file that is called, one after the other, and what the kernel then returns: a
#: constant, code, the emitter of a micro-kernel.
EDITS = [
    ("CONSTANT = 1.0", "CONSTANT = 2.0", 12.0),
    ("return CONSTANT", "return -CONSTANT", 8.0),
    ("types.float64, 10.0", "types.float64, 20.0", 18.0),
]

TINY = """
from fastgmm.kernels.outer import outer
value, dispatchers = outer(), [outer]
"""
ALLOCATING = """
import numpy as np
from numba import types
from fastgmm.kernels.compile import kernel


@kernel(signature=types.float64(types.intp))
def total(n):
    return np.ones(n).sum()
"""
CALLING = """
from numba import njit, types
from fastgmm.kernels.allocating import total
from fastgmm.kernels.compile import kernel


@kernel(signature=types.float64(types.intp))
def twice(n):
    return total(n) + total(n)
"""
LOADED = """
import sys
from fastgmm.kernels.allocating import total
value, dispatchers = [total(3), "numba.np.arrayobj" in sys.modules], [total]
try:
    total(-1)
except ValueError as error:
    value.append(str(error))
"""
CALLED = """
import numba, numpy as np
from fastgmm.kernels.calling import total, twice
value, dispatchers = [twice(3), total(3)], [total]
value += [numba.njit(lambda n: np.ones(n))(2).tolist(), total(3)]
"""
PREDICTIONS = """
import numpy as np
from fastgmm.covariance import STRUCTURES
from fastgmm.passes.chunks import chunk_predictions
from fastgmm.kernels.em_pass import prediction_pass
from fastgmm.parameters import MixtureParameters
from fastgmm.passes.kernel_operands import kernels_for
from fastgmm.sources.base import Chunk

X, ones = np.arange(6.0).reshape(3, 2), np.ones((2, 2))
value, dispatchers = [], []
for name in {names}:
    structure, out = STRUCTURES[name], np.empty(3)
    factors = {{"diag": ones, "spherical": ones[0]}}[name]
    parameters = MixtureParameters(np.array([0.25, 0.75]), np.eye(2), factors, factors)
    forms = structure.forms
    operands = kernels_for(structure.operands(parameters), forms, X.dtype).operands
    chunk_predictions(Chunk(0, 3, X, X[0, :0]), forms, operands, "log_likelihoods", out)
    value += out.tolist()
    dispatchers.append(prediction_pass(forms.density, X.dtype))
"""
COMPILED_BY_A_FIT = """
import warnings
import numpy as np
from numba.core import event
from fastgmm import GaussianMixture

warnings.simplefilter("ignore")  # of no convergence
X = np.random.RandomState(0).normal(size=(20_000, {n_features}))
model = GaussianMixture({arguments}, max_iter=1, n_jobs=4)
with event.install_recorder("numba:compile") as recorder:
    model.fit(X).predict(X)
compiled = {{id(e.data["dispatcher"]): e.data["dispatcher"].py_func for _, e in recorder.buffer}}
ours = [function for function in compiled.values() if function.__module__.startswith("fastgmm")]
names = [function.__qualname__ for function in ours]
value, dispatchers = {{name: names.count(name) for name in names}}, []
"""
WARNINGS_ARE_ERRORS = """
import warnings
warnings.simplefilter("error")
"""
REPORT = """
import json, fastgmm
stats = [d.stats for d in dispatchers]
print(json.dumps({
    "package": fastgmm.__file__,
    "value": value,
    "hits": sum(sum(s.cache_hits.values()) for s in stats),
    "misses": sum(sum(s.cache_misses.values()) for s in stats),
}))
"""


class Copy:
    """A copy of the package, with the two tiny kernels."""

    def __init__(self, folder):
        self.folder = folder
        self.kernels = folder / "fastgmm" / "kernels"

    @classmethod
    def make(cls, folder, public_face=False):
        shutil.copytree(PACKAGE, folder / "fastgmm", ignore=shutil.ignore_patterns("__pycache__"))
        copy = cls(folder)
        if not public_face:
            # The processes start faster without scikit-learn.
            (folder / "fastgmm" / "__init__.py").write_text("")
        (copy.kernels / "inner.py").write_text(INNER)
        (copy.kernels / "outer.py").write_text(OUTER)
        return copy

    def edit(self, file, old, new):
        """Replace text in a kernel file."""
        path = self.kernels / file
        text, before = path.read_text(), path.stat().st_mtime
        assert old in text
        path.write_text(text.replace(old, new, 1))
        # Python's own cache of byte code looks at whole seconds.
        later = before + 10
        os.utime(path, (later, later))

    def run(self, code=TINY, **environment):
        """What a new process reports that runs `code` with the package's copy."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NUMBA_", "FASTGMM_", "XDG_"))
        }
        finished = fresh.run(
            WARNINGS_ARE_ERRORS + code + REPORT,
            cwd=self.folder,
            env={**inherited, **environment},
            check=True,
        )
        report = json.loads(finished.stdout)
        assert Path(report["package"]).is_relative_to(self.folder)
        return report

    def cache_files(self, suffix="nb[ic]"):
        return sorted(self.folder.rglob(f"*.{suffix}"))


@pytest.fixture
def package(tmp_path):
    return Copy.make(tmp_path)


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A copy whose cache is filled; not to be changed."""
    package = Copy.make(tmp_path_factory.mktemp("warm"))
    assert package.run()["value"] == 11.0
    return package


@pytest.fixture
def warm_copy(warm, tmp_path):
    shutil.copytree(warm.folder, tmp_path, dirs_exist_ok=True)
    return Copy(tmp_path)


# --- hits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("elsewhere", [False, True], ids=["__pycache__", "NUMBA_CACHE_DIR"])
def test_unchanged_sources_hit_the_cache(package, elsewhere):
    environment = {"NUMBA_CACHE_DIR": str(package.folder / "cache")} if elsewhere else {}
    first = package.run(**environment)
    assert (first["value"], first["hits"], first["misses"]) == (11.0, 0, 1)
    files = package.cache_files()
    assert files
    assert all(("__pycache__" not in path.parts) == elsewhere for path in files)
    written = [path.stat().st_mtime_ns for path in files]
    second = package.run(**environment)
    assert (second["value"], second["hits"], second["misses"]) == (11.0, 1, 0)
    assert package.cache_files() == files
    assert [path.stat().st_mtime_ns for path in files] == written


@pytest.mark.slow
def test_a_first_fit_compiles_few_functions_and_the_next_process_none(tmp_path):
    """Each is optimised by itself, some again within what calls them: that is what takes long."""
    package = Copy.make(tmp_path, public_face=True)
    code = COMPILED_BY_A_FIT.format(n_features=2, arguments="64, random_state=0")
    compiled = package.run(code)["value"]
    passes = {name.split(".")[0] for name in compiled if "<locals>" in name}
    assert passes >= {"seeding_pass", "lloyd_pass", "statistics", "few_precision_factors"}
    others = {name for name in compiled if "<locals>" not in name}
    assert (len(compiled) - len(others), others) == (len(passes), {"_find"})
    assert package.run(code)["value"] == {}


def test_a_kernel_is_loaded_alone(package):
    """Not what Numba needs to compile; what kernels that call it need is read by these."""
    (package.kernels / "allocating.py").write_text(ALLOCATING)
    (package.kernels / "calling.py").write_text(CALLING)
    text = "negative dimensions not allowed"
    assert package.run(LOADED)["value"] == [3.0, True, text]
    loaded = package.run(LOADED)
    assert (loaded["value"], loaded["hits"]) == ([3.0, False, text], 1)
    called = package.run(CALLED)
    assert (called["value"], called["hits"]) == ([6.0, 3.0, [1.0, 1.0], 3.0], 1)


# --- edits --------------------------------------------------------------------------------


def test_edits_elsewhere_are_seen(package):
    """Numba itself would look at the file of the outer kernel only."""
    environment = {"NUMBA_CACHE_DIR": str(package.folder / "cache")}
    assert package.run(**environment)["value"] == 11.0
    for old, new, value in EDITS:
        package.edit("inner.py", old, new)
        assert package.run(**environment)["value"] == value


def test_an_edit_of_any_kernel_file_misses_the_cache(warm_copy):
    """Each changes the digest, which stands in the name of the cache's file."""
    code = """
import importlib, pathlib
from fastgmm.kernels import compile, outer
dispatchers, digests = [outer.outer], [compile._digest()]
for path in sorted(pathlib.Path(compile.__file__).parent.rglob("*.py")):
    path.write_text(path.read_text() + "\\n# edited\\n")
    digests.append(compile._digest.__wrapped__())
importlib.reload(compile)
importlib.reload(outer)
dispatchers.append(outer.outer)
names = [dispatcher.py_func.__qualname__ for dispatcher in dispatchers]
value = [digests, names, [dispatcher() for dispatcher in dispatchers]]
"""
    report = warm_copy.run(code)
    digests, names, values = report["value"]
    n_files = len(list(warm_copy.kernels.rglob("*.py")))
    assert n_files > 8
    assert len(set(digests)) == len(digests) == n_files + 1
    assert names[0].endswith(digests[0])
    assert names[1].endswith(digests[-1])
    assert values == [11.0, 11.0]
    assert (report["hits"], report["misses"]) == (1, 1)


def test_kernels_have_indices_of_their_own_and_see_an_edited_coefficient(package):
    """The real thing, once: from elementary.py by way of responsibilities.py into em_pass.py.

    In a shared index, two processes that compile at once could put their kernels into the same
    file, and a third would run one for the other.
    """
    code = PREDICTIONS.format(names=["diag", "spherical"])
    before = package.run(code)
    assert before["misses"] == 2
    assert len(package.cache_files("nbc")) == len(package.cache_files("nbi")) == 2
    code = PREDICTIONS.format(names=["spherical"])
    again = package.run(code)
    assert (again["value"], again["hits"]) == (before["value"][3:], 1)
    coefficient = re.search(r"\b0\.\d{15,}", (package.kernels / "elementary.py").read_text())
    package.edit("elementary.py", coefficient[0], "0.75")
    after = package.run(code)
    assert after["value"] != pytest.approx(again["value"], rel=1e-6)


# --- no cache -----------------------------------------------------------------------------


def test_the_cache_can_be_turned_off(package):
    report = package.run(FASTGMM_NUMBA_CACHE="0")
    assert (report["value"], report["hits"]) == (11.0, 0)
    assert not package.cache_files()


def make_unwritable(package):
    """Nothing can be cached beside the sources; returns a path that nothing can be below.

    Root may write into directories that are read-only, but nobody below a regular file.
    """
    file = package.folder / "file"
    file.write_text("")
    for folder in {path.parent for path in package.kernels.rglob("*.py")}:
        (folder / "__pycache__").write_text("")
    return file / "folder"


@pytest.mark.parametrize("cache", ["unset", "unwritable"])
def test_nothing_writable(package, cache):
    nowhere = str(make_unwritable(package))
    environment = {"HOME": nowhere}
    if cache == "unwritable":
        environment["NUMBA_CACHE_DIR"] = nowhere
    report = package.run(**environment)
    assert (report["value"], report["hits"]) == (11.0, 0)
    assert not package.cache_files()


@pytest.mark.slow
def test_a_fit_with_nothing_writable(tmp_path):
    """Its threads all need a kernel at the same moment, and one compiles it for all.

    With a cache they would not compile, but load it one after the other.
    """
    package = Copy.make(tmp_path, public_face=True)
    nowhere = str(make_unwritable(package))
    arguments = "5, covariance_type='spherical', init_params='random_from_data'"
    code = COMPILED_BY_A_FIT.format(n_features=20, arguments=arguments)
    report = package.run(code, HOME=nowhere, NUMBA_CACHE_DIR=nowhere)
    assert len(report["value"]) > 1
    assert set(report["value"].values()) == {1}
    assert not package.cache_files()


def test_an_unwritable_cache_directory_falls_back(package):
    """To the folder of the sources."""
    environment = {"NUMBA_CACHE_DIR": str(package.kernels / "inner.py" / "folder")}
    assert package.run(**environment)["value"] == 11.0
    assert package.run(**environment)["hits"] == 1


def test_a_cache_that_cannot_be_written_costs_compiling_once(package):
    """As on a full disk, or beyond a quota: folders can be made, and files opened."""
    report = package.run(
        """
import errno
from numba.core import caching, event

def save(*_):
    raise OSError(errno.ENOSPC, "no space left on device")

caching.IndexDataCacheFile.save = save
with event.install_recorder("numba:compile") as recorder:
    from fastgmm.kernels.outer import outer
compiled = [e.data["dispatcher"].py_func.__name__ for _, e in recorder.buffer if e.is_start]
value, dispatchers = [outer(), compiled.count("outer")], [outer]
"""
    )
    assert report["value"] == [11.0, 1]


def test_targets_have_caches_of_their_own(package):
    """Machines with different processors may share a folder, and compile at the same moment."""
    environment = {"NUMBA_CACHE_DIR": str(package.folder / "cache")}
    assert package.run(**environment)["misses"] == 1
    files = package.cache_files()
    other = {**environment, "NUMBA_CPU_NAME": "generic"}
    assert package.run(**other)["misses"] == 1
    assert len(package.cache_files()) == 2 * len(files)
    assert set(files) < set(package.cache_files())
    assert package.run(**environment)["hits"] == package.run(**other)["hits"] == 1


# --- damage -------------------------------------------------------------------------------


def test_damaged_cache_files_are_survived(warm_copy):
    """One process for all: the kernel's module is loaded anew after each damage."""
    report = warm_copy.run(
        """
import importlib, pathlib, shutil
from fastgmm.kernels import outer

def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

def empty(path):
    path.write_bytes(b"")

def fill_with_rubbish(path):
    path.write_bytes(bytes(range(256)) * 8)

def replace_by_folder(path):
    path.unlink()
    path.mkdir()

def remove(path):
    path.unlink()

folder = pathlib.Path(outer.__file__).parent / "__pycache__"
shutil.copytree(folder, "healthy")
value, dispatchers = [outer.outer()], [outer.outer]
for suffix in ("nbi", "nbc"):
    for damage in (truncate, empty, fill_with_rubbish, replace_by_folder, remove):
        shutil.rmtree(folder)
        shutil.copytree("healthy", folder)
        (path,) = folder.glob(f"*.{suffix}")
        damage(path)
        importlib.reload(outer)
        value.append(outer.outer())
        dispatchers.append(outer.outer)
"""
    )
    assert report["value"] == [11.0] * 11
    assert report["hits"] == 1  # of the healthy one


def test_what_others_can_do_without_is_compiled_where_it_pays(monkeypatch):
    monkeypatch.setattr(compile, "_cache_wanted", lambda: False)

    @compile.entry_point
    def make():
        return compile.kernel(lambda: 1.0, signature=types.float64())

    where_it_pays = paying.WhereItPays(lambda: make)
    assert [where_it_pays() for _ in range(paying.OFTEN - 1)] == [None] * (paying.OFTEN - 1)
    made = where_it_pays()
    assert made() == 1.0
    assert made is make() is where_it_pays()


def test_what_others_can_do_without_is_loaded_the_second_time():
    products.stacked_product()  # another process
    make = compile.entry_point(products.stacked_product.__wrapped__)
    where_it_pays = paying.WhereItPays(lambda: make)
    assert where_it_pays() is None
    assert where_it_pays() is make()


def test_a_kernel_is_made_once_for_a_type_of_numbers():
    asked = []

    @compile.entry_point
    def make(dtype, few):
        asked.append((dtype, few))
        return object()

    assert make(np.float64, True) is make(np.dtype(np.float64), True)
    assert make(np.float32, True) is not make(np.float64, True)
    assert asked == [(np.dtype(np.float64), True), (np.dtype(np.float32), True)]


def test_what_is_as_written_is_optimised_once(monkeypatch):
    monkeypatch.setattr(compile, "_cache_wanted", lambda: False)
    usual = []
    monkeypatch.setattr(
        JITCodeLibrary, "_optimize_final_module", lambda library: usual.append(library.name)
    )

    @compile.kernel
    def inner():
        return 1.0

    def written():
        compile.as_written()
        return 1.0

    def calling():
        compile.as_written()
        return inner()

    def plain():
        return 1.0

    for function in (written, calling, plain):

        @compile.entry_point
        def make(function=function):
            return compile.kernel(function, signature=types.float64())

        assert make()() == 1.0
    names = [name.rpartition(".")[2] for name in usual]
    assert {"inner", "plain"} == set(names) - {"nrt"}


def test_what_others_compile_is_left_to_numba(monkeypatch):
    monkeypatch.setattr(compile, "_cache_wanted", lambda: False)

    @compile.entry_point
    def make():
        return compile.kernel(lambda: 1.0, signature=types.float64())

    @compile.entry_point
    def fail():
        raise ValueError("no kernel")

    def library_of(dispatcher):
        (overload,) = dispatcher.overloads.values()
        return type(overload.library)

    assert library_of(make()) is compile._Library
    with pytest.raises(ValueError, match="no kernel"):
        fail()
    assert library_of(njit("float64()")(lambda: 2.0)) is JITCodeLibrary


_INTERRUPTED = """
import signal
from numba import types
from numba.core.codegen import JitEngine
from fastgmm.kernels import compile, paying

finished = []
usual = JitEngine.finalize_object
number = getattr(signal, "{name}")
signal.signal(number, signal.default_int_handler)  # which raises

def finalize_object(engine):
    signal.raise_signal(number)
    usual(engine)
    finished.append(True)

@compile.entry_point
def make():
    return compile.kernel(lambda: 1.0, signature=types.float64())

JitEngine.finalize_object = finalize_object
try:
    make()
except KeyboardInterrupt:
    assert finished
else:
    raise AssertionError("the signal is lost")
JitEngine.finalize_object = usual
assert signal.getsignal(number) is signal.default_int_handler
assert make()() == 1.0
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_comes_after_what_llvm_was_asked_for(name):
    """Raised there, it would be lost, and the process end by a fault of memory."""
    uncached = {**os.environ, "FASTGMM_NUMBA_CACHE": "0"}
    fresh.run(_INTERRUPTED.format(name=name), env=uncached, check=True)
