"""`flag-trl data check` reads what training would read, says what it found, and draws it."""

from pathlib import Path

import pytest

from flag_trl import cli


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
