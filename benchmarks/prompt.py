"""The short prompt of the benchmarks that train: every action is legal at all times, so none is listed."""


def short_template(task: str) -> str:
    """A prompt template whose first sentence is `task`."""
    return (
        "{% block system -%}\n"
        + task
        + """ Answer with one word: {{ words | join(", ") }}.
{%- endblock %}
{% block user -%}
{{ market }}
{{ account }}
{%- endblock %}
{% block account %}{{ account_text }}{% endblock %}"""
    )
