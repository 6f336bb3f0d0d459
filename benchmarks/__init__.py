"""Benchmarks, one data set or task family per file. Importing this package registers them."""
