"""Benchmarks: ratios against a bound measured in the same run, never part of the tests."""
