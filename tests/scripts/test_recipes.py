"""Every recipe parses, builds its rules, and says in its first line how to run it."""

import re
from pathlib import Path

import pytest

from flag_trl.scripts.recipe import read_recipe

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted(REPOSITORY.glob("recipes/**/*.yaml"))
CONFIGS = sorted(REPOSITORY.glob("accelerate_configs/*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_parses_and_its_periods_follow_one_another(path: Path) -> None:
    recipe = read_recipe(["--config", str(path)])
    train, _, tests = recipe.periods()
    assert train.end < tests[0].start
    assert recipe.rules().scheme.actions
    assert recipe.output == Path("outputs") / path.stem


@pytest.mark.parametrize("path", RECIPES + CONFIGS, ids=lambda p: p.stem)
def test_the_first_line_is_the_command_that_runs_the_file(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert re.match(r"# accelerate launch .*-m flag_trl\.scripts\.\w+ --config recipes/", first)
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
