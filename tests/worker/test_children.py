"""The processes a worker owns: each may die, stall or be given up, and none answers for another."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from child_services import Echo, broken, refused
from waiting import wait_until

from shared.errors import AudioUnreadable, EngineFailed, JobCancelled
from worker.processes.children import Child, ChildPool
from worker.processes.lanes import ChildDied

STALL_S = 60.0


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Start children; each is ended with the test."""
    started: list[Child] = []

    def start(factory: Callable[[], object] = Echo) -> Child:
        started.append(Child(factory, "echo"))
        return started[-1]

    yield start
    for child in started:
        child.kill()


@pytest.fixture
def pool() -> Iterator[ChildPool]:
    """A pool of one."""
    pool = ChildPool(Echo, "echo", 1)
    yield pool
    pool.stop()


def cancel(*_: object) -> None:
    raise JobCancelled("the job was cancelled")


def runs(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_child_answers_and_raises_as_its_methods_do(start: Callable[..., Child]) -> None:
    child = start()
    child.wait_until_ready()

    assert child.call("say", "头发", stall_s=STALL_S) == "头发"
    with pytest.raises(AudioUnreadable, match="no sound") as caught:
        child.call("refuse", stall_s=STALL_S)
    assert caught.value.param == "file"
    with pytest.raises(EngineFailed, match="KeyError: 'model'"):
        child.call("break_down", stall_s=STALL_S)
    assert child.call("say", "still here", stall_s=STALL_S) == "still here"


def test_a_child_that_dies_says_how(start: Callable[..., Child]) -> None:
    child = start()
    child.wait_until_ready()

    with pytest.raises(ChildDied, match="echo ended with status -9"):
        child.call("die", stall_s=STALL_S)
    with pytest.raises(ChildDied):
        child.call("say", "hello", stall_s=STALL_S)


def test_a_child_that_cannot_be_made_is_not_ready(start: Callable[..., Child]) -> None:
    with pytest.raises(ChildDied, match="status 3"):
        start(broken).wait_until_ready()


def test_a_child_that_an_operator_set_up_wrongly_says_so_in_one_line(
    start: Callable[..., Child], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ChildDied, match="status 1"):
        start(refused).wait_until_ready()

    said = capfd.readouterr().err
    assert "cannot start: LONGHAND_DEVICE is 'cuda' and there is none" in said
    assert "Traceback" not in said


def test_a_child_that_stalls_is_ended(start: Callable[..., Child]) -> None:
    child = start()
    child.wait_until_ready()

    with pytest.raises(TimeoutError, match="no progress"):
        child.call("sleep", stall_s=0.3)
    assert not runs(child.pid)


@pytest.mark.parametrize("by", ["check", "report"])
def test_a_cancelled_call_never_answers_for_the_next(
    pool: ChildPool, tmp_path: Path, by: str
) -> None:
    gate = tmp_path / "gate"
    with pytest.raises(JobCancelled), pool.lend() as child:
        if by == "check":
            child.call("say_later", "of the first job", str(gate), stall_s=STALL_S, check=cancel)
        else:
            child.call("report_for_ever", stall_s=STALL_S, report=cancel)
    gate.touch()

    with pool.lend() as other:
        assert other.call("say", "of the second", stall_s=STALL_S) == "of the second"
    assert not runs(child.pid)


@pytest.mark.parametrize("by", ["check", "report"])
def test_a_call_that_is_given_up_ends_at_its_next_note_and_the_child_lives_on(
    pool: ChildPool, by: str
) -> None:
    with pytest.raises(JobCancelled), pool.lend() as child:
        if by == "check":
            child.call(
                "report_now_and_then", stall_s=STALL_S, report=str, check=cancel, stop_s=STALL_S
            )
        else:
            child.call("report_for_ever", stall_s=STALL_S, report=cancel, stop_s=STALL_S)

    with pool.lend() as other:
        assert other.call("say", "the next", stall_s=STALL_S) == "the next"
        assert other.pid == child.pid


def test_a_call_that_is_given_up_when_it_has_its_answer_leaves_the_child_in_order(
    pool: ChildPool, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"

    def answer_meanwhile() -> None:
        gate.touch()
        cancel()

    with pytest.raises(JobCancelled), pool.lend() as child:
        child.call(
            "say_later", "of the first job", str(gate),
            stall_s=STALL_S, check=answer_meanwhile, stop_s=STALL_S,
        )  # fmt: skip

    with pool.lend() as other:
        assert other.pid == child.pid
        for word in ("one", "two"):
            assert other.call("say", word, stall_s=STALL_S) == word
        with pytest.raises(JobCancelled):
            other.call("report_for_ever", stall_s=STALL_S, report=cancel, stop_s=STALL_S)
        assert other.call("say", "three", stall_s=STALL_S) == "three"


def test_a_call_that_does_not_end_in_time_ends_with_its_child(pool: ChildPool) -> None:
    with pytest.raises(JobCancelled), pool.lend() as child:
        child.call("sleep", stall_s=STALL_S, check=cancel, stop_s=0.3)

    assert not runs(child.pid)


def test_a_pool_replaces_a_child_that_died(pool: ChildPool) -> None:
    with pytest.raises(ChildDied), pool.lend() as child:
        child.call("die", stall_s=STALL_S)

    with pool.lend() as other:
        assert other.call("say", "hello", stall_s=STALL_S) == "hello"


def test_a_pool_lends_a_child_to_one_thread_at_a_time(pool: ChildPool) -> None:
    ticked = threading.Event()
    lent = threading.Event()

    def borrow() -> None:
        with pool.lend(ticked.set):
            lent.set()

    with pool.lend() as child:
        thread = threading.Thread(target=borrow)
        thread.start()
        assert ticked.wait(20)
        assert not lent.is_set()
        pid = child.pid
    thread.join(20)

    assert lent.is_set()
    with pool.lend() as child:
        assert child.pid == pid


def test_a_thread_that_waits_for_a_child_may_give_up(pool: ChildPool) -> None:
    with pool.lend(), pytest.raises(JobCancelled), pool.lend(cancel):
        pass


def test_stopping_a_pool_ends_its_children(pool: ChildPool) -> None:
    with pool.lend() as child:
        pid = child.pid
    pool.stop()

    assert pid != os.getpid()
    wait_until(lambda: not runs(pid), 10, "the child is gone")
