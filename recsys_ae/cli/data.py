"""recsys-ae data list, describe, fetch"""

from __future__ import annotations

import typer

data = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Known datasets, and what is in a file of ratings."
)
