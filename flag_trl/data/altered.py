"""Markets that might have been: the same days with names, dates or prices altered.

What a policy does with them tells what it goes by: one that knows a company's past by name acts otherwise where the
name is another, one that reads prices acts otherwise where they are mirrored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Literal, get_args

import numpy as np

from flag_trl.data.market import MarketData
from flag_trl.data.texts import DatedText

Alteration = Literal["prices", "dates", "entities"]
WEEKS = 520
"""By how much `redated` moves days: about ten years, and to the same day of the week."""
STAND_IN = "STOCK"
COMPANY = "the company"

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}-(?P<number>\d\d)-(?P<day>\d\d)\b",
        rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}\b",
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? {_MONTH},? {_YEAR}\b",
        rf"\b{_MONTH} {_YEAR}\b",
        rf"\b{_YEAR}\b",
    )
)
_TICKER = re.compile(
    r"\$ ?(?P<cash>[A-Za-z]{1,5})\b|(?P<where>\b(?:NASDAQ|NYSE|AMEX)[^A-Za-z0-9]{1,3})(?P<listed>[A-Z]{1,5})\b"
)


def altered(market: MarketData, how: Alteration, names: Sequence[str] = ()) -> MarketData:
    """The market with its `how` altered; see `mirrored`, `redated` and `renamed`.

    Raises
    ------
    ValueError
        For another word.
    """
    if how == "prices":
        return mirrored(market)
    if how == "dates":
        return redated(market)
    if how == "entities":
        other = _stand_in(market.symbol)
        return renamed(market, other, {name: other.capitalize() for name in names})
    raise ValueError(f"alteration {how!r} is unknown; choose one of {', '.join(get_args(Alteration))}")


def mirrored(market: MarketData) -> MarketData:
    """The market with every log return negated: what rose falls by as much. Texts stay."""

    level = market.close[0] ** 2
    opened, high, low = (
        None if prices is None else level / prices for prices in (market.open, market.low, market.high)
    )
    return replace(market, close=level / market.close, open=opened, high=high, low=low)


def redated(market: MarketData, weeks: int = WEEKS) -> MarketData:
    """The market moved in time by whole weeks, its texts and events with it; dates written in texts stay."""
    days = np.timedelta64(7 * weeks, "D")
    texts = tuple(replace(text, known_at=text.known_at + days) for text in market.texts)
    events = tuple(replace(event, date=event.date + days, known_at=event.known_at + days) for event in market.events)
    context = tuple(redated(other, weeks) for other in market.context)
    return replace(market, dates=market.dates + days, texts=texts, events=events, context=context)


def renamed(market: MarketData, symbol: str, names: Mapping[str, str]) -> MarketData:
    """The market under another symbol, with it and `names` replaced wherever texts mention them.

    Parameters
    ----------
    market : MarketData
    symbol : str
        The new one.
    names : mapping of str to str
        Name to what stands for it; whole phrases, in any case.
    """
    own = re.escape(market.symbol)
    ticker = re.compile(rf"(?<!\w){own}(?!\w)|(?<=\$)(?i:{own})(?!\w)|(?<=\$ )(?i:{own})(?!\w)")
    # Longer names first: one may begin with another.
    ordered = sorted((name for name in names if name), key=len, reverse=True)
    phrases = [(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE), names[name]) for name in ordered]

    def rewritten(text: DatedText) -> DatedText:
        words = text.text
        for phrase, stand_in in phrases:
            words = phrase.sub(stand_in.replace("\\", ""), words)
        return replace(text, text=ticker.sub(symbol, words))

    return replace(market, symbol=symbol, texts=tuple(map(rewritten, market.texts)))


def anonymised(market: MarketData, names: Sequence[str]) -> MarketData:
    """The market without what tells which company it is and when.

    The symbol becomes ``STOCK`` and each of `names` "the company"; other tickers, behind a dollar sign or the name of
    an exchange, become stand-ins, the same for the same ticker; dates and years become distances from the day of the
    text (``day-3``, ``month+0``, ``year-1``). Names of other companies cannot be told from words and stay.

    Parameters
    ----------
    market : MarketData
    names : sequence of str
        Of the company.
    """
    plain = renamed(market, STAND_IN, dict.fromkeys(names, COMPANY))

    def stripped(text: DatedText) -> DatedText:
        words = _TICKER.sub(_other_ticker, text.text)
        day = text.known_at.astype("datetime64[D]")
        for pattern in _DATES:
            words = pattern.sub(partial(_distance, own=day), words)
        return replace(text, text=words)

    return replace(plain, texts=tuple(map(stripped, plain.texts)))


def _other_ticker(match: re.Match[str]) -> str:
    ticker = match["cash"] or match["listed"]
    if ticker == STAND_IN:
        return match[0]
    return f"{match['where'] or '$'}{_stand_in(ticker)}"


def _stand_in(ticker: str) -> str:
    """A made-up symbol, the same for the same ticker in any case."""
    digest = blake2b(ticker.upper().encode(), digest_size=4).digest()
    return "Q" + "".join(chr(ord("A") + byte % 26) for byte in digest)


def _distance(match: re.Match[str], own: np.datetime64) -> str:
    """A date as its distance from the text's day, in the unit in which it is written."""
    found = match.groupdict()
    month = found.get("number") or (found.get("month") and str(_MONTHS.index(found["month"][:3].lower()) + 1))
    if not month:
        return f"year{int(found['year']) - int(str(own)[:4]):+d}"
    written = f"{found['year']}-{int(month):02d}"
    try:
        if not found.get("day"):
            return f"month{(np.datetime64(written) - own.astype('datetime64[M]')).astype(int):+d}"
        day = np.datetime64(f"{written}-{int(found['day']):02d}")
        return f"day{(day - own).astype(int):+d}"
    except ValueError:  # No such day.
        return "a day"
