"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A test says nothing of time, least of all on a machine that others use too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
