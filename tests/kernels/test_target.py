"""The width of vectors follows from what Numba compiles for."""

import os
import platform

import pytest

from fastgmm.kernels import target
from tests import fresh

on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="these are names of x86"
)


@on_x86
@pytest.mark.compiled_only
@pytest.mark.parametrize(
    ("cpu", "features", "lane_bytes", "group"),
    [
        ("generic", "", 16, 2),
        ("x86-64-v2", "", 16, 2),
        ("x86-64-v2", "+avx,+fma", 16, 2),  # no integers in its wider registers
        ("haswell", "", 32, 2),
        ("haswell", "-avx2", 16, 2),
        ("x86-64-v2", "+avx2,+fma", 32, 2),
        ("skylake-avx512", "", 64, 4),
        ("skylake-avx512", "-avx512f", 32, 2),
    ],
)
def test_vectors_fit_the_target_whatever_the_host(cpu, features, lane_bytes, group):
    code = "from fastgmm.kernels.simd import *; print(LANE_BYTES, GROUP)"
    variables = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    finished = fresh.run(code, env={**os.environ, **variables}, check=True)
    assert finished.stdout.split() == [str(lane_bytes), str(group)]


@pytest.mark.parametrize(
    ("triple", "expected"),
    [
        ("aarch64-unknown-linux-gnu", True),
        ("arm64-apple-darwin24.0.0", True),
        ("x86_64-unknown-linux-gnu", False),
    ],
)
def test_aarch64_has_32_registers(triple, expected, monkeypatch):
    monkeypatch.setattr(target, "vector_bytes", lambda *_: 16)
    assert target.has_many_registers(triple, "generic", "") == expected
