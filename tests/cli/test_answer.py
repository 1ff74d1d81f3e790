"""What a terminal shows, however narrow it is."""

from __future__ import annotations

import pytest

from recsys_ae.cli.answer import show_table
from recsys_ae.reporting.tables import Table

NAMES = ("i-autorec", "a-model-of-quite-a-long-name")
TABLE = Table(
    ("model", "rmse", "ndcg_at_10", "Δ rmse", "Δ ndcg_at_10", "fit s", "memory MB"),
    tuple((name, 0.9, 0.05, "-0.0224 ±0.0031 ***", "+0.0010 ±0.0020", 12345.0, 1234.5) for name in NAMES),
    tight=frozenset({"Δ rmse", "Δ ndcg_at_10"}),
)
ASIDE = ("Δ rmse", "Δ ndcg_at_10")


def shown(capsys, width: int | None) -> list[str]:
    show_table(TABLE, aside=ASIDE, width=width)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [20, 60, 80, 100, 120, None])
def test_no_name_and_no_number_is_ever_cut(width, capsys):
    text = " ".join(shown(capsys, width))
    for word in (*TABLE.columns, *NAMES, "0.9000", "0.0500", "-0.0224 ±0.0031 ***", "12,345", "1,234"):
        assert word in text
    assert "…" not in text


@pytest.mark.parametrize(("width", "n_tables"), [(None, 1), (120, 1), (80, 2)])
def test_columns_that_do_not_fit_stand_in_a_second_table(width, n_tables, capsys):
    lines = shown(capsys, width)
    assert sum(line.startswith("model") for line in lines) == n_tables
    assert all(len(line.rstrip()) <= (width or 1000) for line in lines)
    assert len(lines) == 3 * n_tables + (n_tables - 1)
