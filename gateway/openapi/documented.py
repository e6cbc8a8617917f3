"""What a route takes and answers, written beside it: the code reads it, and so does OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from gateway.access.auth import AccessLevel, let_in
from shared.errors import LonghandError

View = TypeVar("View", bound=Callable[..., Any])
Model = type[BaseModel]

_NAME = "documentation"


@dataclass(frozen=True)
class Answer:
    """
    One answer of a route.

    Attributes:
        model: Its JSON; None where it is something else, or nothing.
        media_types: What it may be; the model belongs to `application/json`.
        description: When it is given.
        headers: Names of headers it carries, with what they say.
    """

    model: Model | None = None
    media_types: tuple[str, ...] = ("application/json",)
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """
    What a route is sent.

    Attributes:
        models: Whose fields together it may hold.
        media_types: How it may be written.
        files: Names of the multipart fields that are files; the first of them is required.
        is_raw: Whether the body is the audio itself.
        allows_others: Whether fields that are not known are passed over.
        is_required: Whether there has to be one.
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
    A header a route reads, where a sentence does not say it all.

    Attributes:
        schema: What its value may be, as JSON Schema.
        is_required: Whether it has to be there.
    """

    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True)
class Documentation:
    """
    One route.

    Attributes:
        query: Models whose fields are its query parameters.
        bodies: What it may be sent, one of them at a time; none where there is no body.
        answers: By status.
        errors: Those it may answer beside what every route may.
        access: Who may call it: anybody, who may use the site, or an admin.
        tag: The group it is shown in.
        headers: Names of request headers it reads, with what they are for.
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
    Say what a view takes and answers; its docstring says what it does.

    Args:
        body: Several where it may be written in several ways, each with fields of its own.
        more: `access` (`user` unless given) and `headers`; see `Documentation`.
    """
    access: AccessLevel = more.pop("access", "user")
    headers: Mapping[str, str | Header] = more.pop("headers", {})
    assert not more, more

    def keep(view: View) -> View:
        bodies = (body,) if isinstance(body, Body) else body
        told = Documentation(query, bodies, answers, errors, access, tag, headers)
        setattr(view, _NAME, told)
        let_in(view, access)
        return view

    return keep


def documentation_of(view: Callable[..., Any] | None) -> Documentation | None:
    """What was said of a view; None if nothing was."""
    return getattr(view, _NAME, None)
