"""Training recipes over seeds, and what became of them on later days: `python -m eval.study`."""
