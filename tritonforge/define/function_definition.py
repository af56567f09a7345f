"""What definitions that are written as a function or a class have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tritonforge.define.asynchronous import is_async
from tritonforge.define.base import Definition
from tritonforge.define.origin import Origin
from tritonforge.define.redefinitions import note
from tritonforge.define.reshapes import reshaped
from tritonforge.define.signature import ParsedFunction, Returns
from tritonforge.errors import Where
from tritonforge.ir import Signature

__all__ = ["FunctionDefinition", "wrappable"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


def wrappable(target: Any, decorator: str) -> Any:
    """Give what a decorator is applied to.

    Raises:
        TypeError: it is nothing that can be called.
    """
    if isinstance(target, str):
        raise TypeError(f'@{decorator} takes a function, not a str; a name is given as @{decorator}(name="{target}")')
    if not callable(target) or isinstance(target, Definition):
        raise TypeError(f"@{decorator} takes a function, not a {type(target).__name__}")
    return target


class FunctionDefinition(Definition[P, R_co]):
    """A definition whose name, place and signature are those of the function or class that it wraps."""

    def __init__(self, wrapped: Callable[..., Any], *, origin: Origin, name: str | None) -> None:
        super().__init__(origin, name)
        self.__doc__ = wrapped.__doc__
        self.__name__ = getattr(wrapped, "__name__", "")
        self.__wrapped__ = wrapped
        self.asynchronous = is_async(wrapped)
        note(self, origin.namespace)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """Refuse to be the base of a class."""
        name = self.__name__
        hint = f": leave {name} plain, subclass that, and make the model of it apart: {name}Model = model({name})"
        raise TypeError(f"{self.name} is a model, and no class{hint if isinstance(self.__wrapped__, type) else ''}")

    @property
    def name(self) -> str:
        """The model's name: as given, or that of its variable, or that of the function or class."""
        return super().name or self.__name__

    @property
    def where(self) -> Where:
        """The line at which the function or class begins."""
        return self._origin.begin(self.__wrapped__).at(self.name)

    @property
    def signature(self) -> Signature:
        """What it takes and gives, read from its annotations."""
        return reshaped(self._parsed.signature, self.options.tensors)

    @property
    def returns(self) -> Returns:
        """The form of its return annotation."""
        return self._parsed.returns

    @property
    @abstractmethod
    def _parsed(self) -> ParsedFunction:
        """Its annotations as read."""
