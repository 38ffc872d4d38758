"""The one decision step that rollouts, backtest, evaluation and live trading share."""

from flag_trl.agent.agent import Agent, States
from flag_trl.agent.decision import Decider, Decision, choose
from flag_trl.agent.episode import Trajectory, play

__all__ = ["Agent", "Decider", "Decision", "States", "Trajectory", "choose", "play"]
