"""Many strategies at once: is any better than the benchmark, and which cannot be told from the best."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flag_trl.metrics.significance.blocks import block_length, need_arch


@dataclass(frozen=True)
class Superiority:
    """Test of superior predictive ability.

    Attributes
    ----------
    best : str
        The strategy of the highest mean return.
    p_value : float
        That no strategy beats the benchmark in truth, whichever was looked at.
    """

    best: str
    p_value: float


def superior_ability(
    benchmark: ArrayLike, strategies: Mapping[str, ArrayLike], draws: int = 2000, seed: int = 0
) -> Superiority:
    """Test whether the best of several strategies beats a benchmark by more than the best of so many would by luck.

    Hansen (2005), "A test for superior predictive ability", consistent p-value, stationary bootstrap; by arch.

    Parameters
    ----------
    benchmark : (n,) array
        Returns a period.
    strategies : mapping of str to (n,) array
        Returns of each strategy over the same periods. One that equals the benchmark cannot beat it and is left out.
    draws, seed
        As in `sharpe_interval`.

    Returns
    -------
    Superiority
        A p-value of 1 where every strategy equals the benchmark.
    """
    held = np.asarray(benchmark, dtype=np.float64)
    returns = {name: np.asarray(values, dtype=np.float64) for name, values in strategies.items()}
    best = max(returns, key=lambda name: float(returns[name].mean()))
    others = [values for values in returns.values() if (values - held).std() > 0]
    if not others:
        return Superiority(best, 1.0)
    need_arch()
    from arch.bootstrap import SPA

    models = np.column_stack(others)
    block = block_length(models - held[:, None], "stationary")
    # Losses are negative returns.
    test = SPA(-held, -models, block_size=block, reps=draws, seed=np.random.default_rng(seed))
    test.compute()
    return Superiority(best, float(test.pvalues["consistent"]))


def confidence_set(
    returns: Mapping[str, ArrayLike], level: float = 0.9, draws: int = 2000, seed: int = 0
) -> dict[str, float]:
    """Which strategies cannot be told from the best one: the model confidence set.

    Hansen, Lunde and Nason (2011), range statistic, stationary bootstrap; by arch.

    Parameters
    ----------
    returns : mapping of str to (n,) array
        Returns a period, at least two strategies.
    level : float
        The set holds the best with this probability: a strategy whose p-value is below 1 - `level` is out of it.
    draws, seed
        As in `sharpe_interval`.

    Returns
    -------
    dict of str to float
        By strategy its p-value, in the order given. Strategies with the same returns share one.
    """
    need_arch()
    from arch.bootstrap import MCS

    names, table = list(returns), np.column_stack([np.asarray(v, dtype=np.float64) for v in returns.values()])
    distinct, place = np.unique(table, axis=1, return_inverse=True)
    if distinct.shape[1] == 1:
        return dict.fromkeys(names, 1.0)
    test = MCS(
        -distinct, size=1 - level, reps=draws, block_size=_spread_block(distinct), seed=np.random.default_rng(seed)
    )
    test.compute()
    p_values = test.pvalues["Pvalue"]
    return {name: float(p_values[column]) for name, column in zip(names, place.ravel(), strict=True)}


def _spread_block(table: NDArray[np.float64]) -> int:
    """Block length of what strategies have over their mean."""
    spread = table - table.mean(1, keepdims=True)
    return block_length(spread[:, spread.std(0) > 0], "stationary")
