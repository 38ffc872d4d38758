"""Every recipe parses, builds its rules, and says in its first line how to run it."""

import re
from pathlib import Path

import numpy as np
import pytest

from eval.arguments import EvalArguments
from eval.study import __main__ as study
from flag_trl.data import name_stand_in
from flag_trl.observations import Observer
from flag_trl.scripts.recipe import read_recipe
from flag_trl.scripts.train import build_trainer

REPOSITORY = Path(__file__).parents[2]
# Those of live runs have options of their own: tests/live/test_scripts.py.
RECIPES = [path for path in sorted(REPOSITORY.glob("recipes/**/*.yaml")) if path.parent.name != "live"]
STUDIES = [path for path in RECIPES if path.read_text().startswith("# python -m eval.study")]
CONFIGS = sorted(REPOSITORY.glob("accelerate_configs/*.yaml"))


@pytest.mark.parametrize("path", [path for path in RECIPES if path not in STUDIES], ids=lambda p: p.stem)
def test_a_recipe_parses_and_its_periods_follow_one_another(path: Path) -> None:
    recipe = read_recipe(["--config", str(path)], EvalArguments if path.parent.name == "eval" else None)
    train, _, tests = recipe.periods()
    assert train.end < tests[0].start
    assert recipe.rules().scheme.actions
    assert recipe.output == Path("outputs") / path.stem


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_study_parses_and_so_do_its_recipes(path: Path, monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    options, words = study.parse(["--config", str(path), "--data", "elsewhere"])
    runs = study.plan(options, words)
    assert len(runs) == len(options.recipes) * (options.seeds + 1)
    for run in runs:
        recipe = read_recipe(run.command_line)
        assert recipe.output == run.folder and recipe.market.data == "elsewhere"
        assert all(str(getattr(recipe.training, key, value)) == str(value) for key, value in options.overrides.items())


@pytest.mark.parametrize("path", RECIPES + CONFIGS, ids=lambda p: p.stem)
def test_the_first_line_is_the_command_that_runs_the_file(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    launched = r"accelerate launch .*-m (flag_trl\.scripts\.\w+|eval\.run)"
    assert re.match(rf"# ({launched}|python -m eval\.study) --config recipes/", first)
    named = re.findall(r"(?:accelerate_configs|recipes)/[\w/]+\.yaml", first)
    assert str(path.relative_to(REPOSITORY)) in named
    assert all((REPOSITORY / name).is_file() for name in named)


def test_the_command_line_overrides_the_recipe() -> None:
    recipe = read_recipe(
        ["--config", str(REPOSITORY / "recipes/quickstart.yaml"), "--max_steps", "7", "--fill=next_open"]
    )
    assert recipe.training.max_steps == 7 and recipe.rules().fill == "next_open"


def test_an_unknown_key_is_refused_by_name(tmp_path) -> None:
    (tmp_path / "odd.yaml").write_text("learning_rat: 1.0e-4\n")
    with pytest.raises(ValueError, match="learning_rat"):
        read_recipe(["--config", str(tmp_path / "odd.yaml")])


def test_a_missing_recipe_is_named(tmp_path) -> None:
    with pytest.raises(SystemExit, match="no recipe at .*absent.yaml"):
        read_recipe(["--config", str(tmp_path / "absent.yaml")])


def test_an_unknown_test_period_is_refused_with_those_there_are() -> None:
    recipe = read_recipe(["--config", str(REPOSITORY / "recipes/quickstart.yaml")])
    with pytest.raises(SystemExit, match="no test period soon; the recipe has paper_window, later"):
        recipe.test_periods(["soon"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("symbols: [MSFT, ON]", r"symbols: \['MSFT', True\].*quote"),
        ("symbols: MSFT", "not a list of words"),
    ],
)
def test_symbols_that_yaml_reads_as_something_else_are_refused(line, says, tmp_path) -> None:
    (tmp_path / "r.yaml").write_text(line)
    with pytest.raises(SystemExit, match=says):
        read_recipe(["--config", str(tmp_path / "r.yaml")]).markets()


@pytest.fixture
def beside(tmp_path) -> Path:
    """A recipe over a market with an index, an event and a text."""
    days = [f"2020-01-{day:02}" for day in range(1, 29)]
    for name, step in (("AAA", 1), ("SPY", 2)):
        rows = (f'{day},{100 + step * n},"Acme (AAA) said so on 2020-01-01."' for n, day in enumerate(days))
        (tmp_path / f"{name}.csv").write_text("date,close,news\n" + "\n".join(rows) + "\n")
    (tmp_path / "events.csv").write_text("date,name,known\n2020-02-03,earnings,2020-01-02\n")
    (tmp_path / "r.yaml").write_text(
        f"data: {tmp_path}\nsymbols: [AAA]\ncontext: [SPY]\nevents: {tmp_path}/events.csv\nfill: same_close\n"
        "news_items: 1\nnews_query: [Acme]\nindicators: []\npast_returns: 1\n"
        "train_period: [2020-01-06, 2020-01-10]\ntest_periods: {t: [2020-01-13, 2020-01-24]}\n"
    )
    return tmp_path / "r.yaml"


def text_of(recipe, bar: int = 20) -> str:
    markets = recipe.markets(unseen=True)
    shown = recipe.as_altered(recipe.observation())
    return Observer(markets, shown, recipe.trading.fill, len).market_text(0, bar)


def test_what_stands_beside_a_market_comes_from_the_recipe(beside) -> None:
    text = text_of(read_recipe(["--config", str(beside)]))
    # The file has weekends, so the index counts as one that ends at midnight: up to the day before.
    assert text.startswith("AAA. Returns, 0.1%: +8. 1 and 5 days, 0.1%: SPY +15 +78. earnings in 13 days.\nAcme (AAA)")


def test_anonymous_prompts_and_altered_days_come_from_the_recipe(beside) -> None:
    words = ["--config", str(beside)]
    assert "the company (STOCK) said so on day-19." in text_of(read_recipe([*words, "--anonymise", "true"]))
    assert "Returns, 0.1%: -8." in text_of(read_recipe([*words, "--counterfactual", "prices"]))
    named = text_of(read_recipe([*words, "--counterfactual", "entities"]))
    assert "AAA" not in named and "Acme" not in named
    moved = read_recipe([*words, "--counterfactual", "dates"])
    assert str(moved.periods()[0].start) == "2029-12-24" and "said so on 2030-01-01" in text_of(moved)
    assert moved.first_day(moved.periods()[0]) == np.datetime64("2020-01-06")
    with pytest.raises(SystemExit, match="altered days are for tests"):
        build_trainer(moved)


def test_the_same_news_is_chosen_under_another_name(beside) -> None:
    """The benchmark of a renamed company must show its news, and from where they mention it."""
    file = beside.parent / "AAA.csv"
    file.write_text(file.read_text().replace("Acme (AAA) said so on 2020-01-01.", "Rain. Acme won. [c]Wind fell."))
    file.write_text(file.read_text().replace("[c]", ""))
    words = ["--config", str(beside), "--news_selector", "combined"]
    assert text_of(read_recipe(words)).endswith("\nAcme won. Wind fell.")
    other = text_of(read_recipe([*words, "--counterfactual", "entities"]))
    assert other.endswith(f"\n{name_stand_in('Acme')} won. Wind fell.")


def test_a_market_that_trades_on_weekends_is_seen_up_to_the_day_before_at_a_close(beside) -> None:
    recipe = read_recipe(["--config", str(beside)])
    (index,) = recipe.markets()["AAA"].context
    assert index.periods_per_year == 365
    assert str(recipe.markets()["AAA"].as_of(10).context[0].date) == "2020-01-10"


@pytest.mark.parametrize("option", ["context", "events"])
def test_an_agent_that_was_shown_what_stands_beside_is_not_tested_without(option, beside) -> None:
    recipe = read_recipe(["--config", str(beside)])
    shown = recipe.observation()
    beside.write_text("\n".join(line for line in beside.read_text().splitlines() if not line.startswith(option)))
    with pytest.raises(ValueError, match=f"give --{option} again"):
        Observer(read_recipe(["--config", str(beside)]).markets(), shown, "same_close")


def test_symbols_that_training_does_not_see_are_read_for_the_test_alone(beside) -> None:
    words = ["--config", str(beside), "--unseen_symbols", "SPY"]
    recipe = read_recipe(words)
    assert list(recipe.markets()) == ["AAA"] and list(recipe.markets(unseen=True)) == ["AAA", "SPY"]
    with pytest.raises(SystemExit, match="unseen_symbols: training sees AAA"):
        read_recipe([*words, "AAA"]).markets()


def test_a_word_for_an_action_that_there_is_not_is_refused(tmp_path) -> None:
    (tmp_path / "r.yaml").write_text("words: {purchase: Buy}")
    with pytest.raises(SystemExit, match="purchase is no action; the scheme has sell, hold, buy"):
        read_recipe(["--config", str(tmp_path / "r.yaml")]).agent()


@pytest.mark.parametrize("spelling", [["--config", "{}"], ["--config={}"]])
def test_both_spellings_of_config_are_understood(spelling) -> None:
    path = str(REPOSITORY / "recipes/quickstart.yaml")
    assert read_recipe([part.format(path) for part in spelling]).output == Path("outputs/quickstart")


def test_config_without_a_file_is_answered_with_a_sentence() -> None:
    with pytest.raises(SystemExit, match="--config: name a recipe"):
        read_recipe(["--config"])


@pytest.mark.parametrize("spelling", ["--output_dir", "--output-dir"])
def test_an_output_folder_that_is_named_is_used(spelling) -> None:
    arguments = ["--config", str(REPOSITORY / "recipes/quickstart.yaml"), spelling, "elsewhere"]
    assert read_recipe(arguments).output == Path("elsewhere")


def test_help_says_what_a_recipe_is_and_shows_a_line_that_runs(capsys) -> None:
    with pytest.raises(SystemExit):
        read_recipe(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "A recipe is a YAML file" in shown and "--config recipes/quickstart.yaml" in shown
