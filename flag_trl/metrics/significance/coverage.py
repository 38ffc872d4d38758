"""Value at risk: was it exceeded as often as announced, and independently of the day before."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 4999
BASEL_YELLOW, BASEL_RED = 0.95, 0.9999


@dataclass(frozen=True)
class CoverageTest:
    """Whether the exceptions of a value at risk are what they should be.

    Attributes
    ----------
    exceptions, periods : int
    unconditional, independence, conditional : float
        Likelihood ratios of Kupiec (1995) and Christoffersen (1998).
    p_unconditional, p_independence, p_conditional : float
        Monte-Carlo p-values.
    light : {"green", "yellow", "red"}
        The Basel Committee's zone (1996).
    """

    exceptions: int
    periods: int
    unconditional: float
    independence: float
    conditional: float
    p_unconditional: float
    p_independence: float
    p_conditional: float
    light: Literal["green", "yellow", "red"]


def coverage_test(exceptions: ArrayLike, rate: float, draws: int = DRAWS, seed: int = 0) -> CoverageTest:
    """Test the exceptions of a value at risk.

    Kupiec's ratio compares the number of exceptions with `rate`; Christoffersen's, the chance of an exception after an
    exception with that after none; their sum is the test of both, conditional on the first period. Since exceptions
    are few, the chi-squared p-values are wrong at the usual lengths (at 1 % and 250 periods the first rejects one true
    value at risk in ten at a nominal 5 %). Here the ratios are ranked among those of `draws` series without fault,
    and equal ones in random order (Dufour 2006): under the null the p-value is uniform on multiples of
    1 / (`draws` + 1), whatever the length. The test of independence is one given the number of exceptions: it ranks
    among random orders of the exceptions found, and has no p-value below two.

    Parameters
    ----------
    exceptions : (n,) array of bool
        Whether the loss of each period was greater than the value at risk announced for it.
    rate : float
        The value at risk's share of exceptions, such as 0.01.
    draws : int
        Series simulated.
    seed : int

    Returns
    -------
    CoverageTest

    Raises
    ------
    ValueError
        If `rate` is not in (0, 1) or there are fewer than two periods.
    """
    hits = np.asarray(exceptions, dtype=bool)
    if not 0 < rate < 1:
        raise ValueError(f"the rate of exceptions must lie between 0 and 1, got {rate}")
    if hits.ndim != 1 or hits.size < 2:
        raise ValueError(f"exceptions must have shape (n,) with at least two periods, got shape {hits.shape}")
    rng = np.random.default_rng(seed)
    simulated = rng.random((draws, hits.size)) < rate
    shuffled = rng.permuted(np.broadcast_to(hits, (draws, hits.size)), axis=1)
    pof, independent, both = (float(part[0]) for part in _ratios(hits[None], rate))
    pofs, _, boths = _ratios(simulated, rate)
    return CoverageTest(
        int(hits.sum()),
        hits.size,
        pof,
        independent,
        both,
        _rank(pof, pofs, rng),
        _rank(independent, _ratios(shuffled, rate)[1], rng) if hits.sum() > 1 else float("nan"),
        _rank(both, boths, rng),
        traffic_light(int(hits.sum()), hits.size, rate),
    )


def traffic_light(exceptions: int, periods: int, rate: float = 0.01) -> Literal["green", "yellow", "red"]:
    """The Basel Committee's zone for a number of exceptions.

    Yellow begins where so many exceptions or fewer have a probability of 95 % under a right model, red at 99.99 %
    (Basel Committee 1996, "Supervisory framework for the use of backtesting"): at 1 % of 250 days with 5 and with 10.
    """
    from scipy.stats import binom

    probability = float(binom.cdf(exceptions, periods, rate))
    return "red" if probability >= BASEL_RED else "yellow" if probability >= BASEL_YELLOW else "green"


def _ratios(hits: NDArray[np.bool_], rate: float) -> tuple[NDArray[np.float64], ...]:
    """Likelihood ratios of coverage, of independence, and of both, each of shape (m,), of m series of n periods."""
    n, total = hits.shape[1], hits.sum(1)
    pof = np.maximum(2 * (_likelihood(n - total, total, total / n) - _likelihood(n - total, total, rate)), 0.0)
    before, after = hits[:, :-1], hits[:, 1:]
    both, rose = (before & after).sum(1), (~before & after).sum(1)
    fell = (before & ~after).sum(1)
    calm = n - 1 - both - rose - fell
    share = (both + rose) / (n - 1)
    apart = _likelihood(calm, rose, _share(rose, calm)) + _likelihood(fell, both, _share(both, fell))
    independent = np.maximum(2 * (apart - _likelihood(calm + fell, rose + both, share)), 0.0)
    return pof, independent, pof + independent


def _share(ones: NDArray[np.int64], zeros: NDArray[np.int64]) -> NDArray[np.float64]:
    return ones / np.maximum(ones + zeros, 1)


def _likelihood(
    zeros: NDArray[np.int64], ones: NDArray[np.int64], p: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Log likelihood of so many zeros and ones at probability `p` of a one, with 0 log 0 = 0; shape (m,)."""
    from scipy.special import xlog1py, xlogy

    return np.asarray(xlogy(ones, p) + xlog1py(zeros, -np.asarray(p)))


def _rank(found: float, simulated: NDArray[np.float64], rng: np.random.Generator) -> float:
    """p-value of a statistic among simulated ones, ties in random order."""
    near = np.isclose(simulated, found, rtol=1e-9, atol=1e-12)
    above = np.count_nonzero((simulated > found) & ~near)
    tied = rng.integers(0, np.count_nonzero(near) + 1)
    return float(above + tied + 1) / (len(simulated) + 1)
