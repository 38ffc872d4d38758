"""Environment steps a second of the peers. Run by `benchmarks.bench_env` with the Python of the peers' environment.

python -m benchmarks.env_peers torchtrade '[{"accounts": 64, "steps": 250, "repetitions": 5, "seconds": 0.5}]'

Prints one line of JSON: ``rows`` as `benchmarks.env_timing.time_episodes` returns them, ``versions``; or ``error``.
"""

import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.env_timing import BARS, COMMISSION, SEED, SLIPPAGE, Timing, daily_bars, draws, time_episodes


def time_gym_anytrading(timing: Timing) -> dict[str, Any]:
    """gym-anytrading's StocksEnv, vectorised by Gymnasium's SyncVectorEnv since it has no batch of its own."""
    import pandas as pd
    from gym_anytrading.envs import StocksEnv
    from gymnasium.vector import SyncVectorEnv

    _, close = daily_bars()
    frame = pd.DataFrame({"Close": close})

    def make(start: int) -> StocksEnv:
        env = StocksEnv(frame, window_size=1, frame_bound=(start, start + timing.steps + 1))
        env.trade_fee_bid_percent = env.trade_fee_ask_percent = COMMISSION + SLIPPAGE
        return env

    starts, actions = draws(timing, n_actions=2)
    envs = SyncVectorEnv([lambda start=int(start): make(start) for start in starts])

    def episode() -> bool:
        envs.reset(seed=SEED)
        ended = np.zeros(timing.accounts, dtype=bool)
        for chosen in actions:
            before = ended
            _, _, terminated, truncated, _ = envs.step(chosen)
            ended = terminated | truncated
        return bool(ended.all() and not before.any())

    return time_episodes("gym-anytrading", episode, timing)


def time_torchtrade(timing: Timing) -> dict[str, Any]:
    """TorchTrade's VectorizedSequentialTradingEnv: spot (leverage 1), flat or long, the cheaper of its two modes."""
    import pandas as pd
    import torch
    from tensordict import TensorDict
    from torchtrade.envs.offline import VectorizedSequentialTradingEnv, VectorizedSequentialTradingEnvConfig

    opened, close = daily_bars()
    days = pd.date_range("2000-01-03", periods=BARS, freq="D")
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    bars = {"timestamp": days, "open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    config = VectorizedSequentialTradingEnvConfig(
        num_envs=timing.accounts,
        time_frames="1Day",
        execute_on="1Day",
        window_sizes=1,
        transaction_fee=COMMISSION,
        slippage=SLIPPAGE,
        action_levels=[0.0, 1.0],
        # Counted in bars, the first one included: that many less one steps.
        max_traj_length=timing.steps + 1,
        seed=SEED,
    )
    env = VectorizedSequentialTradingEnv(pd.DataFrame(bars), config)
    actions = torch.from_numpy(draws(timing, n_actions=2)[1])

    def episode() -> bool:
        ended = env.reset()["done"]
        for chosen in actions:
            before = ended
            ended = env.step(TensorDict({"action": chosen}, batch_size=[timing.accounts]))["next", "done"]
        return bool(ended.all() and not before.any())

    # Gradients are off, as in a rollout.
    with torch.no_grad():
        return time_episodes("TorchTrade", episode, timing)


PEERS = {
    "gym-anytrading": (time_gym_anytrading, ("gym-anytrading", "gymnasium", "numpy")),
    "torchtrade": (time_torchtrade, ("torchtrade", "torchrl", "tensordict", "torch")),
}


def main(name: str, timings: str) -> None:
    """Time one peer and print what came of it as JSON."""
    measure, packages = PEERS[name]
    try:
        rows = [measure(Timing(**timing)) for timing in json.loads(timings)]
        answer: dict[str, Any] = {"rows": rows, "versions": {package: version(package) for package in packages}}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
