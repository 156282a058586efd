"""Run a script, or a module, with the estimators in the place of scikit-learn's.

``python -m fastgmm script.py [arguments]`` or ``python -m fastgmm -m module [arguments]``
"""

import runpy
import sys
from pathlib import Path

from fastgmm.patching import patch_sklearn


def main() -> None:
    """Run what the command line names."""
    arguments = sys.argv[1:]
    as_module = arguments[:1] == ["-m"]
    target = arguments[as_module:]
    if not target or (target[0].startswith("-") and not as_module):
        print(__doc__.strip(), file=sys.stderr)
        raise SystemExit(2)
    patch_sklearn()
    sys.argv = target
    if as_module:
        runpy.run_module(target[0], run_name="__main__", alter_sys=True)
    else:
        # As when Python runs a script: its folder comes first.
        sys.path[0] = str(Path(target[0]).resolve().parent)
        runpy.run_path(target[0], run_name="__main__")


if __name__ == "__main__":
    main()
