"""The page in a real browser: it moves with the journal, says so where it cannot, and runs nothing that came in."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flag_trl.live.watching import write_report
from flag_trl.scripts import watch
from tests.live.watched import HOSTILE, WatchServer, Writer, served, three_days, until

PATIENT_MS = 60_000


@pytest.fixture
def written(tmp_path) -> Iterator[Writer]:
    """Three days; see `three_days`."""
    writer = three_days(tmp_path)
    yield writer
    writer.journal.close()


class Looked:
    """A page that is looked at, and all that went wrong on it."""

    def __init__(self, browser: Any, url: str, **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        told = ("error", "warning")
        self.page.on("console", lambda m: self.troubles.append(m.text) if m.type in told else None)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("requestfailed", lambda request: self.troubles.append(request.url))
        self.page.on("response", lambda answer: self.troubles.append(answer.url) if answer.status >= 400 else None)
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def wait(self, selector: str, text: str) -> None:
        self.page.locator(selector, has_text=text).first.wait_for(timeout=PATIENT_MS)

    def cells(self, table: str) -> list[list[str]]:
        rows = self.page.locator(f"#{table} tbody tr").all()
        return [row.locator("td, th").all_inner_texts() for row in rows]

    def values(self) -> dict[str, str]:
        """All that a snapshot has on the page."""
        kept = ("time", "equity", "return", "drawdown", "symbols", "decision", "limits", "orders", "notices", "chart")
        return {name: self.page.locator(f"#{name}").evaluate("(part) => part.textContent") for name in kept}


def test_values_move_while_the_page_is_open(written, browser):
    with served(written.journal.path) as server:
        seen = Looked(browser, server.url)
        seen.wait("#connection", "live")
        assert seen.text("h1") == "night-run" and seen.text("#state") == "running"
        assert seen.text("#equity") == "103,999.00" and seen.text("#return") == "+4.00 %"
        assert seen.cells("symbols")[0] == ["AAA", "long", "400", "110.00", "81.48 %", "53,999.00", "2020-01-05 16:00"]
        assert seen.text("#time") == "2020-01-05 16:00" and seen.text("#action") == "hold"
        line = seen.page.locator("#chart path.line").get_attribute("d")
        seen.page.evaluate("window.kept = document.querySelector('#symbols tbody tr')")
        written.bar(90.0, probabilities="[0.9, 0.1, 0.0]", action=0, news="It fell.")
        written.order("AAA-2", 10, 0.0, 0.0, "rejected", "no market here")
        written.notice("rejected", "AAA-2: no market here", "AAA")
        seen.wait("#equity", "95,999.00")
        seen.wait("#notices", "AAA-2: no market here")
        assert seen.text("#action") == "sell" and seen.text("#lines") == "It fell."
        assert seen.text("#drawdown") == "7.69 %" and seen.text("#return") == "-4.00 %"
        assert seen.page.locator("#probabilities .amount").all_inner_texts() == ["90.00 %", "10.00 %", "not open"]
        assert seen.cells("orders")[0][-1] == "rejected: no market here"
        assert seen.page.locator("#chart path.line").get_attribute("d") != line
        assert seen.page.locator("#chart path.mark").count() == 1
        # In place: the row is the one that was there.
        assert seen.page.evaluate("window.kept === document.querySelector('#symbols tbody tr')")
        written.end("stopped: signal SIGTERM")
        seen.wait("#state", "stopped")
        assert seen.text("#why") == "signal SIGTERM"
        assert seen.troubles == []
        assert {url.removeprefix(server.url) for url in seen.requests} <= {"", "events", "data:,"}
        seen.context.close()


def test_what_is_chosen_and_scrolled_stays_as_it_is(written, browser):
    written.decide("BBB", news="\n".join(f"Item {n} of many." for n in range(200)))
    written.bar(110.0)
    for number in range(2, 60):
        written.order(f"AAA-{number}", 1, 0.0, 0.0)
    with served(written.journal.path) as server:
        seen = Looked(browser, server.url, viewport={"width": 1000, "height": 700})
        seen.page.get_by_role("button", name="BBB").click()
        assert "Item 0 of many." in seen.text("#lines")
        places = {"#lines": 300, "#orders": 200}
        scrolled = "(e) => (e.tagName === 'TABLE' ? e.parentElement : e)"
        for selector, top in places.items():
            seen.page.locator(selector).evaluate(f"(e, top) => {{ ({scrolled})(e).scrollTop = top; }}", top)
        seen.page.evaluate("window.scrollTo(0, 400)")
        written.bar(130.0)
        seen.wait("#time", "2020-01-07")
        for selector, top in places.items():
            assert seen.page.locator(selector).evaluate(f"(e) => ({scrolled})(e).scrollTop") == top
        assert seen.page.evaluate("window.scrollY") == 400
        assert seen.page.get_by_role("button", name="BBB").get_attribute("aria-pressed") == "true"
        assert seen.text("#decision-of").startswith("BBB")
        assert seen.troubles == []
        seen.context.close()


def test_all_who_look_see_the_same_and_those_who_leave_disturb_nobody(written, browser):
    with served(written.journal.path) as server:
        first, second = Looked(browser, server.url), Looked(browser, server.url)
        leaving = [Looked(browser, server.url) for _ in range(3)]
        for one in (first, second, *leaving):
            one.wait("#connection", "live")
        for one in leaving:
            one.context.close()
        written.bar(150.0)
        for one in (first, second):
            one.wait("#time", "2020-01-06")
        assert first.values() == second.values()
        until(lambda: len(server.server_state.tasks) == 2)
        assert first.troubles == second.troubles == []
        first.context.close()
        second.context.close()
        until(lambda: not server.server_state.connections)


def test_a_page_with_a_token_keeps_it_for_its_events(written, browser):
    with served(written.journal.path, token="right") as server:
        seen = Looked(browser, f"{server.url}?token=right")
        seen.wait("#connection", "live")
        written.bar(150.0)
        seen.wait("#time", "2020-01-06")
        assert seen.troubles == []
        seen.context.close()


def test_a_broken_connection_is_said_and_made_again(written, browser):
    with served(written.journal.path) as server:
        port = int(re.search(r":(\d+)/", server.url)[1])
        seen = Looked(browser, server.url)
        seen.wait("#connection", "live")
    seen.wait("#connection", "connection lost")
    written.bar(150.0)
    again = WatchServer(written.journal.path, port=port)
    thread = threading.Thread(target=again.serve_page)
    thread.start()
    seen.wait("#connection", "live")
    seen.wait("#time", "2020-01-06")
    again.should_exit = True
    thread.join()
    seen.context.close()


def test_news_are_text_whatever_they_hold(written, browser, tmp_path):
    written.notice("limit", HOSTILE, "AAA")
    write_report(written.journal, tmp_path / "report.html")
    with served(written.journal.path) as server:
        for url in (server.url, (tmp_path / "report.html").as_uri()):
            seen = Looked(browser, url)
            assert seen.page.locator("#lines").evaluate("(e) => e.textContent") == HOSTILE
            assert seen.page.locator("#notices td").last.evaluate("(e) => e.textContent") == HOSTILE
            assert seen.page.title() == "night-run" and seen.page.locator("img").count() == 0
            assert seen.page.locator("script").count() == 2
            assert seen.troubles == []
            seen.context.close()


def test_markup_that_came_in_would_not_run(written, browser):
    with served(written.journal.path) as server:
        seen = Looked(browser, server.url)
        markup = '<img src=x onerror="document.title=1"><b onclick="document.title=1">b</b>'
        seen.page.evaluate("(markup) => document.body.insertAdjacentHTML('beforeend', markup)", markup)
        seen.page.locator("b").click()
        until(lambda: any("Content Security Policy" in trouble for trouble in seen.troubles))
        assert seen.page.title() == "night-run"
        seen.context.close()


def test_the_report_is_one_file_with_the_same_values(written, browser, tmp_path):
    written.bar(95.0, probabilities=None, action=None, status="late", why="no answer within 1 s")
    assert watch.main([str(written.journal.path.parent), "--report", str(tmp_path / "report.html")]) == 0
    with served(written.journal.path) as server:
        live = Looked(browser, server.url)
        report = Looked(browser, (tmp_path / "report.html").as_uri(), offline=True)
        assert report.values() == live.values()
        assert report.text("#action") == "late" and report.text("#decision-why") == "no answer within 1 s"
        assert "report" in report.text("#connection")
        assert report.troubles == [] and len([url for url in report.requests if not url.startswith("data:")]) == 1
        live.context.close()
        report.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1300])
def test_nothing_is_wider_than_the_screen_in_either_light(written, browser, tmp_path, width, theme):
    written.notice("failed", "unbroken" * 60)
    write_report(written.journal, tmp_path / "report.html")
    size = {"width": width, "height": 800}
    seen = Looked(browser, (tmp_path / "report.html").as_uri(), viewport=size, color_scheme=theme)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    background = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 384) == (theme == "dark")
    seen.context.close()


def test_a_run_without_a_bar_has_a_page(browser, tmp_path):
    writer = Writer(tmp_path / "journal.sqlite")
    with served(tmp_path / "journal.sqlite") as server:
        seen = Looked(browser, server.url)
        seen.wait("#chart", "no bar yet")
        assert seen.text("#equity") == "–" and seen.text("#action") == "none yet"
        writer.bar(100.0)
        seen.wait("#equity", "100,000.00")
        assert seen.troubles == []
        seen.context.close()
    writer.journal.close()
