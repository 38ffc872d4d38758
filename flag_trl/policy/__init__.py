"""The language model as policy network. Knows tokens and weights, nothing of markets."""

from flag_trl.policy.actions import ActionTokens
from flag_trl.policy.engine import Engine, Outputs, Precision
from flag_trl.policy.llm import LLMPolicy
from flag_trl.policy.saved import POLICY_FILES
from flag_trl.policy.soft import SoftInput, SoftTokens
from flag_trl.policy.tree import Share
from flag_trl.policy.tuning import Tuning
from flag_trl.policy.vision import ImageTokens

__all__ = [
    "POLICY_FILES",
    "ActionTokens",
    "Engine",
    "ImageTokens",
    "LLMPolicy",
    "Outputs",
    "Precision",
    "Share",
    "SoftInput",
    "SoftTokens",
    "Tuning",
]
