"""What goes wrong on purpose, on the workers that the tests of faults start."""

import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from fastgmm.passes.dense import SumsOfChunks
from fastgmm.passes.shares import SumsOfGiven
from fastgmm.sources.base import merge_chunks


class DyingSums:
    """Sums of chunks whose worker dies at the first look at a chunk, until there are files enough.

    Parameters
    ----------
    sums : SumsOfChunks or SumsOfGiven
    folder : path
        Where every death leaves a file.
    deaths : int
    """

    def __init__(self, sums, folder, deaths):
        self._sums, self._folder, self._deaths = sums, Path(folder), deaths

    def __call__(self, chunk):
        for number in range(self._deaths):
            try:
                (self._folder / f"death{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os._exit(1)
        return self._sums(chunk)


class LethalSums:
    """Sums of chunks that end other processes, and at last their own."""

    def __init__(self, pids):
        self._pids = pids

    def __call__(self, chunk):
        for pid in [*self._pids, os.getpid()]:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


class SlowSums:
    """Sums of chunks that take their time, and say that they have begun."""

    def __init__(self, sums, folder):
        self._sums, self._folder = sums, Path(folder)

    def __call__(self, chunk):
        (self._folder / "begun").touch()
        time.sleep(2)
        return self._sums(chunk)


def deadly(monkeypatch, folder, deaths, after=0):
    """Let workers die in a pass of a fit that is made here: after so many passes that go well."""
    in_pass(monkeypatch, after, lambda sums: DyingSums(sums, folder, deaths))


def in_pass(monkeypatch, after, change):
    """Change the sums of chunks in a pass of a fit; gives the passes that there have been."""
    passes = []

    def merge(function, *where):
        if isinstance(function, (SumsOfChunks, SumsOfGiven)):
            passes.append(function)
            function = change(function) if len(passes) == after + 1 else function
        return merge_chunks(function, *where)

    monkeypatch.setattr("fastgmm.passes.dense.merge_chunks", merge)
    return passes


def out_of_memory(block):
    """A partition that the worker dies of."""
    os._exit(9)


def hungry(block):
    """A partition that takes more and more memory, until the worker is killed."""
    held = []
    while True:
        held.append(np.ones(1 << 22))
        time.sleep(0.02)


def unreadable(block):
    """A partition that cannot be read."""
    raise FileNotFoundError("there is no part6.bin")


def with_a_hole(block):
    """Rows with a missing value."""
    block = block.copy()
    block[5, 1] = np.nan
    return block
