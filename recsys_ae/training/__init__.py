"""Optimisation of anything: no word of recommendation here."""
