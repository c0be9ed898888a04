"""HTML that cannot be broken by what it shows: text is escaped unless it was made by `tag`."""

from html import escape
from typing import TypeAlias


class Html(str):
    """Markup made here; any other text is escaped when it becomes part of a page."""

    __slots__ = ()


Child: TypeAlias = "str | Html | None"
_VOID = frozenset({"meta", "link", "br", "hr"})


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """Return an element. Children that are not Html are escaped; `class_` and `data_x` become class and data-x.

    True writes an attribute without a value; None and False leave it out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value not in {None, False})
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Return children one after the other, escaped where they are not Html."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def raw_text(name: str, text: str, /, **attributes: str | bool | None) -> Html:
    """Return a script or style element, whose text no parser unescapes; it must not hold its own end tag."""
    if f"</{name}" in text.lower():
        raise ValueError(f"text of a {name} element must not contain its end tag")
    return tag(name, Html(text), **attributes)


def json_text(text: str) -> str:
    """Return JSON that may stand inside a script element: what could end it is written as an escape."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
