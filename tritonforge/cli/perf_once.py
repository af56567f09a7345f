"""An option that is given twice: the first would change nothing, and was meant for something."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

__all__ = ["Once"]

_TWICE = "it is given twice, and only the last would be heeded; leave one out"


class Once(TyperCommand):
    """A command that refuses options that are given twice, but those that take several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments. Raise BadParameter for an option that is there twice."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param, times in Counter(order).items():
            if times > 1 and isinstance(param, TyperOption) and not param.multiple and not param.is_eager:
                raise typer.BadParameter(_TWICE, ctx=ctx, param=param)
        return super().parse_args(ctx, args)
