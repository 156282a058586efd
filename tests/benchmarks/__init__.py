"""The benchmarks: what asv is told, what the gate finds, what the report shows."""
