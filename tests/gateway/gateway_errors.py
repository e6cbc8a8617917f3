"""The one shape of every error."""

from __future__ import annotations

from werkzeug.test import TestResponse


def assert_error(
    response: TestResponse, status: int, code: str, message: str, *, param: str | None = None
) -> None:
    """Hold an answer to the shape of errors, and its message to contain some words."""
    value = response.get_json()
    assert (response.status_code, value["success"], value["code"]) == (status, False, code), value
    assert message in value["error"]
    if param is not None:
        assert value["param"] == param
