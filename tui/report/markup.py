"""Builds HTML elements.

Each function escapes the text and the attribute values that it inserts, and makes control characters visible.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tui.text.visible import visible


class Markup(str):
    """Text that is already valid HTML."""

    __slots__ = ()


Child = Markup | str | None


def element(name: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Returns an HTML element with an end tag.

    Underscores in attribute names become dashes; a trailing underscore is dropped.

    An attribute that is None or False is omitted; an attribute that is True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    content = "".join(map(text, children))
    return Markup(f"<{name}{written}>{content}</{name}>")


def together(*children: Child) -> Markup:
    """Joins the children without an element around them."""
    return Markup("".join(map(text, children)))


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Returns a list of names and their values."""
    rows = (element("div", element("dt", name), element("dd", value)) for name, value in pairs)
    return element("dl", *rows, class_="facts")


def picture(words: str, *shapes: Markup, width: int, height: int, class_: str | None = None) -> Markup:
    """Returns an SVG picture that fills its container; screen readers read ``words`` instead."""
    return element(
        "svg",
        element("title", words),
        *shapes,
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
        class_=class_,
    )


def text(child: Child) -> Markup:
    """Returns a string as escaped HTML, and `Markup` unchanged."""
    if child is None:
        return Markup()
    return child if isinstance(child, Markup) else Markup(escape(visible(child)))


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(visible(str(value)))}"'
