"""Autoencoder recommenders on observed ratings: load, split, fit, evaluate, recommend."""
