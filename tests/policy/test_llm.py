"""The policy gives what the plain model gives, trains what it should, and comes back from disk as it was."""

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import GPT2Config, GPT2LMHeadModel

from flag_trl.policy import LLMPolicy, Tuning
from flag_trl.policy.tuning import FAMILIES

PROMPTS = [[5, 9, 30], list(range(4, 40)), [7], [100, 3, 50, 8, 8, 8]]
SEGMENTS = [(tuple(prompt),) for prompt in PROMPTS]
ALL_LEGAL = torch.ones(len(PROMPTS), 3, dtype=torch.bool)
TOP = Tuning("top_layers", num_trainable_layers=2)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_action_rows_of_a_padded_batch_equal_the_plain_forward_pass(family, tied, tiny_policy) -> None:
    policy = tiny_policy(TOP, family=family, tied=tied)
    found = policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs
    rows = [ids[0] for ids in policy.actions.token_ids]
    for prompt, log_probs in zip(PROMPTS, found, strict=True):
        logits = policy.model(torch.tensor([prompt])).logits[0, -1, rows]
        torch.testing.assert_close(log_probs, logits.log_softmax(-1), atol=1e-5, rtol=0)


def test_words_of_several_tokens_equal_a_walk_with_the_plain_model(tiny_policy) -> None:
    words = {"low": "down down", "middle": "down up", "high": "up"}
    policy = tiny_policy(TOP, words=words)
    ids = dict(zip(words, policy.actions.token_ids, strict=True))
    assert len(policy.actions.nodes) > 1, "the words must share a beginning for this test to say anything"
    found = policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs
    for prompt, row in zip(PROMPTS, found, strict=True):
        for action, log_prob in zip(words, row, strict=True):
            total = 0.0
            for depth, token in enumerate(ids[action]):
                prefix = ids[action][:depth]
                options = sorted({other[depth] for other in ids.values() if other[:depth] == prefix})
                logits = policy.model(torch.tensor([[*prompt, *prefix]])).logits[0, -1, options]
                total += logits.log_softmax(-1)[options.index(token)].item()
            assert log_prob.item() == pytest.approx(total, abs=1e-5)


def test_illegal_actions_share_nothing(tiny_policy) -> None:
    policy = tiny_policy(TOP)
    legal = torch.tensor([[True, False, True]]).expand(len(PROMPTS), 3)
    found, whole = policy.evaluate(SEGMENTS, legal).log_probs, policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs
    assert torch.isinf(found[:, 1]).all()
    torch.testing.assert_close(found[:, [0, 2]], whole[:, [0, 2]].log_softmax(-1), atol=1e-5, rtol=0)


def trained_layers(policy: LLMPolicy) -> set[str]:
    return {name.split("layers.")[1].split(".")[0] if "layers." in name else name for name in policy.trainable_names}


def test_only_the_top_layers_train(tiny_policy) -> None:
    assert trained_layers(tiny_policy(Tuning(num_trainable_layers=2))) == {"2", "3"}


def test_the_final_norm_trains_when_asked(tiny_policy) -> None:
    assert trained_layers(tiny_policy(Tuning(num_trainable_layers=1, train_final_norm=True))) == {
        "3",
        "model.model.norm.weight",
    }


def test_adapters_sit_on_the_top_layers_alone(tiny_policy) -> None:
    policy = tiny_policy(Tuning("lora", num_trainable_layers=1, lora_rank=2))
    assert trained_layers(policy) == {"3"}
    assert all("lora_" in name for name in policy.trainable_names)


def test_full_tuning_trains_every_weight(tiny_policy) -> None:
    policy = tiny_policy(Tuning("full"))
    assert len(policy.trainable_names) == len(list(policy.parameters()))


@pytest.mark.parametrize(
    ("tuning", "says"), [(Tuning(num_trainable_layers=5), "5, but the model has 4"), (TOP, "family 'gpt2'.*llama")]
)
def test_a_model_that_does_not_fit_is_refused(tuning, says, tiny_model, tokenizer) -> None:
    model = tiny_model() if "5" in says else GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=500))
    with pytest.raises(ValueError, match=says):
        LLMPolicy(model, tokenizer, tuning=tuning)


@pytest.mark.parametrize("wrong", [{"method": "half"}, {"num_trainable_layers": 0}])
def test_a_tuning_that_means_nothing_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="half|at least one layer"):
        Tuning(**wrong)


def disturb(policy: LLMPolicy) -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if name in policy.trainable_names:
                parameter.add_(torch.randn_like(parameter) * 0.1)


@pytest.mark.parametrize(
    "tuning",
    [TOP, Tuning("lora", 2, lora_rank=2), Tuning("dora", 2, lora_rank=2), Tuning("full")],
    ids=lambda t: t.method,
)
def test_the_reference_stays_the_untouched_model(tuning, tiny_policy) -> None:
    policy = tiny_policy(tuning)
    before = policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs
    disturb(policy)
    moved = policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs
    assert not torch.allclose(moved, before, atol=1e-3)
    assert torch.equal(policy.evaluate(SEGMENTS, ALL_LEGAL, reference=True).log_probs, before)
    assert torch.equal(policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs, moved)


@pytest.mark.parametrize(
    "tuning",
    [TOP, Tuning("lora", 2, lora_rank=2), Tuning("dora", 2, lora_rank=2), Tuning("full")],
    ids=lambda t: t.method,
)
def test_a_saved_policy_decides_the_same_to_the_last_bit(tuning, tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    policy = LLMPolicy.from_pretrained(tmp_path / "base", tuning=tuning)
    disturb(policy)
    policy.save_pretrained(tmp_path / "trained")
    restored = LLMPolicy.from_pretrained(tmp_path / "trained")
    assert restored.tuning == tuning
    assert torch.equal(
        restored.evaluate(SEGMENTS, ALL_LEGAL).log_probs, policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs
    )
    assert {file.suffix for file in (tmp_path / "trained").iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_saved_adapters_load_with_peft_alone(method, tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    policy = LLMPolicy.from_pretrained(tmp_path / "base", tuning=Tuning(method, 2, lora_rank=2), value_head=True)
    disturb(policy)
    policy.save_pretrained(tmp_path / "trained")
    model = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "trained").eval()
    tokens = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, policy.model.eval()(tokens).logits)
    restored = LLMPolicy.from_pretrained(tmp_path / "trained")
    assert torch.equal(restored.evaluate(SEGMENTS, ALL_LEGAL).values, policy.evaluate(SEGMENTS, ALL_LEGAL).values)


@pytest.mark.parametrize("tuning", [TOP, Tuning("lora", 2, lora_rank=2)], ids=lambda t: t.method)
def test_trained_weights_are_not_put_onto_another_base_model(tuning, tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    LLMPolicy.from_pretrained(tmp_path / "base", tuning=tuning).save_pretrained(tmp_path / "trained")
    tiny_model(seed=1).save_pretrained(tmp_path / "base")
    with pytest.raises(ValueError, match="was trained on other weights of .*base than those that are there now"):
        LLMPolicy.from_pretrained(tmp_path / "trained")
    # In another type the weights cannot be compared.
    assert LLMPolicy.from_pretrained(tmp_path / "trained", dtype=torch.bfloat16).device.type == "cpu"


def test_a_value_head_starts_at_zero_and_is_saved_with_the_rest(tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    policy = LLMPolicy.from_pretrained(tmp_path / "base", tuning=TOP, value_head=True)
    assert not policy.evaluate(SEGMENTS, ALL_LEGAL).values.any()
    disturb(policy)
    policy.save_pretrained(tmp_path / "trained")
    values = LLMPolicy.from_pretrained(tmp_path / "trained").evaluate(SEGMENTS, ALL_LEGAL).values
    assert values.shape == (len(PROMPTS),) and len(values.unique()) == len(PROMPTS)
    assert torch.equal(values, policy.evaluate(SEGMENTS, ALL_LEGAL).values)
    assert LLMPolicy.from_pretrained(tmp_path / "base", tuning=TOP).evaluate(SEGMENTS, ALL_LEGAL).values is None


def test_a_saved_policy_without_a_value_head_is_not_loaded_as_one_with(tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    LLMPolicy.from_pretrained(tmp_path / "base", tuning=TOP).save_pretrained(tmp_path / "trained")
    with pytest.raises(ValueError, match="trained without a value head; use another baseline"):
        LLMPolicy.from_pretrained(tmp_path / "trained", value_head=True)


def test_weights_in_half_precision_read_the_cache_in_theirs(tiny_model, tokenizer) -> None:
    plain, cached = (LLMPolicy(tiny_model().bfloat16(), tokenizer, tuning=TOP, base_model="tiny") for _ in range(2))
    cached.use_cache()
    for _ in range(2):
        found, wanted = (policy.evaluate(SEGMENTS, ALL_LEGAL).log_probs for policy in (cached, plain))
        torch.testing.assert_close(found, wanted, atol=0.05, rtol=0)


def test_an_attention_that_takes_no_tree_is_refused(tiny_model, tokenizer) -> None:
    model = tiny_model()
    model.config._attn_implementation_internal = "flex_attention"
    with pytest.raises(ValueError, match="'flex_attention' takes no mask of a tree; load the model with sdpa"):
        LLMPolicy(model, tokenizer, tuning=TOP)


@pytest.mark.parametrize("bits", [8, 4])
def test_few_bits_need_a_gpu_and_a_trunk(bits, tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match=f"trunk_bits {bits} needs a GPU and `pip install bitsandbytes`"):
        LLMPolicy.from_pretrained(tmp_path / "base", tuning=Tuning(num_trainable_layers=2, trunk_bits=bits))
    with pytest.raises(ValueError, match="with tuning full there are none"):
        Tuning("full", trunk_bits=bits)


def test_weights_of_another_policy_are_refused(tiny_policy, tmp_path) -> None:
    tiny_policy(Tuning(num_trainable_layers=1)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="does not fit this policy.*tensors differ"):
        tiny_policy(TOP).load_trained(tmp_path)


def test_a_folder_that_is_not_there_is_named_with_the_remedy(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no model folder at models/nothing.*convert-gguf"):
        LLMPolicy.from_pretrained("models/nothing")


def test_a_saved_policy_is_not_loaded_as_another(tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    LLMPolicy.from_pretrained(tmp_path / "base", tuning=TOP).save_pretrained(tmp_path / "trained")
    with pytest.raises(ValueError, match="holds a policy with words.*were asked for"):
        LLMPolicy.from_pretrained(tmp_path / "trained", tuning=Tuning("full"))


def test_a_policy_that_does_not_know_its_base_model_is_not_saved(tiny_model, tokenizer, tmp_path) -> None:
    with pytest.raises(ValueError, match="does not know its base model"):
        LLMPolicy(tiny_model(), tokenizer, tuning=TOP).save_pretrained(tmp_path)
