"""Which argument an input is, and which result an output, by names and places."""

from __future__ import annotations

import pytest
import torch_names
from tritonforge_runtime import LoadError


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("INPUT__0", "INPUT__1"), ["a", "b"]),
        (("INPUT__1", "INPUT__0"), ["b", "a"]),
        (("b", "a"), ["b", "a"]),
        (("b",), ["b"]),
        (("left", "right"), ["a", "b"]),
        (("INPUT__0", "right"), ["a", "b"]),
        (("x__1__0", "INPUT__0"), ["a", "b"]),  # as natively: what follows the first "__" is no number
    ],
)
def test_inputs_are_arguments_by_name_or_position(names: tuple[str, ...], found: list[str]) -> None:
    assert torch_names.arguments_of(names, ["a", "b"]) == found


@pytest.mark.parametrize("names", [("INPUT__0", "OTHER__0"), ("INPUT__0", "INPUT__2"), ("x", "y", "z")])
def test_inputs_that_fit_no_argument_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(LoadError, match=rf"inputs {', '.join(names)} don't fit forward\(a, b\)"):
        torch_names.arguments_of(names, ["a", "b"])


@pytest.mark.parametrize(
    ("names", "places"), [(("OUT__1", "OUT__0"), [1, 0]), (("OUT__2",), [2]), (("y", "OUT__0"), [0, 1]), (("y",), [0])]
)
def test_outputs_have_the_places_of_their_names_or_of_the_configuration(
    names: tuple[str, ...], places: list[int]
) -> None:
    assert torch_names.places_of(names) == places
