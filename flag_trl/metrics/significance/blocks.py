"""Blocks of consecutive periods: what bootstraps of a time series draw."""

import numpy as np
from numpy.typing import NDArray

MIN_RETURNS = 20
"""Below this many returns no block length can be chosen, and no Sharpe ratio is worth an interval."""


def need_arch() -> None:
    """Raise ImportError with the remedy where arch is not installed."""
    try:
        import arch.bootstrap  # noqa: F401
    except ImportError as error:
        raise ImportError("bootstraps of return series need arch: pip install 'flag-trl[eval]'") from error


def block_length(series: NDArray[np.float64], kind: str = "circular") -> int:
    """Mean length of blocks that keeps the dependence of a series, the longest over its columns.

    Politis and White (2004), as corrected by Patton, Politis and White (2009); by arch.

    Parameters
    ----------
    series : (n,) or (n, k) array
    kind : {"circular", "stationary"}

    Returns
    -------
    int
        At least 1, at most a quarter of the series. Blocks of one row are the plain bootstrap.
    """
    need_arch()
    from arch.bootstrap import optimal_block_length

    # A policy that rarely trades has stretches of zeros, whose autocorrelation is 0 / 0: the length may then be nan.
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = optimal_block_length(series)[kind].to_numpy()
    return int(np.clip(np.round(np.nan_to_num(lengths).max()), 1, max(1, len(series) // 4)))


def circular_indices(rng: np.random.Generator, n: int, block: int, draws: int) -> NDArray[np.int64]:
    """Rows of `draws` circular-block resamples of n rows (Politis and Romano 1992), shape (draws, n)."""
    starts = rng.integers(0, n, (draws, -(-n // block), 1))
    return ((starts + np.arange(block)) % n).reshape(draws, -1)[:, :n]
