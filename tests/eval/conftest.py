"""A small evaluation on the bundled prices."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from eval.evaluation import Evaluation
from flag_trl.accounts import Costs, Signed
from flag_trl.data import Period, load_market
from flag_trl.envs import TradingRules

if find_spec("skfolio") is None:
    pytest.skip("evaluation needs the extra `eval`", allow_module_level=True)


@pytest.fixture(scope="session")
def prices() -> dict[str, Any]:
    return {symbol: load_market("sample", symbol) for symbol in ("MSFT", "JNJ", "XOM", "KO")}


@pytest.fixture
def evaluation(build_evaluation) -> Callable[..., Evaluation]:
    """Build an evaluation; see `build_evaluation`."""
    return build_evaluation


@pytest.fixture(scope="session")
def build_evaluation(prices) -> Callable[..., Evaluation]:
    """Build an evaluation of policies by name over seven months of some of the symbols."""

    def build(symbols: tuple[str, ...] = ("MSFT",), folder: Path | None = None, **settings: Any) -> Evaluation:
        given: dict[str, Any] = {
            "markets": {symbol: prices[symbol] for symbol in symbols},
            "train": Period("train", "2019-01-02", "2019-12-31"),
            "periods": [Period("paper_window", "2020-10-01", "2021-05-05")],
            "rules": TradingRules(scheme=Signed(), fill="same_close", costs=Costs(5.0)),
            "sampled": 2,
            "random_draws": 30,
            "options": {"audit_days": 20},
            "folder": folder,
        }
        return Evaluation(**{**given, **settings})

    return build
