"""The estimate counts what runs: attention too, each byte once, and on shapes alone as on numbers."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks import bench_distributed
from benchmarks.roofline import Chip, Operations, saved_bytes
from benchmarks.scale import memory, network, sizes
from flag_trl.policy import Tuning

PROMPTS = [((5, 9, 30), tuple(range(40 + 9 * day, 48 + 9 * day)), (7, side)) for day in range(6) for side in (1, 2)]
LEGAL = torch.ones(len(PROMPTS), 3, dtype=torch.bool)


def test_a_product_of_matrices_is_counted_as_by_hand() -> None:
    a, b = torch.ones(8, 16), torch.ones(16, 32)
    with Operations() as noted:
        a @ b
    assert noted.flops == 2 * 8 * 16 * 32 and noted.bytes == 4 * (8 * 16 + 16 * 32 + 8 * 32)
    # As long as its operations take here, and there as its bytes.
    assert noted.seconds(Chip(noted.flops, 1e12)) == 1.0 and noted.seconds(Chip(1e12, noted.bytes)) == 1.0


def test_attention_under_a_mask_counts_both_its_products() -> None:
    heads, length, size = 2, 32, 16
    query = torch.randn(1, heads, length, size, requires_grad=True)
    with Operations() as noted:
        out = torch.nn.functional.scaled_dot_product_attention(
            query, query, query, attn_mask=torch.ones(1, 1, length, length, dtype=torch.bool)
        )
    assert noted.flops == 4 * length**2 * size * heads
    with Operations() as noted:
        out.sum().backward()
    assert noted.flops >= 2 * 4 * length**2 * size * heads


def test_views_and_lookups_move_no_table() -> None:
    table = torch.ones(1000, 8)
    with Operations() as noted:
        read = table.T, table[torch.tensor([3, 4])]
    assert noted.bytes == 2 * read[1].nbytes


@pytest.mark.parametrize("tuning", [Tuning(num_trainable_layers=2), Tuning(method="full")], ids=lambda t: t.method)
def test_shapes_alone_count_as_numbers_do(tuning, tiny_policy) -> None:
    def counted(policy, batch) -> tuple[float, float, float]:
        with Operations() as noted:
            policy(batch).log_probs.clamp(min=-100.0).sum().backward()
        return noted.flops, noted.bytes, saved_bytes(lambda: policy(batch).log_probs.sum(), policy)

    real = tiny_policy(tuning)
    ((_, batch),) = real.batches(PROMPTS, LEGAL)
    with FakeTensorMode() as shapes:
        fake = tiny_policy(tuning)
        alone = counted(fake, {name: shapes.from_tensor(tensor) for name, tensor in batch.items()})
    assert counted(real, batch) == alone and min(alone) > 0


def test_shards_add_up_to_the_whole_and_one_gpu_exchanges_nothing(tiny_policy) -> None:
    policy = tiny_policy()
    everything, trained = sizes(policy)
    two, three = (memory(policy, 0.0, stage, 4) for stage in (2, 3))
    assert two["weights"] == 2 * everything and 4 * three["weights"] == 2 * everything
    assert 4 * two["gradients"] == 2 * trained and 4 * two["optimiser"] == 12 * trained
    assert three["rollouts"] - two["rollouts"] == 2 * everything
    assert network(policy, 3, 2, 1) == 0.0 < network(policy, 3, 2, 8) < network(policy, 3, 3, 8)
    # After each of three passes, and the updated weights.
    assert network(policy, 3, 2, 8) == 2 * trained * 4 * 7 / 8 / 450e9


def test_a_benchmark_of_launches_reads_the_lines_of_a_training() -> None:
    (number,) = bench_distributed.UPDATE.findall("step 3/8: return +0.005, entropy 0.60; 0:27 left")
    assert number == "3"
    assert {launch.cores for launch in bench_distributed.LAUNCHES} == {1, 2}
    assert all(bench_distributed.WINDOWS % launch.processes == 0 for launch in bench_distributed.LAUNCHES)
