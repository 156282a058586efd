"""`fastgmm warmup` says so if what it compiles is not kept."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.compiled_only

# What it compiles, and how long that takes, is no matter here.
CODE = """
from fastgmm.cli import warmup
warmup.exercise = warmup.exercise_cells = lambda *arguments, **sizes: None
warmup.exercise_few_rows = warmup.exercise
warmup.warmup()
"""


def warnings_of(**environment):
    finished = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "FASTGMM_NUMBA_CACHE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "all kernels ready" in finished.stdout
    return finished.stderr


def test_kept():
    assert warnings_of() == ""


def test_not_kept():
    text = warnings_of(FASTGMM_NUMBA_CACHE="0")
    assert text.startswith("fastgmm: The compiled kernels could not be kept")
    assert "NUMBA_CACHE_DIR" in text
    assert text.count("\n") == 1
