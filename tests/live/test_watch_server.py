"""The server shows a run to those who may read it, does nothing else, and outlives its readers."""

import json
import re
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from flag_trl.live.watching import Source
from flag_trl.scripts import watch
from tests.live.watched import WatchServer, Writer, served, three_days, until


@pytest.fixture
def written(tmp_path) -> Iterator[Writer]:
    """Three days; see `three_days`."""
    writer = three_days(tmp_path)
    yield writer
    writer.journal.close()


def has_ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_what_is_not_reading_is_refused(written):
    with served(written.journal.path) as server, httpx.Client() as client:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
            assert client.request(method, server.url).status_code == 405, method
        assert client.get(f"{server.url}orders").status_code == 404
        answer = client.get(server.url)
        assert answer.status_code == 200 and "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost@evil", "10.0.0.1"]
)
def test_a_page_under_a_foreign_name_is_refused(written, host):
    with served(written.journal.path) as server, httpx.Client() as client:
        for place in ("", "events"):
            assert client.get(server.url + place, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:8765", "127.0.0.2"])
def test_this_machine_is_served_by_any_of_its_names(written, host):
    with served(written.journal.path) as server, httpx.Client() as client:
        assert client.get(server.url, headers={"Host": host}).status_code == 200


def test_who_has_no_token_is_told_nothing(written):
    with served(written.journal.path, token="right") as server, httpx.Client() as client:
        for place in ("", "events", "other"):
            for query in (
                "",
                "?token=",
                "?token=wrong",
                "?token=r%C3%AFght",
                "?Token=right",
                "?token=wrong&token=right",
            ):
                answer = client.get(server.url + place + query)
                assert answer.status_code == 403 and "night-run" not in answer.text, query
        assert client.get(f"{server.url}?token=right", headers={"Host": "box.example"}).status_code == 200


def test_a_token_is_needed_from_where_others_reach_the_page(written):
    first, second = (WatchServer(written.journal.path, "0.0.0.0", 0) for _ in range(2))
    assert first.token and first.url.endswith(f"/?token={first.token}") and len(first.token) >= 32
    assert second.token != first.token
    for server in (first, second):
        server.should_exit = True
        server.serve_page()


@pytest.mark.skipif(not has_ipv6_loopback(), reason="there is no ::1 here")
def test_the_other_loopback_needs_no_token(written):
    server = WatchServer(written.journal.path, "::1", 0)
    assert server.token is None and re.fullmatch(r"http://\[::1\]:\d+/", server.url)
    server.should_exit = True
    server.serve_page()


def test_no_log_holds_the_token(written, capfd):
    with served(written.journal.path, token="right") as server, httpx.Client() as client:
        client.get(f"{server.url}?token=right")
    told = capfd.readouterr()
    assert "right" not in told.out + told.err


def test_a_port_that_is_taken_is_said(written):
    with served(written.journal.path) as server:
        port = re.search(r":(\d+)/", server.url)[1]
        with pytest.raises(SystemExit, match=f"port {port}: .*give another"):
            watch.main([str(written.journal.path), "--port", port])


def test_readers_that_vanish_leave_nothing_behind(written):
    with served(written.journal.path) as server:
        port = int(re.search(r":(\d+)/", server.url)[1])
        before = threading.active_count()
        reset = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        for number in range(30):
            gone = socket.create_connection(("127.0.0.1", port))
            if number % 3:
                gone.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert gone.recv(10) == b"HTTP/1.1 2"
            if number % 2:
                # No goodbye: what is under way is thrown away.
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            gone.close()
        written.bar(120.0)
        until(lambda: not server.server_state.connections and not server.server_state.tasks)
        assert threading.active_count() <= before
        assert httpx.get(server.url).status_code == 200


def test_the_server_ends_while_somebody_reads(written):
    with served(written.journal.path) as server:
        with httpx.Client(timeout=60) as client, client.stream("GET", f"{server.url}events") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("data: "))
            server.should_exit = True
            assert not any(line.startswith("data: ") for line in lines)


def test_events_are_snapshots_and_a_quiet_run_beats(written, monkeypatch):
    monkeypatch.setattr("flag_trl.live.watching.server.HEARTBEAT_S", 0.5)
    with served(written.journal.path) as server:
        with httpx.Client(timeout=60) as client, client.stream("GET", f"{server.url}events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            first = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
            source = Source(written.journal.path)
            source.look()
            source.close()
            assert first == source.latest
            assert next(line for line in lines if line == ":")
            written.bar(120.0)
            second = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
            assert second["equity"] == pytest.approx(written.worth(120.0))


def test_the_server_leaves_the_journal_when_it_ends(written, monkeypatch):
    closed: list[Source] = []
    close = Source.close
    monkeypatch.setattr(Source, "close", lambda source: (closed.append(source), close(source)))
    with served(written.journal.path) as server:
        httpx.get(server.url)
        closed.clear()
    assert len(closed) == 1
