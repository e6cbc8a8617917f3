"""What a worker says of models that did not load."""

from __future__ import annotations

from worker.processes.loads import FailedLoads


def test_a_failure_stands_until_the_model_loads():
    failed = FailedLoads()
    failed.remember("base", "it is cut short")

    assert failed.standing({"base": "1"}) == {"base": "it is cut short"}
    assert failed.standing({"base": "1"}) == {"base": "it is cut short"}
    failed.forget("base")
    assert failed.standing({"base": "1"}) == {}


def test_a_failure_is_forgotten_once_other_files_are_there():
    failed = FailedLoads()
    failed.remember("base", "no source has it")
    failed.remember("small", "no source has it")
    failed.standing({})

    assert failed.standing({"base": "1"}) == {"small": "no source has it"}
