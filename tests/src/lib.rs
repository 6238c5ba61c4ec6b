//! End-to-end tests, the worlds they run in, and the benchmark harness.
