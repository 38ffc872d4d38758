"""`flag-trl data check` reads what training would read, says what it found, and draws it."""

import json
import sys
from pathlib import Path

import pytest

from flag_trl import cli
from flag_trl.data import load_market


@pytest.fixture
def prices(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "acme.csv"
    file.write_text(
        "date,close,news\n2020-01-02,10,Acme opened a plant.\n2020-01-03,10,Acme opened a plant.\n2020-02-03,4,\n"
    )
    return file


def test_it_says_what_the_file_holds_and_draws_it(prices, capsys) -> None:
    assert cli.main(["data", "check", str(prices)]) == 0
    shown = capsys.readouterr().out
    assert "3 bars, 2020-01-02 to 2020-02-03; close" in shown
    assert "1 gaps longer than usual: 2020-01-03 to 2020-02-03" in shown
    assert "1 bars that move by a quarter or more" in shown and "2020-02-03 -60%" in shown
    assert "news" in shown and "tokens" not in shown
    assert Path("outputs/data/acme.png").stat().st_size > 5_000


def test_tokens_are_those_of_the_model_named(prices, tiny_model, tokenizer, capsys) -> None:
    tokenizer.save_pretrained("model")
    cli.main(["data", "check", str(prices), "--model", "model", "--no_picture"])
    assert "tokens" in capsys.readouterr().out
    assert not Path("outputs").exists()


def test_a_broken_file_is_named_with_the_row_and_no_traceback(prices, capsys) -> None:
    prices.write_text("date,close\n2020-01-02,ten\n")
    assert cli.main(["data", "check", str(prices)]) == 2
    said = capsys.readouterr().err
    assert "acme.csv" in said and "line 2" in said and "close" in said


YAHOO = """
import pandas as pd
__version__ = "1.0"
class config:
    class debug:
        hide_exceptions = True
class Ticker:
    def __init__(self, symbol):
        self.symbol = symbol
    def history(self, start, end, interval, auto_adjust):
        assert (interval, auto_adjust, config.debug.hide_exceptions) == ("1d", True, False)
        if self.symbol == "DOWN":
            raise ConnectionError("no route")
        days = pd.date_range(start, end, inclusive="left", tz="America/New_York") if self.symbol == "MSFT" else []
        row = {"Open": 1.0, "High": 3.0, "Low": 0.5, "Close": 2.0, "Volume": 7, "Dividends": 0.0}
        return pd.DataFrame([row] * len(days), index=days)
"""


@pytest.fixture
def yahoo(tmp_path, monkeypatch) -> None:
    """Stands in for yfinance, which needs the network."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "yfinance.py").write_text(YAHOO)
    monkeypatch.syspath_prepend(tmp_path / "library")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("yfinance", None)


def test_a_download_is_kept_with_its_query_and_can_be_read(yahoo, capsys) -> None:
    assert cli.main(["data", "download", "MSFT", "--start", "2020-01-02", "--end", "2020-01-05", "--output", "d"]) == 0
    market = load_market("d", "MSFT")
    assert [str(day) for day in market.dates] == ["2020-01-02", "2020-01-03", "2020-01-04", "2020-01-05"]
    assert market.open[0] == 1.0 and market.volume[0] == 7
    query = json.loads(Path("d/MSFT.query.json").read_text())
    assert query["end"] == "2020-01-06" and query["rows"] == 4 and query["yfinance"] == "1.0"
    again = ["data", "download", "MSFT", "--start", "2020-01-02", "--end", "2020-01-05", "--output", "d"]
    assert cli.main(again) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(("symbol", "says"), [("DOWN", "no route); check symbol"), ("NONE", "Yahoo has no bars")])
def test_what_yahoo_does_not_give_is_an_error_with_the_remedy(symbol, says, yahoo, capsys) -> None:
    assert cli.main(["data", "download", symbol, "--start", "2020-01-02", "--end", "2020-01-05"]) == 2
    assert says in capsys.readouterr().err
    assert not Path("data").exists()
