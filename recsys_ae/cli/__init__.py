"""The command line: parse, call one function, print. The only room that prints."""

from recsys_ae.cli.main import main

__all__ = ["main"]
