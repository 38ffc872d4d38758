"""The report opens without a network, shows every section, and answers to clicks, in a real browser."""

import csv
from pathlib import Path

import pytest

from eval.evaluation import TRAINED, UNTRAINED
from eval.report import write_report
from eval.tasks import audit, events, portfolio, risk, trading
from flag_trl.backtest import always_cash
from flag_trl.data import Period
from tests.eval.policies import Idle, Reader

SYMBOLS = ("MSFT", "JNJ", "XOM", "KO")
ABOUT = {
    "policy": "outputs/<b>odd & named</b>",
    "identity": {"agent.json": "0123"},
    "command": "python -m eval.run --config recipes/eval/demo.yaml",
    "conventions": ["signed, fills at same close"],
    "periods": {"paper_window": ["2020-10-01", "2021-05-05"]},
    "symbols": list(SYMBOLS),
    "versions": {"flag-trl": "0.1.0"},
    "settings": "4567",
    "seconds": 1.0,
}
SECTIONS = ["summary", "trading", "portfolio", "events", "risk", "audit", "making"]


@pytest.fixture(scope="module")
def report(request, tmp_path_factory, prices) -> Path:
    build = request.getfixturevalue("build_evaluation")
    given = build(SYMBOLS, policies={TRAINED: Reader(), UNTRAINED: Reader()})
    years = build(SYMBOLS, policies={TRAINED: Reader()}, periods=[Period("years", "2015-01-02", "2016-12-30")])
    tasks = {trading: given, portfolio: given, events: years, risk: given, audit: given}
    found = {task.NAME: (task.TITLE, task.run(evaluation)) for task, evaluation in tasks.items()}
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, ABOUT, found)
    return path


def test_every_section_opens_draws_and_leaves_the_console_empty(report: Path, browser) -> None:
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    assert page.locator("h1").inner_text() == f"Evaluation of {ABOUT['policy']}"
    for key in SECTIONS:
        page.locator(f"nav button[data-key={key}]").click()
        assert page.locator(f"main > section#{key}").is_visible()
        assert page.locator("main > section:visible").count() == 1
        plots = page.locator(f"section#{key} .plot")
        for place in range(plots.count()):
            assert plots.nth(place).locator("svg.main-svg").count() > 0, (key, place)
    assert troubles == [] and all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    context.close()


def test_tables_sort_and_download_and_the_theme_turns(report: Path, browser, tmp_path: Path) -> None:
    page = browser.new_context(accept_downloads=True).new_page()
    page.goto(f"{report.as_uri()}#trading")
    table = page.locator("table#trading-comparisons")
    column = [cell.inner_text().strip() for cell in table.locator("th").all()].index("difference")
    head = table.locator("th").nth(column).locator("button")

    def values() -> list[float]:
        cells = [row.locator("td").nth(column).inner_text() for row in table.locator("tbody tr").all()]
        return [float("-inf") if cell == "–" else float(cell) for cell in cells]

    head.click()
    assert values() == sorted(values())
    head.click()
    assert values() == sorted(values(), reverse=True)
    with page.expect_download() as download:
        page.locator("[data-csv=trading-comparisons]").click()
    download.value.save_as(tmp_path / "table.csv")
    rows = list(csv.reader((tmp_path / "table.csv").open(newline="")))
    assert rows[0][:2] == ["period", "less"] and len(rows) == 1 + len(values())
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("[data-theme-toggle]").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_on_a_phone_nothing_is_wider_than_the_screen(report: Path, browser) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True).new_page()
    page.goto(report.as_uri())
    for key in SECTIONS:
        page.locator(f"nav button[data-key={key}]").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, key


def test_tasks_that_were_not_run_leave_a_page_that_says_so(build_evaluation, tmp_path: Path) -> None:
    early = build_evaluation(policies={TRAINED: Reader()}, periods=[Period("early", "1990-03-01", "1990-03-20")])
    found = {task.NAME: (task.TITLE, task.run(early)) for task in (portfolio, events, risk)}
    write_report(tmp_path / "report.html", ABOUT, found)
    page = (tmp_path / "report.html").read_text()
    assert "Not run" in page and "There was no event" in page


def test_a_policy_that_never_traded_has_a_page_without_a_comparison(build_evaluation, tmp_path: Path) -> None:
    given = build_evaluation(policies={TRAINED: Reader()})
    idle = build_evaluation(policies={TRAINED: Idle(always_cash(given.rules.scheme))}, sampled=0, random_draws=0)
    result = trading.run(idle)
    write_report(tmp_path / "report.html", ABOUT, {"trading": ("Trading", result)})
    page = (tmp_path / "report.html").read_text()
    assert "always in cash by another name" in page and "undefined, for one of the two never varies" in page
    assert "less that of ..." not in page
