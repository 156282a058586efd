"""pytest plugin: a package's own tests on a patched import (``-p tests.packages.patched``)."""

import fastgmm

fastgmm.patch_sklearn()
