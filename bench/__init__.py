"""The benchmarks; bench/README.md says how to run and read them."""
