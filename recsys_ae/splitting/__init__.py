"""Ratings become splits, by masks."""
