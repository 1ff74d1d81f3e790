"""Recommenders meet holdouts; knows the protocol, never a model."""
