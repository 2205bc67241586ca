"""Many runs: what a run records, running notebooks from the command line, pages to read them."""
