"""The cache: what it keeps, what it lets go, and what it makes of damaged and foreign files."""

import logging
from pathlib import Path

import pytest
import torch

from flag_trl.policy import LLMPolicy, Tuning
from flag_trl.policy.trunk_cache import TrunkCache, trunk_fingerprint
from flag_trl.policy.tuning import decoder

PROMPTS = [((5, 9, 30), tuple(range(40 + 9 * day, 48 + 9 * day)), (7, side)) for day in range(6) for side in (1, 2)]
LEGAL = torch.ones(len(PROMPTS), 3, dtype=torch.bool)
SIZE = 4 * 32  # bytes a token: float32 and the tiny models' width


def said(policy: LLMPolicy) -> torch.Tensor:
    return policy.evaluate(PROMPTS, LEGAL).log_probs


def trunk_calls(policy: LLMPolicy) -> list[int]:
    """Grows by one with each forward pass through the lowest layer."""
    calls: list[int] = []
    decoder(policy.model).layers[0].register_forward_hook(lambda *_: calls.append(1))
    return calls


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def test_a_second_pass_and_a_later_run_compute_nothing_and_say_the_same_bits(tiny_policy, tmp_path) -> None:
    policy, later = tiny_policy(), tiny_policy()
    policy.use_cache(folder=tmp_path)
    first = said(policy)
    calls = trunk_calls(policy)
    assert torch.equal(said(policy), first) and not calls
    later.use_cache(folder=tmp_path)
    calls = trunk_calls(later)
    assert torch.equal(said(later), first) and not calls
    assert later.cache.seconds == 0 and later.cache.seconds_saved > 0
    assert not list(tmp_path.rglob("*.partial"))


def test_what_does_not_fit_in_memory_is_read_from_files(tiny_policy, tmp_path) -> None:
    policy, ample = tiny_policy(), tiny_policy()
    policy.use_cache(memory_bytes=10 * SIZE, folder=tmp_path)
    ample.use_cache()
    assert torch.equal(said(policy), said(ample))
    calls = trunk_calls(policy)
    assert torch.equal(said(policy), said(ample)) and not calls


def test_what_is_in_memory_stays_so_that_a_round_finds_all_that_fits() -> None:
    """Ten entries come round in turn, four fit: dropping the least recently used would find none of them."""
    cache = TrunkCache("", memory_bytes=4 * SIZE)
    entries = {bytes([n]): torch.full((1, 32), float(n)) for n in range(10)}
    for _ in range(3):
        cache.hits = 0
        for key, states in entries.items():
            if cache.get(key) is None:
                cache.put({key: states})
    assert cache.hits == 4 and cache.full


def test_over_the_budget_without_a_folder_results_are_right_all_the_same(tiny_policy) -> None:
    policy, plain = tiny_policy(), tiny_policy()
    policy.use_cache(memory_bytes=20 * SIZE)
    for _ in range(2):
        torch.testing.assert_close(said(policy), said(plain), atol=1e-5, rtol=0)
    assert policy.cache.full


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def cut_to_nothing(file: Path) -> None:
    file.write_bytes(b"")


def flip(at: int):
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= 1
        file.write_bytes(bytes(content))

    return damage


@pytest.mark.parametrize(
    "damage",
    [truncate, cut_to_nothing, flip(-5), flip(-1), flip(4), flip(60)],
    ids=["truncated", "empty", "data", "last byte", "header length", "header"],
)
def test_a_damaged_file_is_reported_and_computed_anew(damage, tiny_policy, tmp_path, caplog) -> None:
    policy = tiny_policy()
    policy.use_cache(folder=tmp_path)
    before = said(policy)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    damage(file)
    later = tiny_policy()
    with caplog.at_level(logging.WARNING):
        later.use_cache(memory_bytes=0, folder=tmp_path)
        torch.testing.assert_close(said(later), before, atol=1e-5, rtol=0)
    assert any(str(file) in record.getMessage() for record in caplog.records)
    # A damaged header can name what nobody asks for; such a file is never read.
    assert not file.exists() or file.read_bytes() == whole or "anew" in caplog.text
    caplog.clear()
    after = tiny_policy()
    after.use_cache(folder=tmp_path)
    calls = trunk_calls(after)
    torch.testing.assert_close(said(after), before, atol=1e-5, rtol=0)
    assert not calls and not caplog.records


def test_a_file_of_another_model_is_reported_and_left_alone(tiny_policy, tmp_path, caplog) -> None:
    mine, other = tiny_policy(), tiny_policy(seed=1)
    other.use_cache(folder=tmp_path)
    said(other)
    (foreign,) = files(tmp_path)
    mine.use_cache(folder=tmp_path)
    said(mine)
    (own,) = set(files(tmp_path)) - {foreign}
    (own.parent / foreign.name).write_bytes(foreign.read_bytes())
    own.unlink()
    again, plain = tiny_policy(), tiny_policy()
    with caplog.at_level(logging.WARNING):
        again.use_cache(folder=tmp_path)
    assert "written by another model" in caplog.text and foreign.name in caplog.text
    torch.testing.assert_close(said(again), said(plain), atol=1e-5, rtol=0)


def test_half_precision_halves_the_files_and_costs_digits(tiny_policy, tmp_path) -> None:
    sizes = {}
    exact = said(tiny_policy())
    for dtype in (torch.float32, torch.bfloat16):
        policy = tiny_policy()
        policy.use_cache(folder=tmp_path / str(dtype), dtype=dtype)
        error = (said(policy) - exact).abs().max()
        assert error < (0.2 if dtype == torch.bfloat16 else 1e-5)
        assert dtype == torch.float32 or error > 1e-6
        sizes[dtype] = sum(2 * 32 * len(p[-1]) for p in PROMPTS), files(tmp_path / str(dtype))[0].stat().st_size
    saved = sizes[torch.float32][1] - sizes[torch.bfloat16][1]
    tokens = 3 + 6 * 8 + 12 * 2
    assert saved == pytest.approx(tokens * 32 * 2, rel=0.05)


def test_a_full_disk_budget_is_said_once_and_nothing_more_is_written(tiny_policy, tmp_path, caplog) -> None:
    policy = tiny_policy()
    with caplog.at_level(logging.WARNING):
        policy.use_cache(memory_bytes=0, folder=tmp_path, disk_bytes=100)
        first, second = said(policy), said(policy)
    assert not files(tmp_path) and caplog.text.count("is full") == 1
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_the_fingerprint_is_of_all_that_the_states_depend_on(tiny_policy) -> None:
    def fingerprint(policy: LLMPolicy, depth: int = 2, precision: str = "fp32", dtype=torch.float32) -> str:
        return trunk_fingerprint(policy.unwrapped, decoder(policy.model), depth, precision, dtype)

    policy = tiny_policy()
    own = fingerprint(policy)
    assert own == fingerprint(tiny_policy())
    assert len({own, fingerprint(policy, 3), fingerprint(policy, precision="bf16")}) == 3
    assert own != fingerprint(policy, dtype=torch.bfloat16) and own != fingerprint(tiny_policy(seed=1))
    with torch.no_grad():
        decoder(policy.model).layers[3].mlp.up_proj.weight.add_(1.0)
    assert fingerprint(policy) == own
    with torch.no_grad():
        decoder(policy.model).layers[1].mlp.up_proj.weight[0, 0] += 1e-3
    assert fingerprint(policy) != own


def test_a_trunk_that_trains_is_not_cached(tiny_policy) -> None:
    policy = tiny_policy(Tuning("full"))
    policy.use_cache()
    assert policy.cache is None


def test_reopened_a_cache_finds_what_another_process_wrote_and_reads_both_s_from_the_files(tmp_path) -> None:
    mine, other = (TrunkCache("", memory_bytes=2 * SIZE, folder=tmp_path, writers=2) for _ in range(2))
    mine.put({b"a": torch.full((1, 32), 1.0), b"b": torch.full((1, 32), 2.0)})
    other.put({b"a": torch.full((1, 32), 1.5), b"c": torch.full((1, 32), 3.0)})
    assert b"c" not in mine
    for cache in (mine, other):
        cache.reopen()
    # What both computed is the same for both from now on, whichever it is.
    assert torch.equal(mine.get(b"a"), other.get(b"a")) and float(mine.get(b"c")[0, 0]) == 3.0


def test_states_that_no_file_could_take_stay_in_memory_when_a_cache_is_reopened(tmp_path) -> None:
    cache = TrunkCache("", folder=tmp_path, disk_bytes=0)
    cache.put({b"a": torch.ones(1, 32)})
    cache.reopen()
    assert torch.equal(cache.get(b"a"), torch.ones(1, 32)) and not files(tmp_path)


def test_processes_side_by_side_share_what_is_left_of_the_disk(tmp_path) -> None:
    one = TrunkCache("", folder=tmp_path / "one", disk_bytes=3 * SIZE * 9)
    two = TrunkCache("", folder=tmp_path / "two", disk_bytes=3 * SIZE * 9, writers=2)
    for cache in (one, two):
        cache.put({bytes([n]): torch.full((1, 32), float(n)) for n in range(15)})
    assert len(files(tmp_path / "one")) == 1 and not files(tmp_path / "two")
