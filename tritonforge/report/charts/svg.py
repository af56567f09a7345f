"""SVG elements as text."""

from __future__ import annotations

from html import escape

__all__ = ["path", "picture", "tag", "text"]


def tag(name: str, *children: str, **attributes: object) -> str:
    """Write an element: `class_` is the attribute class, `stroke_width` is stroke-width; None leaves one out.

    Children are written as they are: text goes through `text`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def text(words: str, x: float, y: float, **attributes: object) -> str:
    """Write words at a place; `anchor` is start, middle or end."""
    anchor = attributes.pop("anchor", None)
    return tag("text", escape(words), x=x, y=y, text_anchor=anchor, **attributes)


def path(points: list[tuple[float, float]], **attributes: object) -> str:
    """Write a line through points."""
    steps = " L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", fill="none", **attributes)


def picture(body: str, *, width: float, height: float, title: str, summary: str, key: str, variant: str) -> str:
    """Wrap a drawing; the title and summary are what a screen reader says. `key` makes ids unique in the page."""
    label = f"{key}-{variant}"
    return tag(
        "svg",
        tag("title", escape(title), id=f"{label}-title"),
        tag("desc", escape(summary), id=f"{label}-desc"),
        body,
        class_=variant,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        aria_labelledby=f"{label}-title {label}-desc",
        xmlns="http://www.w3.org/2000/svg",
    )


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
