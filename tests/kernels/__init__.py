"""The kernels: micro-kernels, elementary functions, passes over rows."""
