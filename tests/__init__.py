"""The tests of fastgmm."""
