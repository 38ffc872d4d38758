"""Let a policy trade market data through a trading engine, one bar at a time.

flag-trl simulate --policy outputs/quickstart --config recipes/live/msft.yaml
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flag_trl.data import MarketData
from flag_trl.live import journal_path
from flag_trl.scripts.live_recipe import check_live, days_of, policy_of, read_live_recipe, settings_of
from flag_trl.scripts.progress import progress_bar, report_console
from flag_trl.scripts.recipe import Recipe

if TYPE_CHECKING:
    from flag_trl.live import Journal, Summary
    from flag_trl.live.feed import Feed
    from flag_trl.live.run import Outcome, StopSwitch


def main(argv: Sequence[str] | None = None) -> int:
    """Play the days of a recipe; what happened is in the journal in the output folder."""
    recipe = read_live_recipe(argv)
    check_live()
    from flag_trl.live.feed import ReplayFeed

    days, markets = days_of(recipe), recipe.markets(unseen=True)
    for market in markets.values():
        market.index_range(days.start, days.end)
    feed = ReplayFeed.of_period(markets, days.start, days.end, recipe.trading.fill)
    return run(recipe, lambda journal, switch: feed, feed.history(), feed.context(), feed.last_bar())


def run(
    recipe: Recipe,
    feed_of: "Callable[[Journal, StopSwitch], Feed]",
    history: Mapping[str, MarketData],
    context: Mapping[str, list[str]],
    until: int | None,
) -> int:
    """Run, tell how it goes, and say what came of it; 3 where a limit or the operator stopped it.

    Parameters
    ----------
    recipe : Recipe
    feed_of : callable
        Gives the feed, once there are a journal to keep it in and a switch that ends it.
    history, context, until
        As in `LiveRun`.
    """
    from flag_trl.live import Journal, JournalError, summary
    from flag_trl.live.run import LiveRun, Pace, StopSwitch, described

    settings, console, path = settings_of(recipe), report_console(), journal_path(recipe.output)
    if path.exists() and not recipe.extra.resume:
        raise SystemExit(f"{path} holds a run: go on with it by --resume true, or give another --output_dir")
    pace = Pace(speed_of(recipe.extra.speed))
    policy, said = policy_of(recipe)
    try:
        with Journal(path) as journal:
            begun = journal.begin({**described(settings, history, context), **_asked_for(recipe), "policy": said})
            console.print(_introduction(recipe, sorted(context), begun), style="dim", highlight=False)
            game, switch = LiveRun(policy, settings, history, journal, context, until), StopSwitch()
            try:
                with switch.on_signals(), _told(until, recipe.extra.policy) as tell:
                    outcome = game.play(feed_of(journal, switch), pace, switch, tell)
            except BaseException as error:
                journal.ended(f"failed: {type(error).__name__}: {error}")
                raise
            finally:
                game.close()
            journal.ended(outcome.how)
            console.print(_results(summary(journal), outcome, journal), highlight=False)
    except JournalError as error:
        raise SystemExit(f"flag-trl: {error}") from error
    console.print(f"[dim]flag-trl watch {recipe.output}; flag-trl replay {recipe.output}[/dim]", highlight=False)
    return 0 if outcome.how == "ended" else 3


def speed_of(text: str | None) -> float | None:
    """Seconds of the market in one second; None for as fast as it goes."""
    if text is None:
        return None
    try:
        speed = float(str(text).removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < math.inf:
        raise SystemExit(f"speed: {text!r}; give how much faster than the market's own time, such as 60x")
    return speed


def _asked_for(recipe: Recipe) -> dict[str, Any]:
    """What of the recipe the journal names besides; of a venue nothing that its adapter is configured with."""
    venue = recipe.extra.venue
    return {
        "trading": asdict(recipe.trading),
        "data": recipe.market.data,
        "days": [str(day) for day in recipe.extra.days],
        "periods_per_year": recipe.market.periods_per_year,
        "venue": {name: venue[name] for name in ("client", "instruments", "bar", "zone") if name in venue},
    }


def _introduction(recipe: Recipe, symbols: Sequence[str], begun: bool) -> str:
    args, rules = recipe.extra, recipe.rules()
    bars = "every bar" if args.decide_every == 1 else f"every {args.decide_every} bars"
    order = args.order_kind + (f" {args.limit_bps:+g} bp" if args.order_kind == "limit" else "")
    lines = [
        f"{args.policy} trades {', '.join(symbols)}, {' to '.join(str(day) for day in args.days) or 'live'}: "
        f"{rules.scheme.name}, decided {bars}, fills at {rules.fill.replace('_', ' ')}, {order} orders "
        f"({args.time_in_force}), lots of {rules.lot_size:g}",
        f"commission {rules.costs.commission_bps:g} bp, slippage {rules.costs.slippage_bps:g} bp, latency "
        f"{args.latency_ms:g} ms, "
        + ("any size" if not args.participation else f"at most {args.participation:.0%} of a bar's volume")
        + f", {args.reject_rate:.1%} of moments without a market; {'drawn' if args.sampled else 'greedy'} actions, "
        f"seed {recipe.training.seed}",
        *recipe.market.notes,
    ]
    if begun:
        lines.append(
            f"goes on with {journal_path(recipe.output)}: what is in it is played again and must come out equal"
        )
    return "\n".join(lines)


@contextmanager
def _told(until: int | None, title: str) -> Iterator[Callable[[int], None]]:
    """Progress by simulated time, where it has an end."""
    first: list[int] = []

    def tell(ts: int) -> None:
        first[:] = first or [ts]
        if until is not None:
            bar(min(ts, until) - first[0], max(until - first[0], 1))

    with progress_bar(title) as bar:
        yield tell


def _results(found: "Summary", outcome: "Outcome", journal: "Journal") -> str:
    if not found.bars:
        return f"{outcome.how}: equity {outcome.equity:,.2f}, before a second bar had closed"
    sharpe = _with_interval(found.sharpe, found.sharpe_interval, 2)
    won = _with_interval(found.win_rate, found.win_rate_interval, 0)
    lines = [
        f"{outcome.how}: equity {outcome.equity:,.2f} after {found.bars} bars, {found.cumulative:+.1f} %, Sharpe "
        f"{sharpe}, drawdown {found.drawdown:.1f} %, percent of bars won {won}",
        f"{found.orders} orders, {found.fills} fills, {found.rejected} rejected, commission {found.commission:,.2f}; "
        f"turnover {found.turnover:.0f} % a year, exposure {found.exposure:.0f} %",
    ]
    told = [("feed items not believed", found.refused), ("orders cut or stopped by limits", found.limited)]
    lines += [f"{count} {what}" for what, count in told if count]
    if outcome.decisions:
        asked, engine = outcome.asked_s / outcome.total_s, outcome.engine_s / outcome.total_s
        lines.append(
            f"{outcome.decisions} decisions in {outcome.total_s:.1f} s, {outcome.decisions / outcome.total_s:.1f} a "
            f"second; the policy took {asked:.0%} of it, engine, books and journal {engine:.0%}, the feed "
            f"{1 - asked - engine:.0%}"
        )
    return "\n".join(lines)


def _with_interval(value: float, interval: tuple[float, float], digits: int) -> str:
    """A figure with its 95 % interval; what is undefined is said to be."""
    if math.isnan(value):
        return "undefined"
    low, high = interval
    return f"{value:.{digits}f}" + ("" if math.isnan(low) else f" (95 %: {low:.{digits}f} to {high:.{digits}f})")


if __name__ == "__main__":
    raise SystemExit(main())
