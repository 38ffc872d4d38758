"""Buy & Hold over the paper's test window gives the paper's printed rows, from two independent sources of prices."""

import os
from pathlib import Path

import numpy as np
import pytest

from flag_trl.data import MarketData, load_market
from flag_trl.metrics import InvestorBench, investorbench_measures

REPOSITORY = Path(__file__).parents[2]
INVESTOR_BENCH = Path(os.environ.get("FLAG_TRL_DATA", REPOSITORY.parent / "shared" / "data")) / "investor-bench"
FIRST, LAST = "2020-10-01", "2021-05-05"


def buy_and_hold(market: MarketData) -> InvestorBench:
    first, stop = market.index_range(FIRST, LAST)
    prices = market.close[first:stop]
    return investorbench_measures(np.ones(prices.size - 1), prices, market.periods_per_year)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("MSFT", InvestorBench(CR=15.340, SR=1.039, AV=24.981, MDD=9.428)),
        ("JNJ", InvestorBench(CR=13.894, SR=1.343, AV=17.500, MDD=9.847)),
    ],
)
def test_the_bundled_sample_gives_the_printed_rows_to_two_thousandths(symbol: str, expected: InvestorBench) -> None:
    measured = buy_and_hold(load_market("sample", symbol))
    assert vars(measured) == pytest.approx(vars(expected), abs=0.002)


@pytest.mark.skipif(
    not INVESTOR_BENCH.is_dir(), reason="INVESTOR-BENCH's data is not there; set FLAG_TRL_DATA to the folder above it"
)
@pytest.mark.parametrize(
    ("symbol", "printed"),
    [
        ("MSFT", InvestorBench(CR=15.340, SR=1.039, AV=24.980, MDD=9.428)),
        ("JNJ", InvestorBench(CR=13.895, SR=1.343, AV=17.500, MDD=9.847)),
        ("HON", InvestorBench(CR=33.256, SR=2.347, AV=23.967, MDD=9.195)),
    ],
)
def test_the_papers_own_data_gives_the_printed_rows_to_three_decimals(symbol: str, printed: InvestorBench) -> None:
    measured = buy_and_hold(load_market(str(INVESTOR_BENCH), symbol))
    assert {name: round(value, 3) for name, value in vars(measured).items()} == vars(printed)
