"""Ctrl-C ends a run, by real signals to a real process."""

import signal
import subprocess
import threading
import time

import pytest

from tests import fresh
from tests.systems import unix_only

CODE = """
import numpy as np, fastgmm, threading
sets = [np.random.default_rng(i).normal(size=(500, 2)) for i in range({n_sets})]
fastgmm.fit_many(sets[:70], 3)
for _ in range(2):
    print("begin", flush=True)
    try:
        fastgmm.fit_many(sets, 3, tol=0.0, max_iter=200_000, n_jobs=2, reg_covar={reg_covar!r})
    except KeyboardInterrupt:
        print("ended", flush=True)
report = fastgmm.fit_many(sets[:10], 3, random_state=0)
print(report, flush=True)
"""


@unix_only
@pytest.mark.parametrize("reg_covar", [1e-6, "scale"], ids=["lockstep", "one by one"])
def test_ctrl_c_ends_it_and_leaves_the_process_sound(reg_covar):
    """Undisturbed, the groups or fits that have begun would go on for minutes."""
    code = CODE.format(n_sets=600, reg_covar=reg_covar)
    with fresh.start(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        patience = threading.Timer(60, process.kill)
        patience.start()
        for after in (0.05, 0.4):
            assert process.stdout.readline() == "begin\n"
            time.sleep(after)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "ended\n"
        out, error = process.stdout.read(), process.stderr.read()
        patience.cancel()
    assert process.returncode == 0, error
    assert out == "<FitReport: 10 mixtures fitted, 0 failed>\n"
    assert error == ""
