"""Configs become runs, runs become comparisons."""
