"""Where the output is no terminal, each step is a line with the time that remains."""


def test_each_step_is_a_line_with_the_time_left(make_trainer, capsys) -> None:
    trainer = make_trainer(max_steps=2, eval_strategy="steps", eval_steps=2)
    trainer.train()
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("step 1/2: return ") and line.endswith(" left") for line in lines)
    assert any(line.startswith("step 2/2: ") and "0:00 left" in line for line in lines)
    assert any(line.startswith("validation after step 2: return ") for line in lines)
