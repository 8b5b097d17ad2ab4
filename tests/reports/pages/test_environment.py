import pytest
from jinja2 import UndefinedError

from vae_anomaly.reports.pages.environment import page_environment


def test_values_are_escaped_and_a_missing_name_is_an_error():
    template = page_environment().from_string("{{ name }}")
    assert template.render(name="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        template.render()
