"""fastgmm beside other libraries: how each runs EM, and the process that it runs in."""
