"""Templates: an observation becomes token ids."""

from flag_trl.prompts.builder import Prompt, PromptBuilder, data_ids, read_template

__all__ = ["Prompt", "PromptBuilder", "data_ids", "read_template"]
