"""The best of many is judged as the best of many."""

import numpy as np

from flag_trl.metrics import confidence_set, superior_ability

MARKET = np.random.default_rng(0).normal(0.0003, 0.01, 400)


def strategies(edge: float, count: int = 8) -> dict[str, np.ndarray]:
    """Strategies around the market; the first has an edge."""
    rng = np.random.default_rng(1)
    return {f"s{k}": MARKET + rng.normal(edge if k == 0 else 0.0, 0.005, 400) for k in range(count)}


def test_a_planted_edge_is_found_and_named_among_many() -> None:
    found = superior_ability(MARKET, strategies(0.0012))
    assert found.best == "s0" and found.p_value < 0.05
    inside = confidence_set(strategies(0.002))
    assert inside["s0"] == 1 and sum(p >= 0.1 for p in inside.values()) == 1


def test_what_equals_the_benchmark_cannot_beat_it() -> None:
    assert superior_ability(MARKET, {"same": MARKET}).p_value == 1
    with_copy = superior_ability(MARKET, {**strategies(0.0012), "same": MARKET})
    assert with_copy == superior_ability(MARKET, strategies(0.0012))


def test_strategies_with_the_same_returns_share_a_p_value() -> None:
    known = strategies(0.0005, 3)
    found = confidence_set({**known, "copy": known["s1"]})
    assert found["copy"] == found["s1"] and list(found) == ["s0", "s1", "s2", "copy"]
    assert confidence_set({"a": MARKET, "b": MARKET}) == {"a": 1.0, "b": 1.0}
