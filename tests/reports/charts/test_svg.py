import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.reports.charts.svg import Axis, curve, drawing, tag


def test_text_and_attributes_are_escaped():
    made = tag("text", "</svg><script>", id='"><b>')
    assert made == '<text id="&#34;&gt;&lt;b&gt;">&lt;/svg&gt;&lt;script&gt;</text>'


def test_a_chart_says_what_it_is_to_those_who_hear_it():
    made = drawing(tag("rect"), height=100, label="Scores", about="37 of 4,120", name="scores")
    assert 'role="img"' in made
    assert 'aria-label="Scores" aria-describedby="scores-about"' in made
    assert '<desc id="scores-about">37 of 4,120</desc>' in made


def test_a_curve_of_no_points_draws_nothing():
    assert ' d=""' in curve([])


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Axis(0.0, 6.0), (0, 1, 2, 3, 4, 5, 6)),
        (Axis(0.3, 1.1), (0.4, 0.6, 0.8, 1.0)),
        (Axis(-5.0, 22.0), (-5, 0, 5, 10, 15, 20)),
        (Axis(0.5, 4000.0, log=True), (1, 10, 100, 1000)),
        (Axis(2.0, 2.0), (2.0,)),
    ],
)
def test_ticks_are_round(scale, ticks):
    assert scale.ticks(7) == pytest.approx(ticks)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_and_lie_between_the_ends(low, width, most):
    scale = Axis(low, low + width)
    ticks = scale.ticks(most)
    assert 1 <= len(ticks) <= most
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)


@given(st.floats(-1e9, 1e9), st.booleans())
def test_no_value_stands_outside_of_its_box(value, log):
    assert 0.0 <= Axis(0.5, 100.0, log).place(value) <= 1.0
