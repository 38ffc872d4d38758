"""A vision-language policy gives what its own family gives, and sees its charts; with a tiny random SmolVLM."""

import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText

from flag_trl.accounts import AllIn
from flag_trl.agent import Agent
from flag_trl.data import Period, episode_dataset
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.policy import ImageTokens, LLMPolicy, Tuning
from flag_trl.policy.vision import AROUND, GLOBAL
from flag_trl.trainer import FlagConfig, FlagTrainer

TOP = Tuning(num_trainable_layers=2)
WORDS = {"sell": "sell", "hold": "hold", "buy": "buy"}
# As SmolVLM's: turns come in pieces, and there is no line break behind a role.
TEMPLATE = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}: {% for piece in m['content'] %}"
    "{% if piece['type'] == 'text' %}{{ piece['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
SHOWN = ObservationConfig(past_returns=2, indicators=(), chart_bars=8)
SIZE = 32


@pytest.fixture(scope="session")
def seeing_tokenizer(tokenizer):
    own = copy.deepcopy(tokenizer)
    own.add_special_tokens({"additional_special_tokens": ["<image>", AROUND, GLOBAL]})
    own.chat_template = TEMPLATE
    return own


@pytest.fixture(params=["smolvlm", "idefics3"])
def model(request, seeing_tokenizer):
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    config = AutoConfig.for_model(
        request.param,
        image_token_id=seeing_tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        vision_config={**size, "num_hidden_layers": 3, "image_size": SIZE, "patch_size": 8},
        text_config={
            **size,
            "model_type": "llama",
            "vocab_size": len(seeing_tokenizer),
            "num_hidden_layers": 4,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "pad_token_id": 1,
            "initializer_range": 0.2,
        },
    )
    return AutoModelForImageTextToText.from_config(config).eval()


@pytest.fixture
def policy(model, seeing_tokenizer):
    def build(tuning: Tuning = TOP) -> LLMPolicy:
        return LLMPolicy(copy.deepcopy(model), seeing_tokenizer, WORDS, tuning, base_model="tiny")

    return build


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def prompts(policy: LLMPolicy) -> list[tuple[tuple[int, ...], ...]]:
    seen = [ImageTokens(policy.vision.tokens, picture(seed)) for seed in (0, 1)]
    return [((5, 9, 30), image, (11, 12), account) for image in seen for account in ((40, 41), (42,))]


LEGAL = torch.ones(4, 3, dtype=torch.bool)


def plain(policy: LLMPolicy, prompt) -> torch.Tensor:
    """Log-probabilities by the family's own forward pass over the picture as its processor scales it."""
    array = np.asarray(Image.open(io.BytesIO(prompt[1].png)), dtype=np.float32) / 255
    pixels = torch.from_numpy((array - 0.5) / 0.5).permute(2, 0, 1)[None, None]
    ids = torch.tensor([[token for segment in prompt for token in segment]])
    rows = [ids[0] for ids in policy.actions.token_ids]
    with torch.no_grad():
        return policy.unwrapped(input_ids=ids, pixel_values=pixels).logits[0, -1, rows].log_softmax(-1)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("share", ["prefixes", "states", "none"])
def test_it_gives_what_the_plain_forward_pass_gives(share, cached, policy) -> None:
    made = policy()
    made.engine = type(made.engine)(share=share, batch_tokens=40)
    if cached:
        made.use_cache()
    given = prompts(made)
    found = made.evaluate(given, LEGAL).log_probs
    for prompt, row in zip(given, found, strict=True):
        torch.testing.assert_close(row, plain(made, prompt), atol=1e-5, rtol=0)
    assert (found[0] - found[2]).abs().max() > 1e-3, "another picture must change the answer"
    if cached:
        # Head once, and for each picture itself, the market and two accounts.
        assert len(made.cache._memory) == 1 + 2 * 4
        assert torch.equal(made.evaluate(given, LEGAL).log_probs, found)


@pytest.mark.parametrize("method", ["top_layers", "lora", "dora"])
def test_only_the_language_model_s_upper_layers_train(method, policy) -> None:
    made = policy(Tuning(method, 2, lora_rank=2))
    assert made.trainable_names
    assert all("text_model.layers.2." in name or "text_model.layers.3." in name for name in made.trainable_names)
    for _, batch in made.batches(prompts(made), LEGAL):
        made(batch).log_probs[:, 0].sum().backward()
    moved = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved and moved <= set(made.trainable_names)


def test_the_cache_of_another_eye_is_another_cache(policy) -> None:
    one, other = policy(), policy()
    with torch.no_grad():
        next(other.model.model.vision_model.parameters()).add_(1.0)
    one.use_cache()
    other.use_cache()
    assert one.cache.settings[0] != other.cache.settings[0]


def test_an_agent_looks_at_charts_and_comes_back_from_disk(policy, model, seeing_tokenizer, walk, tmp_path) -> None:
    model.save_pretrained(tmp_path / "base")
    seeing_tokenizer.save_pretrained(tmp_path / "base")
    agent = Agent(policy(), SHOWN)
    seen = agent.observer({"AAA": walk()}, "same_close").every_state("AAA", 30, 3, AllIn())
    assert all(Image.open(io.BytesIO(o.image.png)).size == (SIZE, SIZE) for o in seen)
    found = agent.decide(seen).probabilities
    agent.policy.base_model = str(tmp_path / "base")
    agent.save(tmp_path / "agent")
    back = Agent.from_pretrained(tmp_path / "agent")
    assert np.array_equal(back.decide(seen).probabilities, found)
    text = back.prompts.parts(seen[0])
    assert [name for name, *_ in text][:3] == ["task", "image", "market"]


def test_a_model_that_sees_nothing_is_shown_no_chart(tiny_policy) -> None:
    with pytest.raises(ValueError, match="sees nothing; take a vision-language model"):
        Agent(tiny_policy(), SHOWN)


def test_an_image_of_another_size_is_refused(policy) -> None:
    made = policy()
    buffer = io.BytesIO()
    Image.new("RGB", (16, 8)).save(buffer, "PNG")
    given = ((5,), ImageTokens(made.vision.tokens, buffer.getvalue()), (6,))
    with pytest.raises(ValueError, match="has 16 x 8 pixels; this model takes 32 x 32"):
        made.evaluate([given], LEGAL[:1])


def test_it_trains_on_charts_and_a_rollout_resumes(policy, walk, tmp_path) -> None:
    market = walk()
    dates = market.dates
    rows = episode_dataset({"AAA": market}, Period("train", dates[20], dates[50]), length=5)

    def trainer(folder: str) -> FlagTrainer:
        config = FlagConfig(
            str(tmp_path / folder),
            use_cpu=True,
            bf16=False,
            report_to="none",
            disable_tqdm=True,
            loss_type="ppo",
            num_ppo_epochs=2,
            max_steps=4,
            save_steps=3,
            save_strategy="steps",
            per_device_train_batch_size=2,
            learning_rate=1e-3,
            trunk_cache_dir=str(tmp_path / "cache"),
        )
        return FlagTrainer(Agent(policy(), SHOWN), config, {"AAA": market}, TradingRules(), rows)

    straight = trainer("straight")
    before = {name: p.detach().clone() for name, p in straight.agent.policy.named_parameters()}
    straight.train()
    after = dict(straight.agent.policy.named_parameters())
    moved = {name for name, p in after.items() if not torch.equal(p, before[name])}
    assert moved == set(straight.agent.policy.trainable_names)
    resumed = trainer("resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-3"))
    for name, parameter in resumed.agent.policy.named_parameters():
        assert torch.equal(parameter, after[name]), name
