"""Measurements, run by `benchmarks/run [NAME …]` and written into docs/benchmarks.md. Never part of the tests."""
