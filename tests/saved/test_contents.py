"""Contents that are damaged under a right checksum are refused on loading, or do no harm.

``python -m tests.saved.test_contents 5000`` tries as many of each kept file's contents.
"""

import collections
import contextlib
import copy
import io
import random
import re
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from fastgmm.cli.info import info
from fastgmm.files.container import ModelFileError, pack, read_file
from fastgmm.saved.models import load
from fastgmm.statistics import SufficientStatistics
from tests.saved.files.make_files import HERE, POINTS, of_run, quiet_fit
from tests.saved.models import X

FILES = sorted(path.name for path in HERE.glob("*.npz"))
PER_FILE = 15

NUMBERS = [0, 1, -1, 2, 3, 7, 0.5, -0.5, 1e-300, 1e300, 10**30]
WORDS = ["", "text", "full", "diag", "tied", "kmeans", "random", "means_", "dirichlet_distribution"]
VALUES = [
    None,
    True,
    False,
    *NUMBERS,
    *WORDS,
    [],
    [1.5],
    ["a"],
    {},
    {"float": "nan"},
    {"float": "-inf"},
    {"strings": ["a", "b", "c"]},
    {"strings": []},
    {"tuple": []},
    {"dict": {}},
    {"array": "header"},
]


# -- damage ----------------------------------------------------------------------------------------
def places_of(value):
    """Every container in some JSON, with its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from places_of(item)


def damaged_array(array, chance):
    """An array with something wrong, or at least something else."""
    flat = array.reshape(-1).copy()
    place = slice(None) if chance.random() < 0.3 or not flat.size else chance.randrange(flat.size)
    factor = chance.choice([-1.0, 0.0, 2.0, 1e-3, 1e300, -1e-300])
    with np.errstate(all="ignore"):
        flat[place] = flat[place] * factor if array.dtype.kind == "f" else 0
        changed = flat.reshape(array.shape)
        if array.dtype.kind == "f" and chance.random() < 0.4:
            flat[place] = chance.choice([np.nan, np.inf, -np.inf, -1.0, 0.0, 0.5, 5.0])
        return chance.choice(
            [
                changed,
                changed,
                changed,
                changed,
                array[..., np.newaxis],
                array.reshape(-1),
                array.reshape(-1)[:-1],
                np.atleast_1d(array)[:1],
                np.atleast_1d(array)[:0],
                array.T.copy(),
                np.concatenate([array, array]) if array.ndim else array,
                array.astype(np.float32),
                array.astype(np.float64),
                np.nan_to_num(array).astype(np.int64),
                array != 0,
            ]
        )


def damaged(contents, seed):
    """Contents with one to three things wrong."""
    chance = random.Random(seed)
    header, arrays = copy.deepcopy(contents.header), dict(contents.arrays)
    for _ in range(chance.choice([1, 1, 2, 3])):
        if chance.random() < 0.5 and arrays:
            name = chance.choice(sorted(arrays))
            arrays[name] = damaged_array(arrays[name], chance)
            continue
        place, key = chance.choice(list(places_of(header)))
        kind = chance.choice(["delete", "set", "set", "array", "copy"])
        if kind == "delete":
            del place[key]
        elif kind == "set":
            place[key] = copy.deepcopy(chance.choice(VALUES))
        elif kind == "array":
            place[key] = {"array": chance.choice([*sorted(arrays), "none"])}
        else:
            other, other_key = chance.choice(list(places_of(header)))
            place[key] = copy.deepcopy(other[other_key])
    return contents._replace(header=header, arrays=arrays)


# -- use -------------------------------------------------------------------------------------------
def use(path, rows):
    """Do all that may be done with a file; an exception means that it should have been refused."""
    with contextlib.redirect_stdout(io.StringIO()):
        info(path, as_json=True)
        info(path, as_json=False)
    thing = load(path)
    if isinstance(thing, SufficientStatistics):
        use_statistics(thing)
    elif hasattr(thing, "means_"):
        thing.save(path.with_name("again.npz"))
        use_model(thing, rows)
    # Options may be those of another fit.
    model = clone(thing) if not isinstance(thing, SufficientStatistics) else None
    if model is not None and model.max_iter < 1000 and model.n_init < 10:
        with bad_options():
            model.set_params(verbose=0, n_jobs=1).fit(rows)


def bad_options():
    """Options may be right, but not for these rows; scikit-learn or we say so."""
    return contextlib.suppress(ValueError, TypeError)


@contextlib.contextmanager
def too_far():
    """A sound mixture may be so far from our rows, or so narrow, that we say that nothing fits."""
    try:
        yield
    except ValueError as error:
        if not re.search("its density vanishes|The statistics overflow", str(error)):
            raise


def use_model(model, rows):
    points = POINTS.astype(model.means_.dtype)
    labels = model.predict(points)
    assert set(labels) <= set(range(len(model.means_)))
    with too_far():
        assert np.isfinite(model.predict_proba(points)).all()
        assert np.isfinite(model.score_samples(points)).all()
    repr(model)
    model.to_sklearn().predict(points)
    if hasattr(model, "covariances_") and np.isfinite(model.covariances_).all():
        model.sample(3)
    model.verbose, model.n_jobs = 0, 1
    with too_far():
        statistics = model.accumulate(rows)
        with bad_options():
            copy.deepcopy(model).update(statistics)
        with bad_options():
            copy.deepcopy(model).partial_fit(rows)
    if hasattr(model, "lower_bound_") and model.max_iter < 1000:
        with bad_options():
            copy.deepcopy(model).set_params(warm_start=True).fit(rows)


def use_statistics(statistics):
    assert np.isfinite((statistics + statistics).scaled(2.0).sums).all()
    repr(statistics)
    assert statistics.pooled().n_rows == statistics.n_rows


def check_one(name, seed, folder):
    """Whether the damage was noticed."""
    kind = "checkpoint" if "checkpoint" in name else ("model", "statistics")
    contents = damaged(read_file(HERE / name, (kind,) if isinstance(kind, str) else kind), seed)
    path = Path(folder) / "file.npz"
    try:
        path.write_bytes(pack(contents))
    except ValueError:  # a number or an array that files do not have
        return True
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            if kind == "checkpoint":
                use_checkpoint(name, path)
            else:
                use(path, X.astype(np.float32 if "float32" in name else np.float64))
        except ModelFileError as error:
            if str(path) not in str(error):
                raise AssertionError("the error does not name the file") from error
            return True
    return False


def use_checkpoint(name, path):
    with contextlib.redirect_stdout(io.StringIO()):
        info(path, as_json=True)
        info(path, as_json=False)
    model, rows = of_run(name.removeprefix("v1_checkpoint").removesuffix(".npz"))
    try:
        quiet_fit(model, rows, checkpoint=path)
    except ModelFileError:
        raise
    except ValueError as error:
        # Another run, or parameters from which there is no way on.
        if not re.search("another run|ill-defined|lower bound is not a number", str(error)):
            raise
    else:
        assert np.isfinite(model.means_).all()


@pytest.mark.parametrize("name", FILES)
def test_damaged_contents(name, tmp_path):
    noticed = [check_one(name, seed, tmp_path) for seed in range(PER_FILE)]
    assert any(noticed)


def main(n, names=FILES):
    found = collections.defaultdict(list)
    for name in names:
        noticed = 0
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(n):
                try:
                    noticed += check_one(name, seed, folder)
                except Exception as error:
                    found[type(error).__name__, str(error)].append((name, seed))
        print(name, noticed, "of", n, "noticed", flush=True)
    for error, places in found.items():
        print(*error, len(places), "times, as in", *places[:3])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] or FILES)
