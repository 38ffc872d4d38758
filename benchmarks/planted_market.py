"""A market with a planted signal: a news sentence tells tomorrow's direction, right on 70 % of the days."""

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.planted_wordings import DOWN, UP
from flag_trl.data import DatedText, MarketData, Period, Window, period_window

SYMBOL = "XYZ"
FIRST_DAY = np.datetime64("2001-01-01")
SIZES = (0.005, 0.015)
LEAD_IN = 5
"""Bars before the first period, for the past returns that a prompt writes out."""
SENTENCES = UP + DOWN
PLANTED_DIRECTION = np.repeat([1, -1], [len(UP), len(DOWN)])
"""What each sentence tells: 1 for good news, -1 for bad."""


@dataclass(frozen=True)
class PlantedConfig:
    """Size and strength of a planted market.

    Attributes
    ----------
    accuracy : float
        Chance that the next day goes the way the sentence tells.
    known : int
        Wordings of each direction that training and validation may use; the others are unseen.
    held_out : int
        How many of the known ones validation has to itself: the gradient never meets them, so the checkpoint that is
        chosen on them is one that generalises. 0: validation uses the wordings of the training days.
    train, validation, test_known, test_unseen : int
        Decisions in each period. The tests' must divide evenly by their wordings for the days to be balanced.
    """

    accuracy: float = 0.7
    known: int = 20
    held_out: int = 4
    train: int = 1024
    validation: int = 128
    test_known: int = 320
    test_unseen: int = 400

    def __post_init__(self) -> None:
        if not 0.5 <= self.accuracy <= 1.0:
            raise ValueError(f"accuracy is {self.accuracy}; it must lie in [0.5, 1]")
        if not 0 <= self.held_out < self.known < len(UP):
            raise ValueError(
                f"known is {self.known} and held_out {self.held_out}; give 0 <= held_out < known < {len(UP)}, the "
                "wordings of each direction"
            )


@dataclass(frozen=True, eq=False)
class PlantedMarket:
    """One market with what was planted in it, bar by bar.

    Attributes
    ----------
    market : MarketData
        Closes, and one "news" text a day, known before the day's close.
    periods : dict of str to Period
        ``train``, ``validation``, ``test_known``, ``test_unseen``, one after the other.
    wordings : dict of str to tuple of int
        The indices into `SENTENCES` that each period draws from; ``test_known`` has those of ``train``.
    sentence : ndarray of int64, shape (n,)
        Index into `SENTENCES` of the bar's news.
    next_return : ndarray of float64, shape (n,)
        Simple return from the bar's close to the next; nan on the last bar.
    """

    market: MarketData
    periods: dict[str, Period]
    wordings: dict[str, tuple[int, ...]]
    sentence: np.ndarray
    next_return: np.ndarray

    @property
    def told(self) -> np.ndarray:
        """Direction that each bar's sentence tells, 1 or -1; shape (n,)."""
        return PLANTED_DIRECTION[self.sentence]

    def window(self, period: str) -> Window:
        """All decisions of a period."""
        return period_window(SYMBOL, self.market, self.periods[period])

    def bars(self, period: str) -> np.ndarray:
        """Bars of a period on which a decision is taken."""
        window = self.window(period)
        return np.arange(window.start, window.start + window.length)

    def optimal_returns(self, period: str) -> np.ndarray:
        """Daily simple returns of the Bayes-optimal policy under scheme ``signed`` without costs.

        Returns are independent from day to day and the day's sentence is all that is known of the next one, so it
        is long after good news and short after bad.
        """
        bars = self.bars(period)
        return self.told[bars] * self.next_return[bars]

    def shuffled(self, period: str, seed: int) -> "PlantedMarket":
        """The same prices with a period's news dealt anew among its days, so that they tell nothing."""
        bars = self.bars(period)
        sentence = self.sentence.copy()
        sentence[bars] = np.random.default_rng([seed, 1]).permutation(sentence[bars])
        market = replace(self.market, texts=_news(self.market.dates, sentence))
        return replace(self, market=market, sentence=sentence)


def planted_market(seed: int, config: PlantedConfig = PlantedConfig()) -> PlantedMarket:  # noqa: B008 - frozen
    """Draw a market.

    Parameters
    ----------
    seed : int
        Draws which wordings are known, and everything else.
    config : PlantedConfig

    Notes
    -----
    Within a period every wording appears equally often, give or take one, in random order. A day's return is
    direction x size, the size uniform on 0.5 to 1.5 % and independent of the direction. In training and validation
    both are drawn. In the two tests each wording is right on the stated share of its days, and the sizes of its right
    and of its wrong days are spread evenly over the same range; which day gets which is drawn. That takes the luck of
    coins and sizes, and nothing else, out of the measurement: a share of the optimum then moves with the wordings
    that a policy reads rightly.
    """
    random = np.random.default_rng([seed, 0])
    wordings = _draw_wordings(random, config)
    sentence, right, sizes, periods = [], [], [], {}
    bar = LEAD_IN
    dates = FIRST_DAY + np.arange(LEAD_IN + sum(_decisions(config).values()) + len(wordings))
    # Before the first period there is no news worth the name: any wording of the training days.
    sentence.append(random.choice(wordings["train"], LEAD_IN))
    right.append(random.random(LEAD_IN) < config.accuracy)
    sizes.append(random.uniform(*SIZES, LEAD_IN))
    for name, decisions in _decisions(config).items():
        exact = name.startswith("test")
        drawn, hits, moves = _days(random, np.array(wordings[name]), decisions, config.accuracy, exact)
        # A period's last bar has a price and no decision.
        sentence += [drawn, random.choice(wordings[name], 1)]
        right += [hits, random.random(1) < config.accuracy]
        sizes += [moves, random.uniform(*SIZES, 1)]
        periods[name] = Period(name, dates[bar], dates[bar + decisions])
        bar += decisions + 1
    sentences, correct = np.concatenate(sentence), np.concatenate(right)
    next_return = np.where(correct, 1, -1) * PLANTED_DIRECTION[sentences] * np.concatenate(sizes)
    close = 100.0 * np.cumprod(np.concatenate([[1.0], 1.0 + next_return[:-1]]))
    next_return[-1] = np.nan
    market = MarketData(SYMBOL, dates, close, texts=_news(dates, sentences), source=f"planted, seed {seed}")
    return PlantedMarket(market, periods, wordings, sentences, next_return)


def _decisions(config: PlantedConfig) -> dict[str, int]:
    return {name: getattr(config, name) for name in ("train", "validation", "test_known", "test_unseen")}


def _draw_wordings(random: np.random.Generator, config: PlantedConfig) -> dict[str, tuple[int, ...]]:
    """The wordings of each period, as many good as bad."""
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test_unseen": []}
    for sign in (1, -1):
        order = random.permutation(np.flatnonzero(sign == PLANTED_DIRECTION)).tolist()
        trained = config.known - config.held_out
        parts["train"] += order[:trained]
        parts["validation"] += order[trained : config.known] or order[:trained]
        parts["test_unseen"] += order[config.known :]
    ordered = {**parts, "test_known": parts["train"]}
    return {name: tuple(sorted(ordered[name])) for name in ("train", "validation", "test_known", "test_unseen")}


def _days(
    random: np.random.Generator, wordings: np.ndarray, days: int, accuracy: float, exact: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sentence of each day, whether it is right, and the size of the move, each of shape (days,)."""
    rounds = -(-days // len(wordings))
    sentence = np.tile(wordings, rounds)
    # Which wordings appear once less is drawn too, where they do not come out even.
    sentence[-len(wordings) :] = random.permutation(wordings)
    sentence = random.permutation(sentence[:days])
    if not exact:
        return sentence, random.random(days) < accuracy, random.uniform(*SIZES, days)
    right, sizes = np.zeros(days, dtype=bool), np.zeros(days)
    for wording in wordings:
        bars = random.permutation(np.flatnonzero(sentence == wording))
        # A fraction of a day is decided by a draw, so that the sentence is right as often as stated on average.
        hits = int(accuracy * len(bars) + random.random())
        right[bars[:hits]] = True
        for group in (bars[:hits], bars[hits:]):
            middles = (np.arange(len(group)) + 0.5) / max(len(group), 1)
            sizes[group] = SIZES[0] + (SIZES[1] - SIZES[0]) * middles
    return sentence, right, sizes


def _news(dates: np.ndarray, sentence: np.ndarray) -> tuple[DatedText, ...]:
    moments = dates.astype("datetime64[s]")
    return tuple(DatedText("news", SENTENCES[k], moment) for k, moment in zip(sentence, moments, strict=True))
