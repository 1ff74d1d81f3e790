"""The folders of runs and benchmarks and what is in them: written, read, summarised, uploaded."""
