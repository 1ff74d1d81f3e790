"""Configs become fitted recommenders."""
