"""One file and one page (`<task>.md`) a task; each has `run(evaluation) -> TaskResult`."""
