"""The page of a run, served from its journal: it is only read, and whoever may not read it is told nothing."""

import asyncio
import ipaddress
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from flag_trl.live.watching.page import content_policy, page
from flag_trl.live.watching.source import Source

LOOK_EVERY_S = 0.25
HEARTBEAT_S = 10.0
MOST_CONNECTIONS = 200
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{content_policy(live=True)}; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address holds the token.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class AccessCheck:
    """Lets through only GET, and only with the token; without one, only what was asked of this machine by its name.

    A page elsewhere may have its own name resolved to 127.0.0.1 and read what is served there, but cannot change the
    Host that its visitor's browser sends.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "http":
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> PlainTextResponse | None:
        if scope["method"] != "GET":
            return PlainTextResponse("this page is only read", 405, {"Allow": "GET"})
        if self._token is None:
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(hosts) == 1 and _is_this_machine(hosts[0]):
                return None
            return PlainTextResponse("this page is served to this machine only", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if secrets.compare_digest(given.encode(), self._token.encode()):
            return None
        return PlainTextResponse("the address lacks its token", 403)


class WatchServer(uvicorn.Server):
    """A server of one run's page, bound and not yet running.

    Parameters
    ----------
    path : path
        The journal.
    host : str
        Where to listen; on any other than a loopback address, who reads needs the token.
    port : int
        0 for any that is free.

    Attributes
    ----------
    url : str
        The page's address, with the token.
    token : str, optional

    Raises
    ------
    OSError
        If the address cannot be had.
    """

    def __init__(self, path: Path, host: str = "127.0.0.1", port: int = 8765) -> None:
        self._socket = _listening(host, port)
        address, bound = self._socket.getsockname()[:2]
        self.token = None if ipaddress.ip_address(address).is_loopback else secrets.token_urlsafe(24)
        self.url = _url(address, bound, self.token)
        app = watch_app(path, self.token, closing=lambda: self.should_exit)
        # An access log would hold the token.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=5,
        )
        super().__init__(config)

    def serve_page(self) -> None:
        """Serve until interrupted or told to exit."""
        try:
            self.run(sockets=[self._socket])
        except KeyboardInterrupt:
            # It has ended in order before it raises this.
            pass
        finally:
            self._socket.close()


def watch_app(path: Path, token: str | None, closing: Callable[[], bool] = lambda: False) -> ASGIApp:
    """The page at ``/`` and its snapshots at ``/events``.

    Parameters
    ----------
    path : path
        The journal.
    token : str, optional
        What readers must give; None where only this machine is served.
    closing : callable
        Whether streams are to end.
    """
    source = Source(path)

    async def index(request: Request) -> HTMLResponse:
        source.look()
        return HTMLResponse(page(source.latest, live=True), headers=HEADERS)

    async def events(request: Request) -> StreamingResponse:
        return StreamingResponse(_stream(source, closing), media_type="text/event-stream", headers=HEADERS)

    @asynccontextmanager
    async def until_closed(app: Starlette) -> AsyncIterator[None]:
        yield
        source.close()

    app = Starlette(routes=[Route("/", index), Route("/events", events)], lifespan=until_closed)
    return AccessCheck(app, token)


async def _stream(source: Source, closing: Callable[[], bool]) -> AsyncIterator[str]:
    """Each snapshot as an event, and a comment now and then; the server ends it when its reader is gone."""
    sent, quiet = 0, 0.0
    yield "retry: 2000\n\n"
    while not closing():
        number = source.look()
        if number != sent:
            yield f"data: {json.dumps(source.latest, allow_nan=False)}\n\n"
            sent, quiet = number, 0.0
        elif quiet >= HEARTBEAT_S:
            yield ":\n\n"
            quiet = 0.0
        await asyncio.sleep(LOOK_EVERY_S)
        quiet += LOOK_EVERY_S


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names a loopback address, or localhost."""
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family)


def _url(address: str, port: int, token: str | None) -> str:
    found = ipaddress.ip_address(address)
    name = socket.gethostname() if found.is_unspecified else f"[{address}]" if found.version == 6 else address
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
