"""``python -m benchmarks.figures``: all figures of the documentation, as Markdown.

Runs ``benchmarks.iteration``, ``benchmarks.startup`` and ``benchmarks.memory`` one after the other,
each in a process of its own, and says on which machine and with which versions.
"""

import argparse
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib

PACKAGES = ("numpy", "scipy", "numba", "scikit-learn")


def run_benchmark(module: str, *options: str) -> Any:
    """Run one of the benchmarks and return what it measured."""
    print(f"running benchmarks.{module} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", *options]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def processor() -> str:
    """Return the name of the processor, as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_lines() -> list[str]:
    """Return the machine and the versions."""
    import fastgmm

    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return [
        f"Machine: {processor()}, {joblib.cpu_count()} cores usable, {platform.system()}.  ",
        f"Versions: fastgmm {fastgmm.__version__}, Python {platform.python_version()}, {versions}.",
    ]


def iteration_lines(result: Any) -> list[str]:
    """Return the section on the time of an iteration."""
    settings = result["settings"]
    lines = [
        "### Seconds per EM iteration",
        "",
        f"`python -m benchmarks.iteration`: {settings['covariance_type']} covariance, "
        f"{settings['dtype']}, the same start, `tol=0`, {settings['threads']} threads each, in "
        f"turn in one process, median of {settings['repeats']}. GFlop/s counts 2 n k d^2 useful "
        f"operations; NumPy's matrix product reached {result['gemm_gflops']:.0f} GFlop/s.",
        "",
        "| rows | features | components | scikit-learn | fastgmm | times faster | GFlop/s "
        "| means differ by |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["shapes"]:
        seconds = row["seconds"]
        gflops = "" if row["gflops"] is None else f"{row['gflops']:.0f}"
        lines.append(
            f"| {row['n']} | {row['d']} | {row['k']} | {1e3 * seconds['scikit-learn']:.1f} ms "
            f"| {1e3 * seconds['fastgmm']:.2f} ms | {row['speed_up']:.1f} | {gflops} "
            f"| {row['means_relative_difference']:.0e} |"
        )
    return lines


def startup_lines(result: Any) -> list[str]:
    """Return the section on imports and first fits."""
    lines = [
        "### Start-up and small fits",
        "",
        "`python -m benchmarks.startup`",
        "",
        "| | seconds |",
        "|---|---:|",
    ]
    lines += [f"| `import {name}` | {value:.3f} |" for name, value in result["import"].items()]
    lines += [
        f"| first fit in a new process, {state} | {value:.3f} |"
        for state, value in result["first_fit"].items()
    ]
    for threads, (theirs, ours) in result["iris"].items():
        lines.append(f"| iris, {threads}: scikit-learn | {theirs:.5f} |")
        lines.append(f"| iris, {threads}: fastgmm | {ours:.5f} |")
    return lines


def memory_lines(result: Any) -> list[str]:
    """Return the section on peak memory."""
    n, d, k = result["shape"]
    lines = [
        "### Peak memory of a fit beyond X",
        "",
        f"`python -m benchmarks.memory`: {n} rows, {d} features, {k} components, full, float64; "
        f"X itself is {8 * n * d / 1e6:.0f} MB.",
        "",
        "| library | `init_params` | MB beyond X |",
        "|---|---|---:|",
    ]
    lines += [
        f"| {row['library']} | `{row['init_params']}` | {row['extra_bytes'] / 1e6:.1f} |"
        for row in result["results"]
    ]
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--scikit-learn-memory", action="store_true", help="also the memory that scikit-learn takes"
    )
    parsed = parser.parse_args(arguments)
    repeats = ("--repeats", str(parsed.repeats))
    memory_options = ("--scikit-learn",) if parsed.scikit_learn_memory else ()
    sections = [
        machine_lines(),
        iteration_lines(run_benchmark("iteration", *repeats)),
        startup_lines(run_benchmark("startup", *repeats)),
        memory_lines(run_benchmark("memory", *memory_options)),
    ]
    print("\n\n".join("\n".join(section) for section in sections))


if __name__ == "__main__":
    main()
