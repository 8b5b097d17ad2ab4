import numpy as np

from vae_anomaly.reports.pages.outlines import prominence, thin_outlines


def ring(x, y, radius, points):
    angle = np.linspace(0, 2 * np.pi, points)
    line = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    return tuple(line.ravel().tolist())


def test_points_on_a_straight_line_are_left_out():
    line = np.array([[0.0, 0.0], [0.1, 0.1], [0.2, 0.2], [0.2, 0.5]])
    (out,) = prominence([line], 0.001)
    assert line[out > 0.001].tolist() == [[0.0, 0.0], [0.2, 0.2], [0.2, 0.5]]


def test_lines_thinned_together_are_thinned_as_each_alone():
    lines = [np.reshape(ring(0.5, 0.5, r, n), (-1, 2)) for r, n in [(0.2, 60), (0.01, 3), (0.4, 9)]]
    together = prominence(lines, 0.005)
    alone = [prominence([line], 0.005)[0] for line in lines]
    assert [one.tolist() for one in together] == [one.tolist() for one in alone]


def test_what_one_tolerance_needs_is_the_same_whatever_the_finest():
    line = np.reshape(ring(0.5, 0.5, 0.2, 400), (-1, 2))
    (fine,), (coarse,) = prominence([line], 0.0005), prominence([line], 0.01)
    assert 6 < (coarse > 0.01).sum() < (fine > 0.0005).sum()
    assert ((fine > 0.01) == (coarse > 0.01)).all()


def test_a_thin_outline_lies_near_the_whole_one():
    whole = ring(0.5, 0.5, 0.2, 400)
    (thin,) = thin_outlines([whole], 24)
    points = np.reshape(thin, (-1, 2))
    assert 6 <= len(points) <= 24
    assert points[0].tolist() == points[-1].tolist()
    assert np.abs(np.hypot(*(points - 0.5).T) - 0.2).max() < 0.002
    middles = (points[1:] + points[:-1]) / 2
    assert np.abs(np.hypot(*(middles - 0.5).T) - 0.2).max() < 0.03


def test_numbers_have_three_digits():
    (thin,) = thin_outlines([ring(1 / 3, 1 / 7, 0.1, 50)], 50)
    assert thin == tuple(round(share, 3) for share in thin)


def test_where_many_outlines_do_not_fit_the_longest_remain_in_their_order():
    small = [ring(0.1 + 0.01 * k, 0.1, 0.004, 12) for k in range(60)]
    large = ring(0.5, 0.5, 0.3, 400)
    kept = thin_outlines([*small[:30], large, *small[30:]], 40)
    assert sum(len(line) // 2 for line in kept) <= 40
    assert any(max(line) > 0.75 for line in kept)


def test_no_outline_is_no_outline():
    assert thin_outlines([], 10) == ()
    assert thin_outlines([(0.1, 0.2)], 10) == ()
