"""What a journal says now, as plain values of bounded size for a page or a terminal."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from flag_trl.live.journal import Journal, writer_of
from flag_trl.live.watching.reading import MILLISECOND, Reading

MOST_ROWS = 50
MOST_TEXT = 10_000
MOST_WHY = 600
FINAL = ("rejected", "denied", "canceled", "expired")

Values = dict[str, Any]


def snapshot(journal: Journal, reading: Reading | None = None) -> Values:
    """Read what is to be shown of a run.

    Parameters
    ----------
    journal : Journal
    reading : Reading, optional
        Given again with the same journal, it makes a long run cheap to follow.

    Returns
    -------
    dict
        Valid JSON: times are milliseconds on the exchange's clock, fractions are not percentages, what is no number is
        None, and what has no bound is ``"inf"``.

    Raises
    ------
    JournalError
        If no run has begun in it.
    """
    reading = reading or Reading()
    reading.curve.read(journal)
    reading.holdings.read(journal)
    journal.setting("version")
    settings = {row["name"]: json.loads(row["value"]) for row in journal.rows("settings")}
    symbols = [_part(journal, symbol, reading) for symbol in settings["symbols"]]
    parts = [part["equity"] for part in symbols]
    equity = reading.curve.equity if None in parts else sum(parts)
    start, holdings = reading.curve.start, reading.holdings
    shown = {
        "name": journal.path.resolve().parent.name,
        "about": _about(settings),
        "state": _state(journal),
        "time": _time(journal),
        "equity": equity,
        "total_return": equity / start - 1.0 if start > 0.0 else None,
        "drawdown": reading.curve.drawdown(equity),
        "deepest": max(reading.curve.deepest, reading.curve.drawdown(equity)),
        "trades": {"fills": holdings.count, "commission": holdings.commission},
        "curve": reading.curve.points,
        "marks": list(holdings.latest),
        "symbols": symbols,
        "decisions": _decisions(journal, settings),
        "orders": _orders(journal),
        "limits": _limits(journal, settings, symbols),
        "notices": _notices(journal),
    }
    return plain(shown)


def plain(value: Any) -> Any:
    """The same without numbers that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def _last(journal: Journal, table: str, where: str = "1", *values: Any, by: str = "ts") -> Values:
    """The latest row; empty where there is none."""
    return next((dict(row) for row in list(journal.rows(table, where, *values, order=f"{by} DESC LIMIT 1"))), {})


def _time(journal: Journal) -> int | None:
    """The last moment of which anything but history is known."""
    found = [_last(journal, table).get("ts") for table in ("totals", "decisions", "accounts")]
    return max((ts // MILLISECOND for ts in found if ts is not None), default=None)


def _state(journal: Journal) -> Values:
    """Whether it runs, has ended, was stopped, or ended without a word; the process that writes; and why."""
    run, writer = journal.runs()[-1], writer_of(journal.path)
    told = _last(journal, "notices", "kind IN ('stop', 'resume')", by="number")
    stopped = cut(told["text"], MOST_WHY) if told.get("kind") == "stop" else ""
    how = run["how"]
    if how == "ended":
        name, why = how, ""
    elif how:
        name, why = "stopped", how.removeprefix("stopped").lstrip(": ") or stopped
    elif writer is None:
        name, why = "interrupted", "its process ended without a word; --resume true goes on"
    else:
        name, why = ("stopped", stopped) if stopped else ("running", "")
    return {"name": name, "why": why, "writer": writer, "started": run["started"], "ended": run["ended"]}


def _about(settings: Values) -> list[str]:
    """The conventions behind the figures, in words; those that the journal names."""
    every = settings.get("decide_every", 1)
    costs, days = settings.get("costs"), settings.get("days")
    said = [
        f"policy {settings['policy']['name']}" if "policy" in settings else "",
        f"data {settings['data']}" + (f", {' to '.join(days)}" if days else "") if settings.get("data") else "",
        settings["scheme"]["name"],
        f"fills at {settings['fill'].replace('_', ' ')}" if "fill" in settings else "",
        f"{'drawn' if settings.get('sampled') else 'greedy'} actions, every {f'{every} bars' if every > 1 else 'bar'}",
        f"commission {costs['commission_bps']:g} bp, slippage {costs['slippage_bps']:g} bp" if costs else "",
        f"capital {settings['capital']:,.10g}" if "capital" in settings else "",
    ]
    return [line for line in said if line]


def _part(journal: Journal, symbol: str, reading: Reading) -> Values:
    """One symbol's part of the account at its last price."""
    first = next(iter(list(journal.rows("accounts", "symbol = ?", symbol, order="ts LIMIT 1"))), None)
    units = reading.holdings.units.get(symbol, 0.0)
    told = {"symbol": symbol, "units": units, "position": "long" if units > 0 else "short" if units < 0 else "flat"}
    if first is None:
        return {**told, "price": None, "equity": None, "weight": None, "time": None}
    mark = _last(journal, "accounts", "symbol = ?", symbol)
    price = math.nan if mark["price"] is None else mark["price"]
    # The first bar is marked before anything is traded.
    cash = (math.nan if first["cash"] is None else first["cash"]) - reading.holdings.paid.get(symbol, 0.0)
    worth = units * price if units else 0.0
    equity = cash + worth
    weight = worth / equity if equity else None
    return {**told, "price": price, "equity": equity, "weight": weight, "time": mark["ts"] // MILLISECOND}


def _decisions(journal: Journal, settings: Values) -> Values:
    """The latest decision of each symbol that has one."""
    actions = settings["scheme"]["actions"]
    found = {symbol: _last(journal, "decisions", "symbol = ?", symbol) for symbol in settings["symbols"]}
    return {symbol: _decision(row, actions) for symbol, row in found.items() if row}


def _decision(row: Values, actions: Sequence[str]) -> Values:
    probabilities = json.loads(row["probabilities"] or "[]")
    legal = json.loads(row["legal"] or "[]") or [True] * len(actions)
    numbers, *lines = cut(row["market_text"], MOST_TEXT).split("\n")
    return {
        "time": row["ts"] // MILLISECOND,
        "status": row["status"],
        "why": cut(row["why"], MOST_WHY),
        "action": None if row["action"] is None else actions[row["action"]],
        "drawn": row["uniform"] is not None,
        "probabilities": [
            {"action": action, "probability": probability, "legal": bool(open_)}
            for action, probability, open_ in zip(actions, probabilities, legal, strict=False)
        ],
        "account": cut(row["account_text"], MOST_TEXT),
        "numbers": numbers,
        "lines": lines,
        "took_s": row["took_s"],
    }


def _orders(journal: Journal) -> list[Values]:
    """The latest, newest first, with what became of them."""
    rows = list(journal.rows("orders", order=f"ts DESC, LENGTH(id) DESC, id DESC LIMIT {MOST_ROWS}"))
    names = [row["id"] for row in rows]
    among = f"id IN ({', '.join('?' * len(names))})"
    fills: dict[str, list[Any]] = {name: [] for name in names}
    events: dict[str, list[Any]] = {name: [] for name in names}
    for table, into in (("fills", fills), ("order_events", events)):
        for row in journal.rows(table, among, *names):
            into[row["id"]].append(row)
    return [_order(dict(row), fills[row["id"]], events[row["id"]]) for row in rows]


def _order(row: Values, fills: Sequence[Any], events: Sequence[Any]) -> Values:
    filled = sum(fill["quantity"] for fill in fills)
    paid = sum(fill["quantity"] * fill["price"] for fill in fills)
    last = events[-1]["what"] if events else "sent"
    status = (
        "filled" if filled >= row["quantity"] else last if last in FINAL else "open" if last == "accepted" else last
    )
    return {
        "id": row["id"],
        "time": row["ts"] // MILLISECOND,
        "symbol": row["symbol"],
        "side": row["side"],
        "quantity": row["quantity"],
        "kind": row["kind"],
        "price": row["price"],
        "time_in_force": row["time_in_force"],
        "target": row["target"],
        "filled": filled,
        "average": paid / filled if filled else None,
        "commission": sum(fill["commission"] for fill in fills),
        "status": status,
        "why": cut(events[-1]["why"], MOST_WHY) if status in FINAL else "",
    }


def _limits(journal: Journal, settings: Values, symbols: Sequence[Values]) -> list[Values]:
    """Each limit with what is used of it, where that can be said between two orders."""
    headroom = json.loads(_last(journal, "totals").get("headroom") or "{}")
    weights = [abs(part["weight"]) for part in symbols if part["weight"] is not None]
    used = {name: values[0] for name, values in headroom.items()}
    allowed = {**settings.get("limits", {}), **{name: values[1] for name, values in headroom.items()}}
    if weights:
        used["max_position"] = max(weights)
    order = sorted(allowed, key=lambda name: name not in used)
    return [_limit(name, used.get(name), allowed[name]) for name in order]


def _limit(name: str, used: float | None, allowed: Any) -> Values:
    """With its headroom in words and its share that is used."""
    told: Values = {"name": name, "used": used, "allowed": allowed, "share": None, "words": _amount(name, allowed)}
    if used is not None:
        told["words"] = f"{_amount(name, used)} of {_amount(name, allowed)}"
        if math.isfinite(allowed):
            told["words"] += f", {_amount(name, max(allowed - used, 0.0))} left"
            told["share"] = min(used / allowed, 1.0) if allowed else 1.0
    return told


def _amount(name: str, value: Any) -> str:
    """In the limit's own unit: fractions of equity as percentages, but for seconds, times and words."""
    if isinstance(value, str):
        return value
    if value == math.inf:
        return "no bound"
    if name == "answer_within_s" and not value:
        return "waits"
    return (
        f"{value:,g} s"
        if name.endswith("_s")
        else f"{value:g}"
        if name == "max_failures"
        else f"{round(100 * value, 2):g} %"
    )


def _notices(journal: Journal) -> list[Values]:
    rows = journal.rows("notices", order=f"number DESC LIMIT {MOST_ROWS}")
    return [
        {
            "time": row["ts"] // MILLISECOND,
            "kind": row["kind"],
            "symbol": row["symbol"],
            "text": cut(row["text"], MOST_WHY),
        }
        for row in rows
    ]


def cut(text: str | None, most: int) -> str:
    """A text, or its beginning."""
    text = text or ""
    return text if len(text) <= most else f"{text[:most]} ..."
