"""The market part of an observation: prices, indicators, context, calendar, news, filings and memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flag_trl.data import FILINGS, MarketView
from flag_trl.observations.config import ObservationConfig
from flag_trl.observations.indicators import Indicator, per_mille
from flag_trl.observations.memory import remembered
from flag_trl.observations.news import day_news, ranked_news
from flag_trl.observations.text import MAX_CHARACTERS, cleaned, cut_to, with_figures

Length = Callable[[str], int]
IN_LINES = ("news", "filings", "memory")
MAX_NAME = 40
"""Characters of an event's name that are shown."""
FILING_NAMES = dict(zip(FILINGS, ("10-K", "10-Q"), strict=True))


@dataclass(frozen=True)
class TextPart:
    """One part of the market text.

    Attributes
    ----------
    name : str
        ``prices``, ``indicators``, ``context``, ``calendar``, ``news``, ``filings`` or ``memory``.
    text : str
        Without a line break at either end.
    left_out : str
        What did not fit, in words; empty where all did.
    """

    name: str
    text: str
    left_out: str = ""


def market_text(parts: list[TextPart]) -> str:
    """Parts as one text: numbers on the first line, then an item of news, a filing or a memory a line."""
    numbers = " ".join(part.text for part in parts if part.name not in IN_LINES)
    return "\n".join([numbers, *(part.text for part in parts if part.name in IN_LINES and part.text)])


def market_parts(view: MarketView, config: ObservationConfig, length: Length) -> list[TextPart]:
    """Write down what `view` knows.

    Parameters
    ----------
    view : MarketView
        The market as of one bar; nothing later can be read from it.
    config : ObservationConfig
        What to write.
    length : callable
        Length of a text in the unit of the budgets.

    Returns
    -------
    list of TextPart
        Those that are switched on and have something to say; prices, with the symbol, always.

    Notes
    -----
    Only ratios appear: the level of an adjusted price contains the dividends paid after the day. Where the history is
    shorter than a look-back, the numbers that need it are left out.
    """
    named = config.indicators if config.numbers != "soft" else ()
    indicators = [written for name in named if (written := Indicator.parse(name).write(view))]
    parts = [
        TextPart("prices", _prices(view, config)),
        TextPart("indicators", " ".join(indicators)),
        TextPart("context", _context(view) if config.context else ""),
        TextPart("calendar", _calendar(view, config)),
        _news(view, config, length),
        _filings(view, config, length),
        _memory(view, config, length),
    ]
    return [part for part in parts if part.text or part.left_out]


def _prices(view: MarketView, config: ObservationConfig) -> str:
    """Symbol and latest one-bar returns, in tenths of a percent."""
    if config.numbers == "soft":
        return f"{view.symbol}."
    close = view.close[-1 - config.past_returns :]
    returns = close[1:] / close[:-1] - 1.0
    latest = " ".join(per_mille(r) for r in returns)
    return f"{view.symbol}. Returns, 0.1%: {latest}." if latest else f"{view.symbol}."


def _context(view: MarketView) -> str:
    """Returns of the markets beside it over one bar and over five, in tenths of a percent."""
    told = []
    for other in view.context:
        returns = [other.close[-1] / other.close[-1 - bars] - 1.0 for bars in (1, 5) if len(other.close) > bars]
        told += [" ".join([other.symbol, *map(per_mille, returns)])] * bool(returns)
    return f"1 and 5 days, 0.1%: {', '.join(told)}." if told else ""


def _calendar(view: MarketView, config: ObservationConfig) -> str:
    """The day of the week, and the days to the next event after today."""
    told = [f"{view.date.item():%A}."] * config.weekday
    ahead = [event for event in view.known_events if event.date > view.date] if config.next_event else []
    if ahead:
        event = min(ahead, key=lambda event: event.date)
        days = int((event.date - view.date).astype(int))
        told.append(f"{cleaned(event.name)[:MAX_NAME]} in {days} day{'s' * (days != 1)}.")
    return " ".join(told)


def _news(view: MarketView, config: ObservationConfig, length: Length) -> TextPart:
    """The best items, whole as long as they fit, the next one cut; nothing behind that."""
    if not config.news_items:
        return TextPart("news", "")
    items = day_news(view)
    kept: list[str] = []
    cut_short = False
    for item in ranked_news(items, view, config, config.news_items):
        cut = cut_to(item, config.news_budget - _used(kept, length), length)
        if cut:
            kept.append(cut)
        if cut != item:
            cut_short = bool(cut)
            break
    missing = len(items) - len(kept)
    said = [f"{missing} of {missing + len(kept)} items"] * bool(missing) + ["the end of one"] * cut_short
    return TextPart("news", "\n".join(kept), " and ".join(said))


def _filings(view: MarketView, config: ObservationConfig, length: Length) -> TextPart:
    """The latest filing of each form, the later one first, as far as they fit."""
    if not config.filing_budget:
        return TextPart("filings", "")
    latest = {text.kind: text for text in view.texts(kinds=FILINGS)}
    kept: list[str] = []
    short: list[str] = []
    for filing in sorted(latest.values(), key=lambda text: text.known_at, reverse=True):
        name, age = FILING_NAMES[filing.kind], int((view.cutoff - filing.known_at) / np.timedelta64(1, "D"))
        line, whole = _figures(
            f"{name}, {age} days ago:", filing.text, config.filing_budget - _used(kept, length), length
        )
        kept += [line] * bool(line)
        short += [name] * (not whole)
    return TextPart("filings", "\n".join(kept), f"part of the {' and the '.join(short)}" if short else "")


def _figures(head: str, text: str, budget: int, length: Length) -> tuple[str, bool]:
    """A filing's sentences with figures, as many as fit, in their order; and whether that is all there are."""
    line, whole = head, True
    for sentence in with_figures(text):
        if length(f"{line} {sentence}") <= budget:
            line = f"{line} {sentence}"
        else:
            whole = False
    return ("" if line == head else line), whole and line != head and len(text) <= MAX_CHARACTERS


def _memory(view: MarketView, config: ObservationConfig, length: Length) -> TextPart:
    """The best memories, each with its share of what the ones before it left of the budget."""
    if not config.memory_items:
        return TextPart("memory", "")
    best = remembered(view, config, config.memory_items)
    kept: list[str] = []
    for number, memory in enumerate(best):
        room = (config.memory_budget - _used(kept, length)) // (len(best) - number)
        cut = cut_to(memory.text, room - length(memory.head + " "), length)
        kept += [f"{memory.head} {cut}"] * bool(cut)
    missing = len(best) - len(kept)
    return TextPart("memory", "\n".join(kept), f"{missing} of {len(best)} items" if missing else "")


def _used(lines: list[str], length: Length) -> int:
    """What lines take, with the break behind them."""
    return length("\n".join(lines) + "\n") if lines else 0
