"""The error tree and its form on the wire."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from shared import errors
from shared.errors import LonghandError, error_classes, error_from_value


def test_every_error_has_a_code_of_its_own():
    codes = Counter(cls.code for cls in error_classes())

    assert codes.most_common(1)[0][1] == 1
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("cls", list(error_classes()), ids=lambda cls: cls.__name__)
def test_an_error_crosses_the_wire_as_itself(cls):
    sent = cls("field 'modle' is not known", param="modle")
    received = error_from_value(json.loads(json.dumps(sent.to_value())))

    assert type(received) is cls
    assert (received.message, received.param) == (sent.message, "modle")


def test_an_error_without_a_field_names_none():
    assert errors.Busy("the queue is full").to_value() == {
        "code": "busy",
        "message": "the queue is full",
    }


def test_a_code_of_a_newer_version_becomes_a_plain_error():
    received = error_from_value({"code": "out_of_tea", "message": "put the kettle on"})

    assert type(received) is LonghandError
    assert received.message == "put the kettle on"


def test_the_docstring_draws_every_error():
    drawn = set(re.findall(r"^ +[│├└─ ]*([A-Z]\w+)", errors.__doc__, flags=re.MULTILINE))

    assert drawn == {cls.__name__ for cls in error_classes()}
