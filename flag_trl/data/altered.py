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
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY, _YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?", r"(?P<year>(?<!\$)(?:19|20)\d\d)"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}-(?P<number>\d\d)-(?P<day>\d\d)\b",
        rf"\b(?P<number>\d{{1,2}})/(?P<day>\d{{1,2}})/{_YEAR}\b",
        rf"\b{_MONTH} {_DAY},? {_YEAR}\b",
        rf"\b{_DAY} {_MONTH},? {_YEAR}\b",
        rf"\b{_MONTH},? {_YEAR}\b",
        rf"\b{_MONTH} {_DAY}\b",
        rf"\b{_DAY} {_MONTH}(?!\w)",
        rf"\b{_YEAR}\b",
    )
)
_WRITTEN_YEAR = re.compile(r"(?<![\w$.,])(?:19|20)\d\d(?![\w%])")
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
        return renamed(market, _stand_in(market.symbol), {name: name_stand_in(name) for name in names})
    raise ValueError(f"alteration {how!r} is unknown; choose one of {', '.join(get_args(Alteration))}")


def name_stand_in(name: str) -> str:
    """What stands for a company's name where entities are altered; the same for the same name."""
    return _stand_in(name).capitalize()


def mirrored(market: MarketData) -> MarketData:
    """The market with every log return negated, and those of the markets beside it: what rose falls by as much.

    Texts stay.
    """
    level = market.close[0] ** 2
    opened, high, low = (
        None if prices is None else level / prices for prices in (market.open, market.low, market.high)
    )
    context = tuple(map(mirrored, market.context))
    return replace(market, close=level / market.close, open=opened, high=high, low=low, context=context)


def redated(market: MarketData, weeks: int = WEEKS) -> MarketData:
    """The market moved in time by whole weeks, its texts, events and the markets beside it with it.

    Prompts tell the time by nothing but the years that texts mention, so those are moved by as many years; days and
    months written in texts stay, which are then off by some days.
    """
    days, years = np.timedelta64(7 * weeks, "D"), round(7 * weeks / 365.25)

    def later(text: DatedText) -> DatedText:
        words = _WRITTEN_YEAR.sub(lambda year: str(int(year[0]) + years), text.text)
        return replace(text, text=words, known_at=text.known_at + days)

    events = tuple(replace(event, date=event.date + days, known_at=event.known_at + days) for event in market.events)
    context = tuple(redated(other, weeks) for other in market.context)
    texts = tuple(map(later, market.texts))
    return replace(market, dates=market.dates + days, texts=texts, events=events, context=context)


def renamed(market: MarketData, symbol: str, names: Mapping[str, str]) -> MarketData:
    """The market under another symbol, with it and `names` replaced wherever texts and events mention them.

    The symbol counts as mentioned behind ``$`` or ``#`` in any case, in capitals where it has two letters or more, and
    in small letters where it has three or more.

    Parameters
    ----------
    market : MarketData
    symbol : str
        The new one.
    names : mapping of str to str
        Name to what stands for it; whole phrases, in any case.
    """
    own = re.escape(market.symbol)
    forms = [rf"(?<=[$#])(?i:{own})(?!\w)|(?<=[$#] )(?i:{own})(?!\w)"]
    forms += [rf"(?<!\w){own}(?!\w)"] * (len(market.symbol) > 1)
    forms += [rf"(?<!\w){own.lower()}(?!\w)"] * (len(market.symbol) > 2)
    ticker = re.compile("|".join(forms))
    # Longer names first: one may begin with another.
    ordered = sorted((name for name in names if name), key=len, reverse=True)
    phrases = [(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE), names[name]) for name in ordered]

    def rewritten(words: str) -> str:
        for phrase, stand_in in phrases:
            words = phrase.sub(stand_in, words)
        return ticker.sub(symbol, words)

    texts = tuple(replace(text, text=rewritten(text.text)) for text in market.texts)
    events = tuple(replace(event, name=rewritten(event.name)) for event in market.events)
    return replace(market, symbol=symbol, texts=texts, events=events)


def anonymised(market: MarketData, names: Sequence[str]) -> MarketData:
    """The market without what tells which company it is and when.

    The symbol becomes ``STOCK`` and each of `names` "the company"; other tickers, behind a dollar sign or the name of
    an exchange, and those of the markets beside it become stand-ins, the same for the same ticker; dates and years
    become distances from the day of the text (``day-3``, ``month+0``, ``year-1``). Names of other companies, of
    products and people cannot be told from words and stay.

    Parameters
    ----------
    market : MarketData
    names : sequence of str
        Of the company.
    """
    plain = renamed(market, STAND_IN, dict.fromkeys(names, COMPANY))

    def stripped(words: str, day: np.datetime64) -> str:
        words = _TICKER.sub(_other_ticker, words)
        for pattern in _DATES:
            words = pattern.sub(partial(_distance, own=day), words)
        return words

    texts = tuple(replace(text, text=stripped(text.text, _day_of(text))) for text in plain.texts)
    events = tuple(replace(event, name=stripped(event.name, event.date)) for event in plain.events)
    context = tuple(replace(other, symbol=_stand_in(other.symbol), texts=()) for other in plain.context)
    return replace(plain, texts=texts, events=events, context=context)


def _day_of(text: DatedText) -> np.datetime64:
    """The day of a text: one of a day that ends at midnight is known a second later, on the next."""
    second = np.timedelta64(1, "s")
    day = text.known_at.astype("datetime64[D]")
    return (text.known_at - 2 * second).astype("datetime64[D]") if text.known_at - day == second else day


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
    # Without a year the nearest is meant.
    nearest = [int(str(own)[:4]) + step for step in (-1, 0, 1)]
    years = [int(found["year"])] if found.get("year") else nearest
    try:
        if not found.get("day"):
            return (
                f"month{(np.datetime64(f'{years[0]}-{int(month):02d}') - own.astype('datetime64[M]')).astype(int):+d}"
            )
        days = [np.datetime64(f"{year}-{int(month):02d}-{int(found['day']):02d}") - own for year in years]
        return f"day{min((day.astype(int) for day in days), key=abs):+d}"
    except ValueError:  # No such day.
        return "a day"
