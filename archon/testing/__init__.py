"""Contract tests for layers, backends and benchmarks of one's own."""
