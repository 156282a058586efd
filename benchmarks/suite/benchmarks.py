"""The benchmarks that asv finds: one class for every entry of the list of timings."""

import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from .timings import SUITE, Timing


def _benchmark(name: str, timing: Timing) -> type:
    """A class as asv wants it. It sets a benchmark up anew before every sample."""

    class Benchmark:
        version, unit, repeat = timing.version, timing.unit, timing.repeat
        params, param_names = list(timing.axes.values()), list(timing.axes)
        rounds = number = 1

        def setup(self, *parameters: Any) -> None:
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.call = timing.make(**dict(zip(timing.axes, parameters, strict=True)))

        def teardown(self, *parameters: Any) -> None:
            del self.call

    def run(self: Any, *parameters: Any) -> Any:
        return self.call()

    run.benchmark_name = name  # type: ignore[attr-defined]
    setattr(Benchmark, name.rsplit(".", 1)[1], run)
    return Benchmark


globals().update({name.split(".")[1]: _benchmark(name, timing) for name, timing in SUITE.items()})
