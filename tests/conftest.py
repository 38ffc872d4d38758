"""A tiny tokenizer, tiny random models of each family, and small markets; nothing is downloaded."""

import os
import shutil
import tempfile

# Before anything imports the Hub's client: tests use no network, send no telemetry and keep off the user's cache.
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", DS_ACCELERATOR="cpu")
os.environ["HF_ASSETS_CACHE"] = tempfile.mkdtemp(prefix="flag-trl-tests-")
# Where a launch that was killed earlier leaves a build half done, DeepSpeed waits for it for ever.
os.environ["TORCH_EXTENSIONS_DIR"] = os.path.join(os.environ["HF_ASSETS_CACHE"], "torch_extensions")
os.environ["TRACKIO_DIR"] = os.path.join(os.environ["HF_ASSETS_CACHE"], "trackio")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from flag_trl.data import DatedText, MarketData
from flag_trl.policy import LLMPolicy, Tuning

REPOSITORY = Path(__file__).parents[1]
REAL_MODEL = REPOSITORY / "models" / "SmolLM2-135M-Instruct"
TOP_TWO = Tuning(num_trainable_layers=2)
WORDS = {"sell": "sell", "hold": "hold", "buy": "buy"}

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "Trade one stock. Answer with one word: sell, hold, buy.",
    "AAA. Returns, 0.1%: +4 -12 +3 +10 -21. 20 days +3%. Volatility 18%.",
    "Position: flat. Position: long. Position: short. Allowed: sell, hold, buy.",
    "up down system user assistant",
] * 4


# The files that take minutes, so that where files run side by side none of these is the last.
LONG = (
    "test_launch.py",
    "test_faults.py",
    "test_study.py",
    "test_publish.py",
    "test_faults_of_many.py",
    "test_run.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(os.environ["HF_ASSETS_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that knows ``sell``, ``hold`` and ``buy`` as single tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|im_start|>", "<|im_end|>"]
    core.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=420, special_tokens=special, initial_alphabet=alphabet)
    )
    core.add_tokens(list(WORDS.values()))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=special[0], eos_token=special[1], pad_token=special[1]
    )
    wrapped.chat_template = CHATML
    return wrapped


@pytest.fixture(scope="session")
def tiny_model(tokenizer: PreTrainedTokenizerFast) -> Callable[..., PreTrainedModel]:
    """Build a random model of a family; the same seed gives the same weights."""

    def build(family: str = "llama", seed: int = 0, layers: int = 4, tied: bool = True, **more: object):
        torch.manual_seed(seed)
        sizes = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "max_position_embeddings": 256,
            "sliding_window": 16,
            "tie_word_embeddings": tied,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 1,
            # The stock 0.02 leaves a tiny model's actions indistinguishable.
            "initializer_range": 0.2,
        }
        config = AutoConfig.for_model(family, **{**sizes, **more})
        return AutoModelForCausalLM.from_config(config)

    return build


@pytest.fixture
def tiny_policy(tiny_model, tokenizer) -> Callable[..., LLMPolicy]:
    """Build a policy around a tiny model."""

    def build(
        tuning: Tuning = TOP_TWO, words=WORDS, value_head: bool = False, soft=None, **model: object
    ) -> LLMPolicy:
        extras = {"value_head": value_head, "soft": soft}
        return LLMPolicy(tiny_model(**model), tokenizer, words, tuning, base_model="tiny", **extras)

    return build


@pytest.fixture(scope="session")
def real_model() -> Path:
    """The folder of SmolLM2-135M-Instruct."""
    if not REAL_MODEL.is_dir():
        pytest.skip("the real model is not converted; `make model` does it")
    return REAL_MODEL


@pytest.fixture(scope="session")
def walk() -> Callable[..., MarketData]:
    """A random walk of n closes and opens, with a text a day where `texts` are given."""

    def build(n: int = 60, seed: int = 0, symbol: str = "AAA", texts: list[str] | None = None) -> MarketData:
        random = np.random.default_rng(seed)
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, n)))
        dates = np.datetime64("2020-01-01") + np.arange(n)
        days = dates.astype("datetime64[s]")
        known = [DatedText("news", text, day) for day, text in zip(days, texts or [], strict=False)]
        return MarketData(symbol, dates, close, open=close * np.exp(random.normal(0, 0.005, n)), texts=tuple(known))

    return build


@pytest.fixture(scope="session")
def market_folder(tiny_model, tokenizer, tmp_path_factory) -> Path:
    """A folder with a tiny model in `model` and prices of AAA, BBB and CCC over 1,000 days in `data`."""
    folder = tmp_path_factory.mktemp("market_folder")
    tiny_model().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "data").mkdir()
    dates = np.datetime64("2018-01-01") + np.arange(1000)
    for place, symbol in enumerate(("AAA", "BBB", "CCC")):
        moves = np.random.default_rng(place).standard_t(3, 1000) * 0.01
        table = pd.DataFrame({"date": dates, "close": 100 * np.exp(np.cumsum(moves))})
        table.to_csv(folder / "data" / f"{symbol}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; while it is open, its thread can run no event loop of its own."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here; .ci/run installs it")
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser is driven by playwright")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-quic"])
        yield opened
        opened.close()
