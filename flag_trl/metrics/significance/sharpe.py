"""Sharpe ratios against each other, against luck, and against the number of strategies that were tried."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flag_trl.metrics.significance.blocks import MIN_RETURNS, block_length, circular_indices, need_arch
from flag_trl.metrics.standard import sample_deviation, sharpe_ratio

Array = NDArray[np.float64]
NAN = float("nan")
AT_ONCE = 2_000_000
"""Numbers resampled at a time."""
ROUNDING = 1e-9
"""Standard errors a period of 1 / sqrt(n) are usual; below this they are float rounding of equal series."""


@dataclass(frozen=True)
class SharpeDifference:
    """The difference of two annualised Sharpe ratios, and what chance makes of it; nan where undefined.

    Attributes
    ----------
    difference : float
    low, high : float
        Bounds of the interval.
    p_value : float
        Two-sided, of no difference.
    standard_error : float
    """

    difference: float
    low: float
    high: float
    p_value: float
    standard_error: float

    @property
    def interval(self) -> tuple[float, float, float]:
        """Difference, low and high."""
        return self.difference, self.low, self.high

    def detectable(self, power: float = 0.8, level: float = 0.95) -> float:
        """The smallest true difference that a two-sided test at 1 - `level` would have found with chance `power`.

        (z_{(1 + level) / 2} + z_power) standard errors: had the truth been smaller, this test would more often than
        1 - `power` have seen nothing, so its silence says little.
        """
        from scipy.stats import norm

        return float((norm.ppf((1 + level) / 2) + norm.ppf(power)) * self.standard_error)


def sharpe_difference(
    returns_a: ArrayLike,
    returns_b: ArrayLike,
    periods_per_year: int = 252,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> SharpeDifference:
    """Test the difference of two annualised Sharpe ratios, a less b, by the studentised bootstrap of paired returns.

    Ledoit and Wolf (2008), "Robust performance hypothesis testing with the Sharpe ratio". By the delta method the
    difference is the mean of psi_t, its influence function at the returns of period t; the standard error is the root
    of psi's long-run variance (Parzen kernel, Newey and West's bandwidth) over n. Resamples are drawn in circular
    blocks whose length is chosen for psi (Politis and White 2004); each is centred at the difference found and divided
    by its own standard error, from its blocks. Both series are resampled with the same blocks, so that what they
    share, the market, cancels.

    Parameters
    ----------
    returns_a, returns_b : (n,) or (n, k) arrays
        Returns a period of the two policies on the same periods, as fractions. Of k runs of each, seeds for instance,
        the mean of the Sharpe ratios counts; the interval then says what other periods would do to it, not other runs.
        A run that never trades has no Sharpe ratio and counts as 0 beside others; where all are such, it is undefined.
    periods_per_year : int
        Periods a year.
    level : float
        Coverage of the interval, in (0, 1).
    draws : int
        Bootstrap resamples.
    seed : int
        Seed of the resampling: the same call gives the same interval.

    Returns
    -------
    SharpeDifference
        All nan where one of the Sharpe ratios is undefined; all but the difference below `MIN_RETURNS` returns. A
        policy less itself is 0 without error.

    Raises
    ------
    ValueError
        If the series differ in shape.
    ImportError
        If arch is not installed.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (returns_a, returns_b))
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise ValueError(f"paired series must have one length, got shapes {a.shape} and {b.shape}")
    pair = np.column_stack([a, b])
    runs = pair.shape[1] // 2
    ratios = np.array([sharpe_ratio(column, periods_per_year) for column in pair.T])
    if not np.isfinite(pair).all() or np.isnan(ratios[:runs]).all() or np.isnan(ratios[runs:]).all():
        return SharpeDifference(NAN, NAN, NAN, NAN, NAN)
    weights = np.repeat([1.0 / runs, -1.0 / runs], runs)
    found = float(np.nan_to_num(ratios) @ weights)
    if len(pair) < MIN_RETURNS:
        return SharpeDifference(found, NAN, NAN, NAN, NAN)
    scale = float(np.sqrt(periods_per_year))
    estimate, psi = (part[0] for part in _influence(pair[None], weights))
    error = _long_run_error(psi)
    if not error > ROUNDING:
        return SharpeDifference(found, found, found, 1.0, 0.0)
    studentised = _resampled(pair, weights, float(estimate), block_length(psi), draws, seed)
    width = float(np.quantile(studentised, level)) * error
    exceed = np.count_nonzero(studentised >= abs(estimate) / error)
    p_value = (exceed + 1) / (len(studentised) + 1)
    return SharpeDifference(found, found - width * scale, found + width * scale, p_value, error * scale)


def probabilistic_sharpe(returns: ArrayLike, trials: int = 1, trial_deviation: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of `trials` without any skill would have reached.

    With one trial this is the probabilistic Sharpe ratio against 0 (Bailey and Lopez de Prado 2012), with more the
    deflated one (2014), both by skfolio.

    Parameters
    ----------
    returns : (n,) array
        Returns a period, as fractions.
    trials : int
        Configurations that were tried, this one included.
    trial_deviation : float
        Standard deviation of the trials' Sharpe ratios a period. Where they are not known, that of chance alone is
        1 / sqrt(n).

    Returns
    -------
    float
        In [0, 1]; nan where the Sharpe ratio is undefined.
    """
    from skfolio.measures import expected_max_sharpe_ratio, probabilistic_sharpe_ratio

    values = np.asarray(returns, dtype=np.float64)
    if not sample_deviation(values) > 0:
        return NAN
    luck = expected_max_sharpe_ratio(trials, trial_deviation) if trials > 1 else 0.0
    return float(probabilistic_sharpe_ratio(values, luck))


def best_of_trials(returns: ArrayLike, trials: int) -> float:
    """p-value of a Sharpe ratio that is the best of `trials`, against none of them having any skill.

    1 - PSR^trials with the probabilistic Sharpe ratio against 0 (Sidak's correction): right for trials that do not
    depend on each other, more careful than need be for trials that resemble each other, and as asymptotic as the
    probabilistic Sharpe ratio, which takes days for independent. Where the best of several seeds is picked, each seed
    is a trial. The deflated Sharpe ratio is no such test: the luck that it asks to be beaten is that of the best of
    the trials on average.

    Parameters
    ----------
    returns : (n,) array
        Returns a period of the best trial, as fractions.
    trials : int
        Configurations that were tried, this one included.

    Returns
    -------
    float
        nan where the Sharpe ratio is undefined.
    """
    return float(1.0 - probabilistic_sharpe(returns) ** trials)


def _influence(samples: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted sum of Sharpe ratios a period, shape (m,), and its influence function, shape (m, n).

    Of `samples`, shape (m, n, c). With mean mu, second moment g and v = g - mu^2, the gradient of mu / sqrt(v) is
    (g, -mu / 2) / v^1.5. Columns that do not vary count as 0.
    """
    mean, second = samples.mean(1, keepdims=True), (samples**2).mean(1, keepdims=True)
    variance = second - mean**2
    varies = variance > 1e-12 * second
    deviation = np.sqrt(np.where(varies, variance, 1.0))
    weights = np.where(varies, weights, 0.0)
    gradient, square = second / deviation**3, -mean / (2 * deviation**3)
    psi = ((gradient * (samples - mean) + square * (samples**2 - second)) * weights).sum(2)
    # Sample deviations divide by n - 1.
    n = samples.shape[1]
    return (mean / deviation * weights).sum((1, 2)) * np.sqrt((n - 1) / n), psi


def _long_run_error(psi: Array) -> float:
    need_arch()
    from arch.covariance.kernel import Parzen

    if not sample_deviation(psi) > 0:
        return 0.0
    return float(np.sqrt(np.asarray(Parzen(psi).cov.long_run).item() / len(psi)))


def _resampled(pair: Array, weights: Array, estimate: float, block: int, draws: int, seed: int) -> Array:
    """|difference - estimate| / its standard error on each resample that has one, shape (<= draws,)."""
    rng, n = np.random.default_rng(seed), len(pair)
    chunk, found = max(1, AT_ONCE // pair.size), []
    for start in range(0, draws, chunk):
        rows = circular_indices(rng, n, block, min(chunk, draws - start))
        estimates, psi = _influence(pair[rows], weights)
        whole = n // block
        blocks = psi[:, : whole * block].reshape(len(psi), whole, block).sum(2) / np.sqrt(block)
        errors = np.sqrt((blocks**2).mean(1) / n)
        # A resample without a day on which the two differ has an error of rounding alone.
        defined = errors > ROUNDING
        found.append(np.abs(estimates[defined] - estimate) / errors[defined])
    return np.concatenate(found)
