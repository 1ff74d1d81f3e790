"""Torch modules and functions of tensors; knows neither users nor items."""
