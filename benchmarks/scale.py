"""What a run of an 8B model needs on eight GPUs and on four nodes: memory, cache and time, each step of the estimate.

python -m benchmarks.scale --json outputs/scale.json

Counted, not guessed: the passes of the 8B model run on tensors that have shapes alone (torch's fake tensors), over the
same packed prompts that SmolLM2 trains on here, and every operator's operations and bytes are noted. From both follows
the least time that a GPU takes (its roofline). Measured: SmolLM2's passes on this machine against this machine's own
roofline. The share of it that they reach is the one thing taken over: a GPU is assumed to reach as much of its own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.command import add_model, command_line, write_json
from benchmarks.isolated import matmul_gflops  # First: it sets the environment.

import torch  # isort: skip
from rich.console import Console
from rich.table import Table
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM, LlamaConfig

from benchmarks.machine import machine
from benchmarks.roofline import Chip, Operations, memory_bandwidth, saved_bytes
from flag_trl import Agent, LLMPolicy, Tuning, load_market
from flag_trl.accounts import AllIn
from flag_trl.observations import ObservationConfig
from flag_trl.policy.layers import TreePass
from flag_trl.policy.tuning import decoder

# Llama-3.1-8B's config.json.
LLAMA_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
}
# NVIDIA's data sheets. H100 SXM: bf16 without sparsity, HBM3; DGX H100: NVLink each way, 400 Gb/s a GPU.
H100, NVLINK, NETWORK = Chip(989e12, 3.35e12), 450e9, 50e9
BF16, FP32 = 2, 4
BUCKET = 500_000_000
RATES = ("tokens a second", "transitions a second", "frozen tokens a second")
WINDOWS, DAYS, ROLLOUTS = 4, 20, 8
GB = 1e9


@dataclass(frozen=True)
class Pass:
    """What a pass over all packed prompts takes.

    Attributes
    ----------
    flops, bytes : float
    roofline : float
        Seconds at least.
    measured : float
        Seconds, where it really ran; else 0.
    kept : float
        Bytes that wait for the backward pass of the last, longest batch.
    """

    flops: float
    bytes: float
    roofline: float
    measured: float = 0.0
    kept: float = 0.0


@dataclass(frozen=True)
class Work:
    """Every state of a micro-batch of windows, packed.

    Attributes
    ----------
    batches : list of dict of str to Tensor
    tokens : list of int
        Of each batch, padding left out.
    prompts : int
        Distinct states.
    length : float
        Tokens of a prompt, mean.
    """

    batches: list[dict[str, torch.Tensor]]
    tokens: list[int]
    prompts: int
    length: float


def work(agent: Agent) -> Work:
    """Four windows of MSFT, side by side."""
    observer = agent.observer({"MSFT": load_market("sample", "MSFT")}, "same_close")
    seen = [o for w in range(WINDOWS) for o in observer.every_state("MSFT", 6500 + DAYS * w, DAYS, AllIn())]
    states = agent.encode(seen)
    batches = [batch for _, batch in agent.policy.batches(states.segments, states.legal)]
    length = sum(len(prompt.token_ids) for prompt in states.prompts) / len(states.prompts)
    return Work(batches, agent.policy.passes(states.segments), len(states.prompts), length)


def on_shapes(tokenizer: Any, tuning: Tuning) -> LLMPolicy:
    """The 8B model without its weights; to be called and used within a `FakeTensorMode`."""
    model = AutoModelForCausalLM.from_config(LlamaConfig(**LLAMA_8B), dtype=torch.bfloat16)
    return LLMPolicy(model, tokenizer, tuning=tuning, base_model="meta-llama/Llama-3.1-8B")


def passes(policy: LLMPolicy, batches: Sequence[dict[str, torch.Tensor]], chip: Chip, timed: bool) -> dict[str, Pass]:
    """The frozen layers' pass, the rollout's, and that with a gradient, over all batches."""
    depth, dtype = policy.trunk_depth, policy.model.get_input_embeddings().weight.dtype
    here = [{name: tensor.to(policy.device) for name, tensor in batch.items()} for batch in batches]
    shape = (policy.hidden_size,)
    states = [torch.zeros(*batch["input_ids"].shape, *shape, dtype=dtype, device=policy.device) for batch in here]
    given = [{**batch, "hidden": hidden} if depth else batch for batch, hidden in zip(here, states, strict=True)]

    def frozen() -> None:
        with torch.no_grad():
            for batch in here:
                TreePass(decoder(policy.model), batch).trunk(depth)

    def rollout() -> None:
        with torch.no_grad():
            for batch in given:
                policy(batch)

    def update() -> None:
        for batch in given:
            policy(batch).log_probs.clamp(min=-100.0).sum().backward()

    found = {}
    for name, run in (("frozen layers", frozen), ("rollout", rollout), ("update", update)):
        with Operations() as noted:
            run()
        kept = saved_bytes(lambda: policy(given[-1]).log_probs.sum(), policy) if name == "update" else 0.0
        found[name] = Pass(noted.flops, noted.bytes, noted.seconds(chip), _best(run) if timed else 0.0, kept)
    return found


def memory(policy: LLMPolicy, kept: float, stage: int, gpus: int) -> dict[str, float]:
    """Bytes a GPU, by part: what stays, what only the start, rollouts or updates hold, and the most at a time."""
    everything, trained = sizes(policy)
    parts = {
        "weights": BF16 * everything / (gpus if stage == 3 else 1),
        "gradients": BF16 * trained / gpus,
        # A copy in single precision, and Adam's two moments.
        "optimiser": 3 * FP32 * trained / gpus,
        # In which DeepSpeed gathers and reduces, at their default size.
        "buckets": 2 * BF16 * BUCKET,
    }
    stays = sum(parts.values())
    # Loaded in single precision, and whole while the frozen layers' states are computed.
    parts["start"] = FP32 * everything
    # The shards of the others, and, in single precision, what the KL penalty compares with.
    parts["rollouts"] = BF16 * (everything if stage == 3 else 0) + FP32 * trained
    parts["activations"] = kept
    parts["at most"] = max(parts["start"], stays + parts["rollouts"], stays + kept)
    return parts


def sizes(policy: LLMPolicy) -> tuple[int, int]:
    """All weights, and those that train."""
    everything = list(policy.parameters())
    return sum(p.numel() for p in everything), sum(p.numel() for p in everything if p.requires_grad)


def network(policy: LLMPolicy, passes_a_step: int, stage: int, gpus: int) -> float:
    """Seconds an update in which a GPU sends and receives, were nothing of it hidden behind computation."""
    everything, trained = sizes(policy)
    # Gradients are scattered after each pass, and updated weights gathered after the update.
    moved = BF16 * trained * (passes_a_step + 1)
    if stage == 3:
        # Weights are gathered whole for the rollout instead and, forward and backward in each pass, those that it
        # uses: what trains, and the output head.
        head = policy.model.get_output_embeddings().weight.numel() if policy.trunk_depth else 0
        moved = BF16 * (everything + passes_a_step * (trained + 2 * (trained + head)))
    return moved * (gpus - 1) / gpus / (NVLINK if gpus <= 8 else NETWORK)


def estimate(model: str, past_returns: int) -> dict[str, Any]:
    """All figures."""
    agent = Agent(LLMPolicy.from_pretrained(model), ObservationConfig(past_returns=past_returns))
    done = work(agent)
    chip = Chip(matmul_gflops() * 1e9, memory_bandwidth())
    small = passes(agent.policy, done.batches, chip, timed=True)
    share = {name: found.roofline / found.measured for name, found in small.items()}
    found: dict[str, Any] = {
        "work": {"prompts": done.prompts, "prompt tokens": done.length, "packed tokens": sum(done.tokens)},
        "chip": vars(chip),
        "here": {name: {**vars(each), "share": share[name]} for name, each in small.items()},
        "runs": [],
    }
    for name, tuning in (("six layers", Tuning()), ("full", Tuning(method="full"))):
        with FakeTensorMode() as shapes:
            policy = on_shapes(agent.policy.tokenizer, tuning)
            batches = [{key: shapes.from_tensor(value) for key, value in batch.items()} for batch in done.batches]
            large = passes(policy, batches, H100, timed=False)
        found.setdefault("8B", {})[name] = {each: vars(large[each]) for each in large}
        for stage in (2, 3):
            for gpus in (8, 32):
                computed = sum(large[each].roofline / share[each] for each in ("rollout", "update"))
                seconds = computed + network(policy, len(done.batches), stage, gpus)
                found["runs"].append(
                    {
                        "trained": name,
                        "stage": stage,
                        "gpus": gpus,
                        "memory": memory(policy, large["update"].kept, stage, gpus),
                        "compute seconds": computed,
                        "network seconds": seconds - computed,
                        "tokens a second": gpus * sum(done.tokens) / seconds,
                        "transitions a second": gpus * WINDOWS * DAYS * ROLLOUTS / seconds,
                        "frozen tokens a second": gpus
                        * sum(done.tokens)
                        * share["frozen layers"]
                        / large["frozen layers"].roofline
                        if policy.trunk_depth
                        else 0.0,
                    }
                )
    return found


def tables(found: dict[str, Any]) -> list[Table]:
    """The steps of the estimate, for people."""
    tokens = found["work"]["packed tokens"]
    counted = Table(
        title="Counted, a token of the packed prompts; the last two columns measured", title_justify="left"
    )
    for name in ("model", "pass", "GFLOP", "MB moved", "FLOP a byte", "least, us", "measured, us", "share"):
        counted.add_column(name, justify="left" if name in ("model", "pass") else "right")
    rows = [("SmolLM2-135M, here, fp32", found["here"])]
    rows += [(f"8B, {name}, H100, bf16", found["8B"][name]) for name in found["8B"]]
    for model, each in rows:
        for name, one in each.items():
            if not one["flops"]:
                continue
            measured = (
                [f"{one['measured'] / tokens * 1e6:.0f}", f"{one['share']:.0%}"] if one["measured"] else ["", ""]
            )
            least = [f"{one['flops'] / tokens / 1e9:.2f}", f"{one['bytes'] / tokens / 1e6:.1f}"]
            intensity = [f"{one['flops'] / one['bytes']:.0f}", f"{one['roofline'] / tokens * 1e6:.1f}"]
            counted.add_row(model, name, *least, *intensity, *measured)
    parts = Table(title="Memory of a GPU, GB", title_justify="left")
    for name in ("trained", "ZeRO", "GPUs", *found["runs"][0]["memory"]):
        parts.add_column(name, justify="left" if name == "trained" else "right")
    speed = Table(title="An update, and what it brings", title_justify="left")
    names = (
        "trained",
        "ZeRO",
        "GPUs",
        "compute, s",
        "network, s",
        "tokens/s",
        "transitions/s",
        "first visit, tokens/s",
    )
    for name in names:
        speed.add_column(name, justify="left" if name == "trained" else "right")
    for run in found["runs"]:
        first = [run["trained"], str(run["stage"]), str(run["gpus"])]
        parts.add_row(*first, *(f"{part / GB:.1f}" for part in run["memory"].values()))
        seconds = [f"{run['compute seconds']:.2f}", f"{run['network seconds']:.2f}"]
        rates = [f"{run[name]:,.0f}" if run[name] else "-" for name in RATES]
        speed.add_row(*first, *seconds, *rates)
    return [counted, parts, speed]


def main(argv: Sequence[str] | None = None) -> None:
    """Count, measure, print the tables, write the figures."""
    parser = command_line("scale", __doc__)
    add_model(parser)
    parser.add_argument(
        "--past_returns", type=int, default=20, help="returns in a prompt; 20 make it about 130 tokens long (default)"
    )
    args = parser.parse_args(argv)
    console = Console(width=140)
    found = estimate(args.model, args.past_returns)
    console.print(
        f"{WINDOWS} windows of {DAYS} days: {found['work']['prompts']} states of {found['work']['prompt tokens']:.0f} "
        f"tokens, {found['work']['packed tokens']:,} tokens when packed. This machine: "
        f"{found['chip']['flops'] / 1e9:.0f} GFLOP/s, {found['chip']['bandwidth'] / 1e9:.1f} GB/s. A token's frozen "
        f"state: {LLAMA_8B['hidden_size'] * BF16} bytes in bfloat16",
        highlight=False,
    )
    for shown in tables(found):
        console.print(shown)
    write_json(args.json, {**found, "machine": machine()})


def _best(run: Callable[[], None], times: int = 2) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
