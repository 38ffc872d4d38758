"""What the measurements of number formats and news selectors say is so."""

import numpy as np
import pytest

from benchmarks import news_selectors, number_formats


def test_a_format_costs_what_it_writes_and_errs_by_what_it_rounds_away() -> None:
    rows = number_formats.measure(np.array([[0.0123, -0.004, 0.0, 0.01, -0.02]]), len)
    found = {row["format"]: row for row in rows}
    assert found["tenths of a percent, signed"]["example"] == "+12 -4 +0 +10 -20"
    assert found["tenths of a percent, signed"]["tokens"] == len("+12 -4 +0 +10 -20")
    assert found["tenths of a percent, signed"]["error"] == pytest.approx(0.0003 / 0.0463)
    assert found["fraction"]["error"] == pytest.approx(0.0, abs=1e-12)


def test_selectors_are_judged_by_the_items_that_they_show(tmp_path) -> None:
    days = [f"2020-01-{day:02}" for day in range(1, 10)]
    news = '"Acme grew.", "Rain fell today.", "Rain fell again."'
    rows = ",".join(f'"{day}": {{"prices": 1, "news": [{news}]}}' for day in days)
    (tmp_path / "aaa.json").write_text("{" + rows + "}")
    found = {row["selector"]: row for row in news_selectors.measure(str(tmp_path), "AAA", ("Acme",), len, 1, 40)}
    # Views begin with the sixth day, so that five lie before each.
    assert {row["days"] for row in found.values()} == {4}
    assert (found["latest"]["named"], found["relevance"]["named"]) == (0.0, 1.0)
    assert all(row["stale"] == row["ends"] == 1.0 and row["items"] == 1.0 for row in found.values())
    pooled = news_selectors.pooled(list(found.values()))
    assert [row["named"] for row in pooled] == [row["named"] for row in found.values()]
