"""The command answers at once, teaches its subcommands, and hands each of them its arguments untouched."""

import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest

import flag_trl
from flag_trl import cli
from flag_trl.data import DataError

HEAVY = ("torch", "transformers", "trl", "datasets", "pandas", "numpy", "gymnasium")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("argv", [["--help"], ["--version"], []])
def test_help_and_version_import_nothing_heavy(argv: list[str]) -> None:
    loaded = python(
        "import sys\n"
        "from flag_trl.cli import main\n"
        f"try: main({argv!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('loaded', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    assert loaded.splitlines()[-1] == "loaded"


def test_the_package_imports_a_public_name_only_when_it_is_used() -> None:
    loaded = python("import sys, flag_trl; dir(flag_trl); print('numpy' in sys.modules)")
    assert loaded.strip() == "False"


@pytest.mark.parametrize("name", [name for name in flag_trl.__all__ if name != "__version__"])
def test_every_public_name_is_found_in_its_room(name: str) -> None:
    assert getattr(flag_trl, name).__module__.startswith("flag_trl.")


def test_a_name_that_is_not_public_is_refused_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match="no attribute 'FlagTrianer'.*FlagTrainer"):
        _ = flag_trl.FlagTrianer


def test_help_shows_each_command_with_a_line_that_runs_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for name in ("demo", "train", "backtest", "show-prompt", "convert-gguf"):
        assert f"$ flag-trl {name}" in shown


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("back-test", "backtest"), ("showprompt", "show-prompt")]
)
def test_a_misspelt_command_is_answered_with_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([typed, "--config", "x.yaml"])
    assert end.value.code == 2
    assert f"unknown command '{typed}'; did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (3, 3)])
def test_all_that_follows_a_command_reaches_its_script_unread(
    returned: int | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = []
    script = ModuleType("flag_trl.scripts.show_prompt")
    script.main = lambda argv: received.append(argv) or returned
    monkeypatch.setitem(sys.modules, "flag_trl.scripts.show_prompt", script)
    monkeypatch.setattr(sys, "argv", ["flag-trl"])
    arguments = ["--help", "--version", "--config", "a.yaml", "--", "-x"]
    assert cli.main(["show-prompt", *arguments]) == status
    assert received == [arguments]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_script(name: str) -> None:
    assert find_spec(cli.COMMANDS[name].module) is not None


@pytest.mark.parametrize("error", [DataError("prices.csv, row 3, close: 0"), FileNotFoundError("no model at x")])
def test_what_is_wrong_with_a_users_files_is_a_sentence_and_no_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> None:
        raise error

    script = ModuleType("flag_trl.scripts.backtest")
    script.main = fail
    monkeypatch.setitem(sys.modules, "flag_trl.scripts.backtest", script)
    monkeypatch.setattr(sys, "argv", ["flag-trl"])
    assert cli.main(["backtest"]) == 2
    assert capsys.readouterr().err == f"flag-trl backtest: {error}\n"
