"""Loops that numpy cannot say, compiled by numba: raw arrays in, raw arrays out."""
