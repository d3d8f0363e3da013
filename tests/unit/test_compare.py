"""Distances between outputs and their reference, against hand-made figures."""

import numpy as np
import pytest

from semc.errors import InputError
from semc.runtime.compare import accuracy, compare, worst_of


def test_equal_arrays_are_at_no_distance() -> None:
    x = np.array([[1.0, np.inf, np.nan]])
    found = compare(x, x.copy())
    assert (found.max_abs_error, found.max_rel_error, found.cosine) == (0, 0, 1)
    assert found.sqnr_db == np.inf


def test_figures_of_a_known_error() -> None:
    reference = np.array([[3.0, 4.0]])
    found = compare(reference + np.array([[0.0, 0.5]]), reference)
    assert found.max_abs_error == 0.5
    assert found.max_rel_error == 0.125
    assert found.sqnr_db == pytest.approx(10 * np.log10(25 / 0.25))
    assert found.top1_agreement == 1.0


def test_a_missing_infinity_is_an_error() -> None:
    assert not compare(np.array([1.0]), np.array([np.inf])).max_abs_error <= 1e30


def test_the_summary_keeps_the_worst() -> None:
    good = compare(np.ones(2), np.ones(2))
    bad = compare(np.zeros(2), np.ones(2))
    assert worst_of({"a": good, "b": bad})["max_abs_error"] == 1


def test_accuracy_counts_the_largest_score() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    assert accuracy(scores, np.array([1, 1])) == 0.5


def test_accuracy_of_a_map_of_scores_is_refused() -> None:
    with pytest.raises(InputError, match="one row"):
        accuracy(np.zeros((2, 3, 4)), np.array([0, 1]))


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="shape"):
        compare(np.zeros(2), np.zeros(3))
