"""What goes onto the Hub is what comes back: over a real server, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from flag_trl.agent import Agent
from flag_trl.hub import pack
from flag_trl.scripts import train
from tests.hub.stand_in import TOKEN, StandIn, stand_in

RECIPE = """
data: {folder}/data
symbols: [AAA]
train_period: [2019-01-07, 2019-05-31]
test_periods:
  later: [2019-07-01, 2019-08-30]
scheme: all_in
fill: same_close
commission_bps: 5
model_name_or_path: {base}
use_cpu: true
trunk_cache_dir: none
episode_length: 20
num_trainable_layers: 2
past_returns: 2
indicators: [volatility20]
per_device_train_batch_size: 2
num_generations: 2
max_steps: 2
learning_rate: 0.01
save_strategy: steps
save_steps: 1
"""
PUBLISH = "import sys; from flag_trl.cli import main; sys.exit(main())"
SHOW = """
import sys
from flag_trl import Agent, Period, TradingRules, load_market, run_backtest
agent = Agent.from_pretrained(sys.argv[1], trained=sys.argv[3] == "trained")
markets, period = {"AAA": load_market(sys.argv[2], "AAA")}, Period("t", "2019-07-01", "2019-08-30")
(ledger,) = run_backtest(agent, markets, [period], TradingRules(fill="same_close"))
print(ledger.equity[["p_hold", "p_sell", "p_buy"]].map(lambda p: float(p).hex()).to_csv())
"""


@pytest.fixture(scope="module")
def hub():
    with stand_in() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tiny_model, tokenizer, tmp_path_factory, hub: StandIn) -> Path:
    """Prices, and the base model on the Hub and in a folder."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "data").mkdir()
    dates = np.datetime64("2018-01-01") + np.arange(700)
    moves = np.random.default_rng(0).standard_t(3, 700) * 0.01
    pd.DataFrame({"date": dates, "close": 100 * np.exp(np.cumsum(moves))}).to_csv(
        folder / "data" / "AAA.csv", index=False
    )
    tiny_model().save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    hub.repositories["user/base"] = {file.name: file.read_bytes() for file in (folder / "base").iterdir()}
    return folder


def call(hub: StandIn, folder: Path, *words: str, offline: bool = False) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own that knows no Hub but this one."""
    home = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **home, **quiet, "HF_HUB_OFFLINE": str(int(offline))}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def published(request, folder: Path, hub: StandIn) -> tuple[str, str]:
    """An agent trained with a value head, pushed at the end of its training; its folder and repository."""
    name = getattr(request, "param", "either")
    tuning = "lora" if name == "either" else name
    (folder / f"{name}.yaml").write_text(RECIPE.format(folder=folder, base="user/base"))
    words = ["--config", f"{name}.yaml", "--tuning", tuning, "--baseline", "value", "--push_to_hub", "true"]
    run = call(hub, folder, "-m", "flag_trl.scripts.train", *words, "--hub_model_id", f"user/{name}")
    assert run.returncode == 0, run.stderr
    return f"outputs/{name}", f"user/{name}"


@pytest.mark.parametrize("published", ["top_layers", "lora"], indirect=True)
def test_a_published_agent_gives_the_same_probabilities_to_the_last_digit(
    published, folder: Path, hub: StandIn
) -> None:
    own, repository = published
    shown = {name: call(hub, folder, "-c", SHOW, name, "data", "trained") for name in published}
    assert all(run.returncode == 0 for run in shown.values()), [run.stderr for run in shown.values()]
    assert shown[own].stdout == shown[repository].stdout and "0x1." in shown[own].stdout
    before = call(hub, folder, "-c", SHOW, repository, "data", "untrained")
    assert before.returncode == 0 and before.stdout != shown[own].stdout


@pytest.mark.parametrize("published", ["top_layers", "lora"], indirect=True)
def test_nothing_but_json_safetensors_and_the_card_goes_up(published, hub: StandIn, folder: Path) -> None:
    own, repository = published
    files = hub.repositories[repository]
    assert {Path(file).suffix for file in files} == {".json", ".jsonl", ".safetensors", ".md"}
    assert list((folder / own).glob("checkpoint-*/optimizer.pt")), "there was a pickle that could have gone up"
    card = files["README.md"].decode()
    metadata = yaml.safe_load(card.split("---")[1])
    assert metadata["base_model"] == "user/base" and metadata["library_name"] == "flag-trl"
    assert {"trl", "flag-trl", "trading"} <= set(metadata["tags"])
    for said in (
        "2019-01-07 to 2019-05-",
        "commission 5 bp",
        f'from_pretrained("{repository}")',
        "Nobody has evaluated it",
    ):
        assert said in card
    assert str(folder) not in card and str(folder) not in files["policy.json"].decode()


@pytest.mark.parametrize("published", ["top_layers", "lora"], indirect=True)
def test_an_adapter_loads_with_peft_alone(published, hub: StandIn, folder: Path) -> None:
    _, repository = published
    code = "import sys; from peft import AutoPeftModelForCausalLM as Auto; Auto.from_pretrained(sys.argv[1])"
    run = call(hub, folder, "-c", code, repository)
    assert (run.returncode == 0) == (repository == "user/lora"), run.stderr


def test_the_card_s_example_runs(published, hub: StandIn, folder: Path) -> None:
    _, repository = published
    card = hub.repositories[repository]["README.md"].decode()
    (code,) = [part.split("```")[0] for part in card.split("```python")[1:]]
    run = call(hub, folder, "-c", code)
    assert run.returncode == 0 and "'SR'" in run.stdout, run.stderr


def test_a_repository_with_a_pickle_is_refused(published, hub: StandIn, folder: Path) -> None:
    _, repository = published
    hub.repositories["user/pickled"] = {**hub.repositories[repository], "training_args.bin": b"cos\nsystem\n"}
    asked = len(hub.asked)
    run = call(hub, folder, "-c", SHOW, "user/pickled", "data", "trained")
    assert run.returncode != 0 and "user/pickled is not loaded: training_args.bin may be a pickle" in run.stderr
    assert not [path for method, path in hub.asked[asked:] if "resolve" in path and "pickled" in path]


def test_another_base_model_under_the_same_name_is_noticed(
    published, hub: StandIn, folder: Path, tiny_model, tmp_path
) -> None:
    _, repository = published
    before = dict(hub.repositories["user/base"])
    tiny_model(seed=5).save_pretrained(tmp_path)
    hub.repositories["user/base"]["model.safetensors"] = (tmp_path / "model.safetensors").read_bytes()
    try:
        run = call(hub, folder, "-c", SHOW, repository, "data", "trained")
    finally:
        hub.repositories["user/base"] = before
    assert run.returncode != 0 and "was trained on other weights of user/base" in run.stderr


def test_what_is_neither_folder_nor_repository_is_named(hub: StandIn, folder: Path) -> None:
    run = call(hub, folder, "-c", SHOW, "user/nothing", "data", "trained")
    assert "user/nothing is neither a folder here nor a repository of the Hub" in run.stderr


@pytest.fixture(scope="module")
def local(folder: Path) -> Path:
    """An agent trained on a base model in a folder."""
    (folder / "local.yaml").write_text(RECIPE.format(folder=folder, base=folder / "base"))
    train.main(["--config", str(folder / "local.yaml"), "--output_dir", str(folder / "outputs" / "local")])
    return folder / "outputs" / "local"


def test_a_base_model_that_others_do_not_have_is_refused_with_the_remedy(local: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which others do not have; put it onto the Hub .* --base_model USER/NAME"):
        pack(local, tmp_path / "packed", "user/name")


def test_such_a_training_stops_before_it_starts(folder: Path, hub: StandIn, local: Path) -> None:
    words = ["--config", "local.yaml", "--push_to_hub", "true", "--output_dir", "outputs/never"]
    run = call(hub, folder, "-m", "flag_trl.scripts.train", *words)
    assert "which others do not have" in run.stderr and not (folder / "outputs" / "never" / "agent.json").exists()


def test_a_named_base_model_serves_others(local: Path, folder: Path, hub: StandIn) -> None:
    words = [
        "publish",
        str(local),
        "user/renamed",
        "--base_model",
        "user/base",
        "--license",
        "mit",
        "--cutoff",
        "2018-12-31",
    ]
    run = call(hub, folder, "-c", PUBLISH, *words)
    assert run.returncode == 0 and "/user/renamed/commit/" in run.stdout, run.stderr
    shown = [call(hub, folder, "-c", SHOW, name, "data", "trained").stdout for name in (str(local), "user/renamed")]
    assert shown[0] == shown[1] and "0x1." in shown[0]
    card = hub.repositories["user/renamed"]["README.md"].decode()
    assert "license: mit" in card and "Days up to 2018-12-31" in card


def test_what_an_earlier_agent_left_there_goes(local: Path, folder: Path, hub: StandIn) -> None:
    hub.repositories["user/again"] = {
        "evaluation.json": b"{}",
        "adapter_config.json": b"{}",
        "training_args.bin": b"c",
    }
    run = call(hub, folder, "-c", PUBLISH, "publish", str(local), "user/again", "--base_model", "user/base")
    assert run.returncode == 0, run.stderr
    assert {Path(file).suffix for file in hub.repositories["user/again"]} == {".json", ".jsonl", ".safetensors", ".md"}
    assert not {"evaluation.json", "adapter_config.json"} & set(hub.repositories["user/again"])


def test_what_was_downloaded_serves_without_the_hub(published, hub: StandIn, folder: Path) -> None:
    _, repository = published
    before = call(hub, folder, "-c", SHOW, repository, "data", "trained")
    asked = len(hub.asked)
    after = call(hub, folder, "-c", SHOW, repository, "data", "trained", offline=True)
    assert after.returncode == 0 and after.stdout == before.stdout, after.stderr
    never = call(hub, folder, "-c", SHOW, "user/never", "data", "trained", offline=True)
    assert len(hub.asked) == asked
    assert "user/never is no folder here, and the Hub cannot be asked for it" in never.stderr


def test_who_may_not_write_is_told_how_to(local: Path, folder: Path, hub: StandIn, monkeypatch) -> None:
    monkeypatch.setattr("tests.hub.test_publish.TOKEN", "hf_of_somebody_else")
    run = call(hub, folder, "-c", PUBLISH, "publish", str(local), "user/theirs", "--base_model", "user/base")
    assert run.returncode != 0 and "hf auth login" in run.stderr and "Traceback" not in run.stderr


def test_a_hub_that_fails_does_not_stop_a_training(folder: Path, hub: StandIn) -> None:
    (folder / "saves.yaml").write_text(RECIPE.format(folder=folder, base="user/base"))
    words = ["--config", "saves.yaml", "--push_to_hub", "true", "--hub_strategy", "every_save"]
    hub.refuses_commits = 1
    run = call(hub, folder, "-m", "flag_trl.scripts.train", *words, "--hub_model_id", "user/saves")
    assert run.returncode == 0 and "step 1 was not published, and training goes on" in run.stderr, run.stderr
    assert hub.refuses_commits == 0 and "policy.safetensors" in hub.repositories["user/saves"]


def evaluation_of(agent: Path, changed: str | None = None) -> dict:
    from hashlib import blake2b

    names = [file.name for file in agent.iterdir() if file.name in ("agent.json", "policy.json", "policy.safetensors")]
    identity = {name: blake2b((agent / name).read_bytes(), digest_size=8).hexdigest() for name in names}
    row = {"difference": -0.7, "low": -2.0, "high": 0.6}
    part = {"after_costs": [{"cost_bps": 5, "SR": 0.4}], "transfer_gain": row, "over_buy_and_hold": row}
    answer = {"question": "Is it one position by another name?", "finding": "It is always long.", "verdict": "caught"}
    return {
        "identity": {**identity, **({changed: "0"} if changed else {})},
        "command": "python -m eval.run",
        "symbols": ["AAA"],
        "periods": {"later": ["2019-07-01", "2019-08-30"]},
        "tasks": {
            "trading": {
                "figures": {"periods": {"later": part}},
                "words": ["later: less Buy & Hold -0.70 [-2.00, +0.60]."],
            },
            "audit": {"figures": {"answers": [answer]}, "words": []},
        },
    }


def test_an_evaluation_stands_on_the_card_with_its_intervals(local: Path, tmp_path: Path) -> None:
    (tmp_path / "judged").mkdir()
    (tmp_path / "judged" / "results.json").write_text(json.dumps(evaluation_of(local)))
    packed = pack(local, tmp_path / "packed", "user/name", base_model="user/base", evaluation=tmp_path / "judged")
    card = (packed / "README.md").read_text()
    assert "less Buy & Hold -0.70 [-2.00, +0.60]" in card and "It is always long." in card
    (model,) = yaml.safe_load(card.split("---")[1])["model-index"]
    metrics = {one["name"]: one for result in model["results"] for one in result["metrics"]}
    assert metrics["Sharpe ratio"]["value"] == 0.4
    assert metrics["Sharpe ratio less Buy & Hold"]["args"] == {"low": -2.0, "high": 0.6}


def test_another_agent_s_evaluation_is_refused(local: Path, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(evaluation_of(local, changed="policy.safetensors")))
    with pytest.raises(ValueError, match="is no evaluation of the agent in"):
        pack(local, tmp_path / "packed", "user/name", base_model="user/base", evaluation=tmp_path)


def test_news_on_a_card_cannot_end_its_metadata(local: Path, tmp_path: Path) -> None:
    odd = evaluation_of(local)
    odd["symbols"] = ["AAA\n---\nbase_model: evil/model"]
    (tmp_path / "results.json").write_text(json.dumps(odd))
    packed = pack(local, tmp_path / "packed", "user/name", base_model="user/base", evaluation=tmp_path)
    text = (packed / "README.md").read_text()
    from huggingface_hub import ModelCard

    assert ModelCard(text).data.base_model == "user/base"


def test_a_folder_without_an_agent_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no trained agent"):
        pack(tmp_path, tmp_path / "packed", "user/name")
    with pytest.raises(FileNotFoundError, match="holds no trained agent"):
        Agent.from_pretrained(tmp_path)
