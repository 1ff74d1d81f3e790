"""Recommenders become lists."""
