"""`documented`: says beside a view what it takes and answers, for access checks and OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from gateway.access.auth import AccessLevel, set_access
from shared.errors import LonghandError

View = TypeVar("View", bound=Callable[..., Any])
Model = type[BaseModel]

_NAME = "documentation"


@dataclass(frozen=True)
class Answer:
    """
    One answer of a route.

    Attributes:
        model: Its JSON; None if it is not JSON, or has no body.
        media_types: What it may be; the model is that of `application/json`.
        description: When the route gives it.
        headers: Names of its headers, with what they say.
    """

    model: Model | None = None
    media_types: tuple[str, ...] = ("application/json",)
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """
    A request body that a route takes.

    Attributes:
        models: The models whose fields it may hold.
        media_types: What it may be.
        files: Names of the multipart fields that are files; the first of them is required.
        is_raw: Whether the body is the audio itself.
        allows_others: Whether unknown fields are ignored.
        is_required: Whether the request needs a body.
    """

    models: tuple[Model, ...] = ()
    media_types: tuple[str, ...] = ("multipart/form-data",)
    files: tuple[str, ...] = ()
    is_raw: bool = False
    allows_others: bool = False
    is_required: bool = True


@dataclass(frozen=True)
class Header:
    """
    A header that a route reads, if a description is not enough.

    Attributes:
        schema: JSON Schema of its value.
        is_required: Whether the request needs it.
    """

    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True)
class Documentation:
    """
    What is documented of one route.

    Attributes:
        query: Models whose fields are its query parameters.
        bodies: The bodies it takes, of which a request has one; empty if it takes none.
        answers: By status.
        errors: The errors it may answer beside those that every route may.
        access: Who may call it: everybody, users of the site, or admins.
        tag: The group in which it is shown.
        headers: Names of request headers that it reads, with what they mean.
    """

    query: tuple[Model, ...]
    bodies: tuple[Body, ...]
    answers: Mapping[int, Answer]
    errors: tuple[type[LonghandError], ...]
    access: AccessLevel
    tag: str
    headers: Mapping[str, str | Header]


def documented(
    *,
    tag: str,
    answers: Mapping[int, Answer],
    query: tuple[Model, ...] = (),
    body: Body | tuple[Body, ...] = (),
    errors: tuple[type[LonghandError], ...] = (),
    **more: Any,
) -> Callable[[View], View]:
    """
    Document what a view takes and answers; its docstring says what it does.

    Args:
        body: A tuple if the view takes several kinds of bodies.
        more: `access` (`user` unless given) and `headers`; see `Documentation`.
    """
    access: AccessLevel = more.pop("access", "user")
    headers: Mapping[str, str | Header] = more.pop("headers", {})
    assert not more, more

    def keep(view: View) -> View:
        bodies = (body,) if isinstance(body, Body) else body
        documentation = Documentation(query, bodies, answers, errors, access, tag, headers)
        setattr(view, _NAME, documentation)
        set_access(view, access)
        return view

    return keep


def documentation_of(view: Callable[..., Any] | None) -> Documentation | None:
    """The documentation of a view; None if it has none."""
    return getattr(view, _NAME, None)
