"""Days on which something happened: bursts of news, filings, scheduled events, and returns out of the ordinary."""

from typing import NamedTuple

import numpy as np

from flag_trl.data import FILINGS, MarketData

WINDOW = 60
DEVIATIONS = 3.0
LEAST_NEWS = 3


class MarketEvent(NamedTuple):
    """Something that was known at a bar's decision; `kind` names all that happened, with a plus between them."""

    symbol: str
    bar: int
    kind: str


def events_of(symbol: str, market: MarketData, first: int, stop: int, after_close: bool) -> list[MarketEvent]:
    """Events of the bars from `first` up to `stop`, at most one a bar, as each could be known when it was decided on.

    - ``return``: a log return beyond three deviations of the 60 before it.
    - ``news``: three items or more, and beyond the mean plus three deviations of the 60 days before.
    - ``filing``: a 10-K or 10-Q became known.
    - ``scheduled``: the day of an event whose date had been announced, such as earnings.
    """
    news, filings = _counts(market, after_close)
    scheduled = {event.date for event in market.events if event.known_at < event.date}
    returns = np.diff(np.log(market.close), prepend=np.nan)
    found = []
    for bar in range(max(first, WINDOW + 1), stop):
        before = slice(bar - WINDOW, bar)
        happened = {
            "return": abs(returns[bar]) > DEVIATIONS * returns[before].std(ddof=1),
            "news": news[bar] >= LEAST_NEWS
            and news[bar] > news[before].mean() + DEVIATIONS * news[before].std(ddof=1),
            "filing": filings[bar] > 0,
            "scheduled": market.dates[bar] in scheduled,
        }
        if any(happened.values()):
            found.append(MarketEvent(symbol, bar, "+".join(kind for kind, is_so in happened.items() if is_so)))
    return found


def _counts(market: MarketData, after_close: bool) -> tuple[np.ndarray, np.ndarray]:
    """News and filings that became known between the cutoff of the bar before and each bar's own."""
    offset = np.timedelta64(24, "h") if after_close else market.session_close
    cutoffs = market.dates.astype("datetime64[s]") + offset
    news, filings = np.zeros(len(market)), np.zeros(len(market))
    for text in market.texts:
        bar = int(np.searchsorted(cutoffs, text.known_at, side="left"))
        if bar < len(market):
            (filings if text.kind in FILINGS else news)[bar] += 1
    return news, filings
