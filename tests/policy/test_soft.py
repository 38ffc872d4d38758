"""Soft tokens enter at the trunk's upper boundary: they leave the untrained model alone, train, and come back."""

import numpy as np
import pytest
import torch

from flag_trl.policy import LLMPolicy, SoftInput, SoftTokens, Tuning
from flag_trl.policy.heads import ValueHead
from flag_trl.policy.tuning import decoder

TOP = Tuning(num_trainable_layers=2)
SIZE = SoftInput(tokens=2, numbers=5)
RANDOM = np.random.default_rng(0)
HEAD, MARKET, PLACE = (5, 9, 30), (11, 12), (7, 7)
NUMBERS = RANDOM.normal(size=(3, 5))
PROMPTS = [(HEAD, MARKET, SoftTokens(PLACE, row), account) for row in NUMBERS for account in ((40, 41), (42,))]
LEGAL = torch.ones(len(PROMPTS), 3, dtype=torch.bool)


@pytest.fixture
def policy(tiny_model, tokenizer):
    def build(tuning: Tuning = TOP, trained: bool = True) -> LLMPolicy:
        words = {"low": "down down", "middle": "down up", "high": "up"}
        made = LLMPolicy(tiny_model(), tokenizer, words, tuning, base_model="tiny", soft=SIZE)
        if trained:
            torch.manual_seed(1)
            torch.nn.init.normal_(made.number_encoder.write.weight, std=0.5)
        return made

    return build


def test_untrained_soft_tokens_leave_what_the_model_says_of_their_place(policy) -> None:
    made = policy(trained=False)
    plain = [tuple(map(tuple, prompt)) for prompt in PROMPTS]
    found, expected = (made.evaluate(prompts, LEGAL).log_probs for prompts in (PROMPTS, plain))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("share", ["prefixes", "states", "none"])
def test_they_are_added_to_the_trunk_s_states_and_the_upper_layers_read_them(share, policy) -> None:
    """By hand: the whole model, with a hook that adds the encoder's output between its two halves."""
    made = policy()
    made.engine = type(made.engine)(share=share, batch_tokens=40)
    found = made.evaluate(PROMPTS, LEGAL).log_probs
    layers = decoder(made.model).layers
    for prompt, row in zip(PROMPTS, found, strict=True):
        encoder, numbers = made.number_encoder, torch.from_numpy(prompt[2].numbers)
        added = encoder.write(torch.nn.functional.gelu(encoder.read(numbers))).view(2, -1)

        def into_top(module, args, added=added):
            hidden = args[0].clone()
            hidden[0, 5:7] += added * hidden[0, 5:7].square().mean(-1, keepdim=True).sqrt()
            return (hidden, *args[1:])

        hook = layers[2].register_forward_pre_hook(into_top)
        ids = [token for segment in prompt for token in segment]
        logits = [
            made.model(torch.tensor([[*ids, *node.prefix]])).logits[0, -1, list(node.children)][None]
            for node in made.actions.nodes
        ]
        hook.remove()
        torch.testing.assert_close(row[None], made.actions.log_probs(logits, LEGAL[:1]), atol=1e-5, rtol=0)
    assert (found[0] - found[2]).abs().max() > 1e-3, "other numbers must change the answer for this to say anything"


def test_the_cache_keeps_what_lies_below_them_once_for_all_numbers(policy) -> None:
    made = policy()
    expected = made.evaluate(PROMPTS, LEGAL).log_probs
    made.use_cache()
    made.precompute(PROMPTS)
    kept = made.cache._memory
    # Head, market, place, two accounts, and the first token of two words after each account.
    assert len(kept) == 3 + 2 + 2
    torch.testing.assert_close(made.evaluate(PROMPTS, LEGAL).log_probs, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["top_layers", "lora", "full"])
def test_they_train_and_no_gradient_goes_below_them_where_the_trunk_is_frozen(method, policy) -> None:
    made = policy(Tuning(method, 2, lora_rank=2))
    for _, batch in made.batches(PROMPTS, LEGAL):
        made(batch).log_probs[:, 0].sum().backward()
    moved = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert {"number_encoder.read.weight", "number_encoder.write.weight"} <= moved
    below = {name for name in moved if "layers.0." in name or "layers.1." in name or "embed" in name}
    assert bool(below) == (method == "full")


@pytest.mark.parametrize("method", ["top_layers", "lora"])
def test_the_reference_has_untrained_ones(method, policy) -> None:
    made = policy(Tuning(method, 2, lora_rank=2))
    before = policy(Tuning(method, 2, lora_rank=2), trained=False).evaluate(PROMPTS, LEGAL).log_probs
    torch.testing.assert_close(made.evaluate(PROMPTS, LEGAL, reference=True).log_probs, before, atol=1e-6, rtol=0)
    assert (made.evaluate(PROMPTS, LEGAL).log_probs - before).abs().max() > 1e-3


def test_they_are_saved_with_the_policy(policy, tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    made = policy()
    made.base_model = str(tmp_path / "base")
    made.save_pretrained(tmp_path / "saved")
    back = LLMPolicy.from_pretrained(tmp_path / "saved")
    assert back.soft == SIZE
    assert torch.equal(back.evaluate(PROMPTS, LEGAL).log_probs, made.evaluate(PROMPTS, LEGAL).log_probs)
    with pytest.raises(ValueError, match="soft tokens"):
        LLMPolicy.from_pretrained(tmp_path / "saved", soft=SoftInput(3, 5))


def test_weights_in_half_precision_read_numbers_and_give_values(policy) -> None:
    made = policy().bfloat16()
    made.value_head = ValueHead(made.hidden_size).bfloat16()
    found = made.evaluate(PROMPTS, LEGAL)
    assert torch.isfinite(found.log_probs).all() and found.values.shape == (len(PROMPTS),)


def test_segments_of_other_numbers_are_unequal() -> None:
    one, other = (SoftTokens(PLACE, row) for row in NUMBERS[:2])
    assert one != other and one != tuple(one) and not one != SoftTokens(PLACE, NUMBERS[0])
