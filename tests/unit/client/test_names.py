"""Names that someone may have meant."""

from __future__ import annotations

import pytest

from tritonforge.client.names import near_names, shown


@pytest.mark.parametrize(
    ("name", "there", "said"),
    [
        ("wine_scal", {"wine_scale", "wine"}, "; did you mean wine_scale?"),
        ("Fraud", {"fraud"}, "; did you mean fraud?"),
        ("scale", {"wine_scale", "x"}, "; did you mean wine_scale?"),
        ("id_strin", {"id_string", "id_int8", "id_uint8"}, "; did you mean id_string?"),
        ("id_int", {"id_int8", "id_int16"}, "; did you mean id_int8 or id_int16?"),
        ("zebra", {"b", "a"}, "; there are: a, b"),
        ("zebra", {f"model_{number}" for number in range(20)}, ""),
        ("zebra", set(), "; the server has no models"),
        ("a", {"a"}, ""),
        ("zebra", {"b\nERROR"}, r"; there are: b\nERROR"),
        ("b", {"b\n"}, r"; did you mean b\n?"),
    ],
)
def test_near_names_or_a_few_are_offered(name, there, said):
    assert near_names(name, there) == said


def test_a_name_is_shown_as_it_is_but_for_what_would_break_its_line():
    assert [shown(name) for name in ("café au lait", "", 3)] == ["café au lait", "", "3"]
    assert shown("a\r\nb\x1b\u2028c") == r"a\r\nb\x1b\u2028c"
