"""A sentiment lexicon reads the day's news."""

from collections.abc import Mapping, Sequence

import numpy as np

from flag_trl.data import FILINGS, MarketData


def lexicon_scores(
    markets: Mapping[str, MarketData], asked: Sequence[tuple[str, int]], after_close: bool
) -> np.ndarray | None:
    """Mean VADER compound score (Hutto and Gilbert 2014) of the day's news at each (symbol, bar), shape (n,).

    0 where there is none; None where no market has any text.
    """
    if not any(market.texts for market in markets.values()):
        return None
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    scores = []
    for symbol, bar in asked:
        texts = markets[symbol].as_of(bar, after_close=after_close).texts(since_bars=1)
        found = [analyser.polarity_scores(text.text)["compound"] for text in texts if text.kind not in FILINGS]
        scores.append(float(np.mean(found)) if found else 0.0)
    return np.array(scores)
