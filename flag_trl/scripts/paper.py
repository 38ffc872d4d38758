"""Trade on paper: a policy on a venue's live bars, its orders at a simulated exchange.

flag-trl paper --policy outputs/quickstart --config recipes/live/msft.yaml --speed 3600x
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flag_trl.data import MarketData
from flag_trl.data.market import WHOLE_DAY
from flag_trl.scripts import simulate
from flag_trl.scripts.live_recipe import check_live, read_live_recipe

if TYPE_CHECKING:
    from flag_trl.live import Journal
    from flag_trl.live.run import StopSwitch


def main(argv: Sequence[str] | None = None) -> int:
    """Follow the recipe's venue until somebody stops it; without one, replay its days in the market's own time."""
    recipe = read_live_recipe(argv)
    check_live()
    if not recipe.extra.venue:
        arguments = list(sys.argv[1:] if argv is None else argv)
        if recipe.extra.speed is None:
            arguments += ["--speed", "1x"]
        print("the recipe names no venue: its days are replayed instead, in the market's own time unless --speed says")
        return simulate.main(arguments)
    from flag_trl.live.recorded import RecordedFeed
    from flag_trl.live.venue import Venue, VenueError, VenueFeed

    if recipe.extra.days or recipe.extra.speed:
        raise SystemExit("a venue has days and a speed of its own; leave out days and speed, or the venue")
    try:
        venue = Venue.from_recipe(recipe.extra.venue, recipe.extra.foreign_adapter)
        history = {symbol: market for symbol, market in recipe.markets().items() if symbol in venue.instruments}
        missing = sorted(set(venue.instruments) - set(history))
        if missing:
            raise SystemExit(f"symbols: {', '.join(missing)} of the venue have no past; add them, and their data")
        if venue.news is None:
            print("the venue names no news file: a policy that was trained to read news is shown none")
        if venue.step_s < 86_400:
            history = {symbol: _last_bar(market, venue.step_s) for symbol, market in history.items()}
    except VenueError as error:
        raise SystemExit(f"flag-trl paper: {error}") from error

    def feed_of(journal: "Journal", switch: "StopSwitch") -> RecordedFeed:
        return RecordedFeed(journal, lambda kept: VenueFeed(venue, lambda: switch.set, kept))

    return simulate.run(recipe, feed_of, history, {symbol: [] for symbol in history}, None)


def _last_bar(market: MarketData, step_s: int) -> MarketData:
    """The last day's close as one short bar: daily bars and minutes make no common past, but prices go on from it."""
    moment = market.dates[-1:].astype("datetime64[s]") + market.decided_after(False)
    if market.session_close == WHOLE_DAY:
        moment = moment - np.timedelta64(1, "s")
    session_s = 86_400 if market.session_close == WHOLE_DAY else 23_400
    years = market.periods_per_year * session_s // step_s
    columns: dict[str, Any] = {name: None for name in ("open", "high", "low", "volume")}
    return replace(market, dates=moment, close=market.close[-1:], periods_per_year=years, **columns)


if __name__ == "__main__":
    raise SystemExit(main())
