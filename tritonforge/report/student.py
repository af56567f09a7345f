"""Student's t distribution, without SciPy."""

from __future__ import annotations

import math

__all__ = ["student_cumulative", "student_quantile"]


def student_quantile(probability: float, freedom: float) -> float:
    """Give t with P(T ≤ t) = probability, for a probability between 0.5 and 1 and any positive degrees of freedom."""
    low, high = 0.0, 1.0
    while student_cumulative(high, freedom) < probability:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cumulative(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def student_cumulative(t: float, freedom: float) -> float:
    """Give P(T ≤ t) for t ≥ 0: 1 - I(ν / (ν + t²); ν / 2, 1 / 2) / 2 (Abramowitz and Stegun 26.7.1)."""
    return 1 - _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Give the regularized incomplete beta function, by its continued fraction (Numerical Recipes 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front * _continued_fraction(x, a, b) / a


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Evaluate it by Lentz's method."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > 1e-300 else 1e-300
