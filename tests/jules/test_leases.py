"""What `acknowledge` takes ends when its agent is silent, and a late agent completes all the same."""

import time

import pytest

from jules_server import PATIENCE, body_of

LEASE = ("--set", "jules.acknowledge_lease=1s")


def until(condition):
    """Waits until it is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def jules(idle_server):
    """Somebody who calls a server whose leases are short."""
    idle_server.start(*LEASE)
    return idle_server.client()


def state(jules, task):
    return body_of(jules.get(f"/v1/tasks/{task}"))


def test_a_task_of_a_silent_agent_is_pending_again(jules):
    number = jules.add("x", agent="ada")
    body_of(jules.acknowledge("ada", number))

    until(lambda: jules.pending_ids("ada") == [number])

    body_of(jules.acknowledge("ada", number))


def test_an_agent_that_says_how_far_it_is_keeps_its_task(jules):
    task = jules.submit("x", assigned_to="ada")
    number = jules.pending("ada")[0]["id"]
    body_of(jules.acknowledge("ada", number))
    begun = time.monotonic()

    while time.monotonic() < begun + 2.5:
        body_of(jules.put(f"/tasks/{number}", {"at": time.monotonic() - begun}))
        assert state(jules, task)["state"] == "running"
        time.sleep(0.2)

    body_of(jules.complete("ada", number, "done"))
    assert state(jules, task)["attempt"] == 1


def test_a_late_agent_completes_its_task(jules):
    task = jules.submit("x", assigned_to="ada")
    number = jules.pending("ada")[0]["id"]
    body_of(jules.acknowledge("ada", number))
    until(lambda: state(jules, task)["state"] != "running")

    body_of(jules.complete("ada", number, "late"))

    assert jules.data(task)["result"] == "late"


@pytest.mark.parametrize("by", ["agent", "id"])
def test_an_agent_that_was_late_too_often_completes_its_task(jules, by):
    task = jules.submit("x", assigned_to="ada")
    number = jules.pending("ada")[0]["id"]
    while state(jules, task)["state"] != "failed":
        jules.acknowledge("ada", number)
        time.sleep(0.05)

    if by == "agent":
        body_of(jules.complete("ada", number, "late"))
    else:
        body_of(jules.post(f"/tasks/{task}/complete", {"result": "late"}))

    assert (jules.data(task)["status"], jules.data(task)["result"]) == ("completed", "late")
    assert jules.pending("ada") == []


def test_what_a_worker_holds_is_not_completed_by_others(jules):
    task = jules.submit("x", assigned_to="ada")
    [claimed] = body_of(jules.post("/v1/queues/ada/claim?lease=1m"))["tasks"]

    refused = jules.post(f"/tasks/{task}/complete", {"result": "mine"})

    assert refused.status_code == 409
    done = {"token": claimed["token"], "result_text": "the worker's"}
    assert jules.post(f"/v1/tasks/{task}/succeed", done).status_code < 300
    assert jules.data(task)["result"] == "the worker's"
