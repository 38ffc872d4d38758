"""The one decision step that rollouts, backtest, evaluation and live trading share."""

from flag_trl.agent.agent import Agent, States
from flag_trl.agent.decision import Decider, Decision, Policy, choose
from flag_trl.agent.episode import Trajectory, play
from flag_trl.agent.table import PolicyTable

__all__ = ["Agent", "Decider", "Decision", "Policy", "PolicyTable", "States", "Trajectory", "choose", "play"]
