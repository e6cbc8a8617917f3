"""What was promised to the clients of older systems is listed, once, and the page says so."""

from __future__ import annotations

import re

import pytest
from source_code import ROOT

from tools.compatibility import PAGE, marked_tests, read_promises, written_page

SECTIONS, PROMISES = read_promises()

COVERED_BY = {"S1-20": range(20, 29), "S1-30": range(30, 39), "S1-40": range(40, 72)}
"""Promises that stand for many, all of which wait for the same."""

GAPS = {
    "S0": set(), "S1": {14, 15, 16, 17, 18, 19, 29, *range(55, 60), *range(63, 70)}, "S2": set(),
    "S3": {9, 16, 17, 18, 19}, "S4": set(), "C": set(),
}  # fmt: skip
"""Numbers that were never given."""

LAST = {"S0": 34, "S1": 71, "S2": 16, "S3": 30, "S4": 29, "C": 26}


def test_the_page_is_what_the_tests_and_the_promises_say():
    assert PAGE.read_text(encoding="utf-8") == written_page(), "run `make compatibility`"


@pytest.mark.parametrize("section", LAST)
def test_every_promise_is_listed(section):
    numbers = {p.number for p in PROMISES if p.section == section}
    listed = {int(n.partition("-")[2]) for n in numbers}
    for number in numbers & COVERED_BY.keys():
        listed |= set(COVERED_BY[number])

    assert listed | GAPS[section] == set(range(1, LAST[section] + 1)) | GAPS[section]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.number)
def test_a_promise_is_proved_or_says_why_it_is_not(promise):
    told = [promise.shown, promise.instead, promise.later]

    assert promise.section in SECTIONS
    assert sum(map(bool, told)) <= 1
    assert promise.tests or any(told), "no test carries its number"
    assert (ROOT / promise.shown).exists()


def test_a_test_carries_only_numbers_that_are_listed():
    assert marked_tests().keys() - {promise.number for promise in PROMISES} == set()


def test_every_link_of_the_page_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))

    assert [link for link in links if not (PAGE.parent / link).exists()] == []
