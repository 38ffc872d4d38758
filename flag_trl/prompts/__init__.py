"""Templates: an observation becomes token ids."""

from flag_trl.prompts.builder import Prompt, PromptBuilder, read_template

__all__ = ["Prompt", "PromptBuilder", "read_template"]
