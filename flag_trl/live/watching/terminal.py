"""A run in the terminal, in short."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from flag_trl.live.watching.source import Source

LOOK_EVERY_S = 0.5
MOST_ORDERS = 5
MOST_NOTICES = 3
MOST_LINES = 6
BLOCKS = "▁▂▃▄▅▆▇█"
STYLES = {
    **dict.fromkeys(("running", "ok", "filled", "long", "buy"), "green"),
    **dict.fromkeys(("stopped", "failed", "rejected", "denied", "short", "sell"), "red"),
    **dict.fromkeys(("interrupted", "late", "canceled", "expired", "open", "sent"), "yellow"),
}


def watch_terminal(path: Path, console: Console, once: bool = False) -> None:
    """Show a run until it is no longer written.

    Parameters
    ----------
    path : path
        The journal.
    console : Console
    once : bool
        Print it as it is now; so where the console is no terminal.
    """
    source = Source(path)
    try:
        source.look()
        if once or not console.is_terminal:
            console.print(rendered(source.latest))
            return
        with Live(rendered(source.latest), console=console, auto_refresh=False) as live:
            while source.latest["state"]["writer"] is not None:
                time.sleep(LOOK_EVERY_S)
                source.look()
                live.update(rendered(source.latest), refresh=True)
    except KeyboardInterrupt:
        pass
    finally:
        source.close()


def rendered(shown: dict[str, Any]) -> RenderableType:
    """A snapshot for a console."""
    decisions = shown["decisions"]
    parts: list[RenderableType] = [_head(shown), _symbols(shown)]
    if decisions:
        parts += _decision(*max(decisions.items(), key=lambda item: item[1]["time"]))
    parts.append(_limits(shown["limits"]))
    if shown["orders"]:
        parts += [Rule("last orders", style="dim"), _orders(shown["orders"][:MOST_ORDERS])]
    if shown["notices"]:
        parts.append(Rule("last notices", style="dim"))
        for notice in shown["notices"][:MOST_NOTICES]:
            what = " ".join(part for part in (notice["kind"], notice["symbol"]) if part)
            parts.append(Text(f"{moment(notice['time'])}  {safe(what)}: {safe(notice['text'])}"))
    return Group(*parts)


def _head(shown: dict[str, Any]) -> RenderableType:
    state = shown["state"]
    why = f": {safe(state['why'])}" if state["why"] else ""
    first = Text.assemble(
        (safe(shown["name"]), "bold"),
        "  ",
        (state["name"] + why, STYLES.get(state["name"], "")),
        f"  {moment(shown['time'])}",
    )
    fills = shown["trades"]["fills"]
    figures = (
        f"equity {number(shown['equity'])}, return {percent(shown['total_return'], '+')}, drawdown "
        f"{percent(shown['drawdown'])} (largest {percent(shown['deepest'])}), {fills} fill{'s' * (fills != 1)}, "
        f"commission {number(shown['trades']['commission'])}"
    )
    about = Text(safe(", ".join(shown["about"])), style="dim")
    return Group(first, about, Text(figures), Text(sparkline(shown["curve"]["equity"]), style="cyan"))


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Values as a row of blocks."""
    step = max(1, -(-len(values) // width))
    kept = list(values[::-1][::step][::-1])
    if not kept:
        return ""
    low, spread = min(kept), max(kept) - min(kept)
    return "".join(BLOCKS[round((value - low) / spread * (len(BLOCKS) - 1)) if spread else 0] for value in kept)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def _symbols(shown: dict[str, Any]) -> RenderableType:
    table = _table("symbol", "position", "units", "price", "weight", "equity", "decided")
    for part in shown["symbols"]:
        decision = shown["decisions"].get(part["symbol"])
        table.add_row(
            Text(safe(part["symbol"]), style="bold"),
            Text(part["position"], style=STYLES.get(part["position"], "")),
            number(part["units"], 0),
            number(part["price"]),
            percent(part["weight"]),
            number(part["equity"]),
            Text(
                (decision["action"] or decision["status"]) if decision else "–",
                STYLES.get(decision["status"], "") if decision else "",
            ),
        )
    return table


def _decision(symbol: str, decision: dict[str, Any]) -> list[RenderableType]:
    chances = ", ".join(
        f"{one['action']} {percent(one['probability'])}" for one in decision["probabilities"] if one["legal"]
    )
    how = "drawn" if decision["drawn"] else "greedy"
    taken = (
        f"{decision['action']} ({how}) of {chances}"
        if decision["action"]
        else f"{decision['status']}: {decision['why']}"
    )
    texts = [decision["numbers"], *decision["lines"]]
    left_out = [f"... and {len(texts) - MOST_LINES} more lines"] if len(texts) > MOST_LINES else []
    return [
        Rule(Text(f"decision on {safe(symbol)}, {moment(decision['time'])}"), style="dim"),
        Text(safe(taken)),
        Text(safe("\n".join([decision["account"], *texts[:MOST_LINES], *left_out])), style="dim"),
    ]


def _limits(limits: Sequence[dict[str, Any]]) -> RenderableType:
    return Text(
        "limits  " + "; ".join(f"{limit['name']} {limit['words']}" for limit in limits if limit["used"] is not None)
    )


def _orders(orders: Sequence[dict[str, Any]]) -> RenderableType:
    table = _table("sent at", "order", "side", "quantity", "filled", "mean price", "status")
    for order in orders:
        status = f"{order['status']}: {order['why']}" if order["why"] else order["status"]
        table.add_row(
            moment(order["time"]),
            Text(safe(order["id"])),
            Text(order["side"], style=STYLES.get(order["side"], "")),
            number(order["quantity"], 0),
            number(order["filled"], 0),
            number(order["average"]),
            Text(safe(status), style=STYLES.get(order["status"], "")),
        )
    return table


def safe(text: str) -> str:
    """Text that moves no cursor and changes no colour: news may hold anything."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


def moment(milliseconds: int | None) -> str:
    """On the exchange's clock."""
    return "–" if milliseconds is None else f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M}"


def number(value: float | str | None, digits: int = 2) -> str:
    """With its thousands apart; a dash for none."""
    return "–" if value is None else value if isinstance(value, str) else f"{value:,.{digits}f}"


def percent(value: float | str | None, sign: str = "") -> str:
    """A fraction as a percentage."""
    return f"{100 * value:{sign}.2f} %" if isinstance(value, float | int) else number(value)
