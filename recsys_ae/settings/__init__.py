"""Files and `--set key=value` become configs; what does not hold becomes one sentence."""
