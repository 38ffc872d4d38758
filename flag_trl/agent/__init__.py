"""The one decision step that rollouts, backtest, evaluation and live trading share."""

from flag_trl.agent.agent import Agent, States
from flag_trl.agent.decision import Decider, Decision, Policy, Tabular, choose
from flag_trl.agent.episode import Trajectory, play
from flag_trl.agent.folder import AGENT_FILE, AGENT_FILES, HUB_ERRORS, PICKLES, agent_folder, file_digest
from flag_trl.agent.table import PolicyTable
from flag_trl.agent.trials import LEDGER, carry_trials, count_trials, record_trial

__all__ = [
    "AGENT_FILE",
    "AGENT_FILES",
    "HUB_ERRORS",
    "LEDGER",
    "PICKLES",
    "Agent",
    "Decider",
    "Decision",
    "Policy",
    "PolicyTable",
    "States",
    "Tabular",
    "Trajectory",
    "agent_folder",
    "carry_trials",
    "choose",
    "count_trials",
    "file_digest",
    "play",
    "record_trial",
]
