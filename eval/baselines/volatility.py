"""Forecasts of the next days' variance from past closes alone: the standard ones of econometrics.

Each takes closes, the bars it may fit its parameters to, the bars on which it forecasts, and the horizon in bars, and
gives the expected variance a day over the horizon, shape (judged bars,). A forecast at a bar uses closes up to it.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

Forecaster = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
PERCENT = 100.0
"""arch wants returns in percent."""


def realised(close: np.ndarray, bars: np.ndarray, horizon: int) -> np.ndarray:
    """Mean squared log return a day over the `horizon` bars after each of `bars`."""
    squared = np.diff(np.log(close)) ** 2
    total = np.concatenate([[0.0], np.cumsum(squared)])
    return (total[bars + horizon] - total[bars]) / horizon


def log_volatility(close: np.ndarray, bars: np.ndarray, horizon: int) -> np.ndarray:
    """Logarithm of the realised volatility a day after each of `bars`; of prices that stood still, of 0.01 %."""
    return np.log(np.maximum(realised(close, bars, horizon), 1e-8)) / 2


def past_volatility(close: np.ndarray, fit: np.ndarray, judged: np.ndarray, horizon: int) -> np.ndarray:
    """What the last 20 bars had, or as many as the horizon where that is more."""
    back = max(20, horizon)
    return realised(close, judged - back, back)


def ewma(close: np.ndarray, fit: np.ndarray, judged: np.ndarray, horizon: int, decay: float = 0.94) -> np.ndarray:
    """Exponentially weighted squared returns with the decay of RiskMetrics (1996) for daily data."""
    squared = np.diff(np.log(close)) ** 2
    variance = np.empty(len(close))
    variance[0] = squared[:20].mean()
    for bar, value in enumerate(squared, 1):
        variance[bar] = decay * variance[bar - 1] + (1 - decay) * value
    return variance[judged]


def har(close: np.ndarray, fit: np.ndarray, judged: np.ndarray, horizon: int) -> np.ndarray:
    """Heterogeneous autoregression of log volatility on that of the last 1, 5 and 22 bars (Corsi 2009)."""

    def features(bars: np.ndarray) -> np.ndarray:
        past = [log_volatility(close, bars - back, back) for back in (1, 5, 22)]
        return np.column_stack([np.ones(len(bars)), *past])

    # Every bar between the first and the last that may be fitted to, whatever the stride.
    bars = np.arange(fit[0], fit[-1] + 1)
    truth = log_volatility(close, bars, horizon)
    slopes, *_ = np.linalg.lstsq(features(bars), truth, rcond=None)
    residual = truth - features(bars) @ slopes
    # The mean of a log-normal variable.
    return np.exp(2 * (features(judged) @ slopes) + 2 * residual.var())


def garch(close: np.ndarray, fit: np.ndarray, judged: np.ndarray, horizon: int) -> np.ndarray:
    """GARCH(1,1) with a constant mean (Bollerslev 1986), fitted up to the last bar that may be, by arch."""
    return _arch(close, fit, judged, horizon, "GARCH", "analytic")


def egarch(close: np.ndarray, fit: np.ndarray, judged: np.ndarray, horizon: int) -> np.ndarray:
    """EGARCH(1,1,1) (Nelson 1991), fitted as `garch`; beyond one bar by simulation."""
    return _arch(close, fit, judged, horizon, "EGARCH", "simulation")


def _arch(
    close: np.ndarray,
    fit: np.ndarray,
    judged: np.ndarray,
    horizon: int,
    kind: Literal["GARCH", "EGARCH"],
    method: Literal["analytic", "simulation"],
) -> np.ndarray:
    from arch import arch_model

    returns = PERCENT * np.diff(np.log(close))
    model = arch_model(returns, vol=kind, p=1, o=int(kind == "EGARCH"), q=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Return k is known at bar k + 1; parameters are fitted to at least four years where there are so many.
        fitted = model.fit(first_obs=max(0, int(fit[-1]) - 1500), last_obs=int(fit[-1]), disp="off")
    forecast = fitted.forecast(
        horizon=horizon,
        start=int(judged[0]) - 1,
        method=method,
        simulations=500,
        reindex=False,
        rng=np.random.default_rng(0).standard_normal if method == "simulation" else None,
    )
    return forecast.variance.to_numpy()[judged - judged[0]].mean(axis=1) / PERCENT**2


FORECASTERS: Mapping[str, Forecaster] = {
    "past volatility": past_volatility,
    "EWMA": ewma,
    "HAR": har,
    "GARCH(1,1)": garch,
    "EGARCH": egarch,
}
