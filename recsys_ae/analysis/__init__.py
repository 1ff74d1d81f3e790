"""What fitted models have learnt, held against what mathematics says they must."""
