"""The page: one HTML text with its style, its script and a first snapshot inside."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from flag_trl.live.journal import Journal
from flag_trl.live.watching.snapshot import snapshot


def page(shown: Mapping[str, Any], live: bool) -> str:
    """The page of a snapshot.

    Parameters
    ----------
    shown : mapping
        A snapshot.
    live : bool
        Whether it follows the server's events from there on.
    """
    from jinja2 import Environment, StrictUndefined, select_autoescape

    environment = Environment(autoescape=select_autoescape(default=True), undefined=StrictUndefined)
    template = environment.from_string(_text("page.html.jinja"))
    return template.render(
        name=shown["name"],
        live=live,
        policy=content_policy(live),
        style=_text("page.css"),
        script=_text("page.js"),
        snapshot=_embedded(shown),
    )


def write_report(journal: Journal, path: Path) -> None:
    """Write a journal as one HTML file that needs nothing beside it."""
    path.write_text(page(snapshot(journal), live=False), encoding="utf-8")


def content_policy(live: bool) -> str:
    """What the page may load and run: its own script and style, by their hashes, and its events."""
    parts = [
        "default-src 'none'",
        f"script-src '{_digest('page.js')}'",
        f"style-src '{_digest('page.css')}'",
        "img-src data:",
        "connect-src 'self'" if live else "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(parts)


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(name: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode()}"


def _embedded(value: Any) -> str:
    """JSON that may stand in a script: no text can end the element."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
