"""What can be told from chance: intervals and tests for returns, forecasts and probabilities.

arch, skfolio, statsmodels and scipy are imported when a function is called: most callers of `flag_trl.metrics` need
none of them.
"""
