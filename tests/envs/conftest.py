"""Small markets and the schemes, fills, costs and rewards that properties are shown over."""

from collections.abc import Callable

import numpy as np
import pytest

from flag_trl.accounts import AllIn, Costs, Signed, Target
from flag_trl.data import MarketData

SCHEMES = [AllIn(), Signed(), Target(), Target(grid=(-1.0, -0.5, 0.3, 1.0))]
COSTS = [Costs(), Costs(commission_bps=10, slippage_bps=25, borrow_rate=0.5)]


@pytest.fixture(params=SCHEMES, ids=["all_in", "signed", "target", "target_short"], scope="session")
def scheme(request):
    return request.param


@pytest.fixture(params=COSTS, ids=["free", "costly"], scope="session")
def costs(request):
    return request.param


@pytest.fixture(params=["next_open", "same_close"], scope="session")
def fill(request):
    return request.param


@pytest.fixture(params=["log_return", "sharpe_increment"], scope="session")
def reward(request):
    return request.param


@pytest.fixture(scope="session")
def market_of() -> Callable[..., MarketData]:
    def market(close, open=None, symbol="AAA", periods_per_year=252) -> MarketData:
        return MarketData(
            symbol=symbol,
            dates=np.datetime64("2020-01-01") + np.arange(len(close)),
            close=np.asarray(close, dtype=float),
            open=None if open is None else np.asarray(open, dtype=float),
            periods_per_year=periods_per_year,
        )

    return market


@pytest.fixture(scope="session")
def legal_choice() -> Callable[..., np.ndarray]:
    """Actions picked by uniforms (N,) among the legal ones, so that equal observations give equal actions."""

    def choose(legal: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        rank = (uniform * legal.sum(axis=1)).astype(int) + 1
        return (legal.cumsum(axis=1) >= rank[:, None]).argmax(axis=1)

    return choose
