"""perf/REPORT.md: the parts that make it, how each is run, and what is written of their figures."""
