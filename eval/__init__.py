"""Does what a policy learned from trading reward carry over? Four tasks, an audit, and one report.

accelerate launch -m eval.run --config recipes/eval/full.yaml --policy FOLDER
"""
