"""Benchmarks: one module per question, each run with `python -m benchmarks.NAME`."""
