"""Two ways to a policy's opinion on volatility: a linear probe of its states, and a question."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from flag_trl.agent import Agent

from ..baselines.volatility import log_volatility
from ..evaluation import Evaluation, flat_states

ANSWERS = ("tiny", "small", "medium", "large", "huge")
TEMPLATE = """{% block system %}You forecast risk. Answer with one word: {{ words | join(", ") }}.{% endblock %}
{% block user %}{{ market }}
How large will the price moves of the next HORIZON days be? {{ account }}{% endblock %}
{% block account %}Answer:{% endblock %}
"""
PENALTIES = 10.0 ** np.arange(-1, 7)
Tell = Callable[[int, int], None]


def probe_states(
    agent: Agent, evaluation: Evaluation, days: Sequence[Any], horizon: int, tell: Tell
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Daily variances by ridge regression of log volatility on a flat account's last hidden state.

    Fitted to all symbols' days of the training period, the penalty by generalised cross-validation; for each symbol
    those of the training days and of the judged days.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fit = [(d.symbol, int(bar)) for d in days for bar in d.fit]
    judged = [(d.symbol, int(bar)) for d in days for bar in d.judged]
    states = agent.hidden(_observations(agent, evaluation, fit + judged), tell)
    truth = np.concatenate([log_volatility(evaluation.markets[d.symbol].close, d.fit, horizon) for d in days])
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(states[: len(fit)], truth)
    # A probe extrapolates; what it has never seen is cut at the training period's extremes.
    return _variances(np.clip(model.predict(states), truth.min(), truth.max()), truth, days)


def ask_volatility(
    agent: Agent, evaluation: Evaluation, days: Sequence[Any], horizon: int, tell: Tell
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Daily variances from the model's own words: the expected rank among five, mapped to volatility on training days.

    The map is isotonic: it may not turn "huge" into less than "tiny", so a model that has the order wrong gains
    nothing from being fitted.
    """
    from sklearn.isotonic import IsotonicRegression

    fit = [(d.symbol, int(bar)) for d in days for bar in d.fit]
    judged = [(d.symbol, int(bar)) for d in days for bar in d.judged]
    with agent.asked({word: word for word in ANSWERS}, TEMPLATE.replace("HORIZON", str(horizon))):
        shown = _observations(agent, evaluation, fit + judged, len(ANSWERS))
        table = agent.table(shown, tell)
        rank = table.probabilities(shown) @ np.arange(len(ANSWERS))
    truth = np.concatenate([log_volatility(evaluation.markets[d.symbol].close, d.fit, horizon) for d in days])
    model = IsotonicRegression(out_of_bounds="clip").fit(rank[: len(fit)], truth)
    return _variances(model.predict(rank), truth, days)


def _observations(
    agent: Agent, evaluation: Evaluation, asked: Sequence[tuple[str, int]], answers: int | None = None
) -> list[Any]:
    observer = agent.observer(evaluation.markets, evaluation.rules.fill)
    shown = flat_states(observer, evaluation.markets, asked, evaluation.rules.scheme)
    return shown if answers is None else [replace(o, legal=(True,) * answers) for o in shown]


def _variances(predicted: np.ndarray, truth: np.ndarray, days: Sequence[Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predicted log volatilities of all days, those of the training first, as variances of each symbol's.

    The mean of a log-normal variable is larger than the exponential of its logarithm's.
    """
    known = len(truth)
    variance = np.exp(2 * predicted + 2 * (truth - predicted[:known]).var())
    parts = [
        np.split(part, np.cumsum([len(bars) for bars in lengths])[:-1])
        for part, lengths in ((variance[:known], [d.fit for d in days]), (variance[known:], [d.judged for d in days]))
    ]
    return list(zip(*parts, strict=True))
