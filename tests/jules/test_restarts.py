"""What was said before a server ended, in order or not, is still true of the next one."""

import threading

import pytest
import requests

from jules_server import PATIENCE, body_of


@pytest.fixture(params=["in order", "killed"])
def restart(request, server):
    """Ends the server in one of two ways and starts the next one on the same data directory."""

    def end_and_start():
        if request.param == "killed":
            server.kill()
        else:
            server.stop()
        server.start()

    return end_and_start


def test_tasks_have_the_same_ids_and_fields_after_a_restart(jules, restart):
    added = [jules.add("one"), jules.add("two 🚀", agent="ada")]
    posted = jules.submit("three", extra={"a": [1, None]}, assigned_to="ada")
    body_of(jules.put(f"/tasks/{posted}", {"note": None, "ratio": 1.5}))
    listed, pending, unassigned = jules.tasks(), jules.pending("ada"), jules.unassigned()
    data = [jules.data(task) for task in (*added, posted)]

    restart()

    assert jules.tasks() == listed
    assert jules.pending("ada") == pending
    assert jules.unassigned() == unassigned
    assert [jules.data(task) for task in (*added, posted)] == data


def test_a_new_task_after_a_restart_has_a_new_id_and_counts_on(jules, restart):
    before = [jules.add("x") for _ in range(5)]

    restart()
    answers = [body_of(jules.post("/add_task", {"task": "y"}), 201) for _ in range(3)]

    ids = before + [answer["id"] for answer in answers]
    assert ids == sorted(set(ids))
    assert [answer["total_tasks"] for answer in answers] == [6, 7, 8]
    assert [task["id"] for task in jules.tasks()] == ids[::-1]


def test_the_ids_of_completed_tasks_are_not_used_again_after_a_restart(jules, restart):
    task = jules.add("x", agent="ada")
    body_of(jules.complete("ada", task, "done"))
    before = {each["id"] for each in jules.tasks()}

    restart()

    assert jules.add("y") not in before


def test_what_was_completed_stays_so_after_a_restart(jules, restart):
    by_agent, by_id = jules.add("a", agent="ada"), jules.submit("b")
    body_of(jules.complete("ada", by_agent, "by ada"))
    body_of(jules.post(f"/tasks/{by_id}/complete", {"result": {"by": "id"}}))

    restart()

    assert jules.texts() == ["[ada] by ada", "b", "a"]
    assert jules.pending("ada") == []
    assert [jules.data(task)["status"] for task in (by_agent, by_id)] == ["completed"] * 2
    assert [jules.data(task)["result"] for task in (by_agent, by_id)] == ["by ada", {"by": "id"}]
    assert jules.complete("ada", by_agent, "again").status_code in (200, 404)
    assert jules.texts() == ["[ada] by ada", "b", "a"]


def test_an_agent_completes_after_a_restart_what_it_acknowledged_before(jules, restart):
    task = jules.add("x", agent="ada")
    body_of(jules.acknowledge("ada", task))

    restart()

    body_of(jules.complete("ada", task, "done"))
    assert jules.texts() == ["[ada] done", "x"]
    assert jules.pending("ada") == []


def test_a_kill_loses_no_task_that_was_accepted(server):
    accepted = {}  # the texts by the ids of all answers that were seen
    enough = threading.Event()

    def hand_in(who):
        client = server.client()
        number = 0
        while True:
            text = f"{who} {number}"
            try:
                answer = client.post("/add_task", {"task": text, "assigned_to": who})
            except requests.RequestException:
                return  # it was killed
            accepted[body_of(answer, 201)["id"]] = text
            if len(accepted) >= 200:
                enough.set()
            number += 1

    agents = ["ada", "bob", "cyd", "dan"]
    threads = [threading.Thread(target=hand_in, args=[agent]) for agent in agents]
    for thread in threads:
        thread.start()
    assert enough.wait(PATIENCE)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()

    jules = server.client()
    listed = {task["id"]: task["task"] for task in jules.tasks()}
    assert {task: listed.get(task) for task in accepted} == accepted
    assert len(listed) <= len(accepted) + len(agents)  # each had one request under way at most
    for agent in agents:
        assert jules.pending_ids(agent) == sorted(
            task for task, text in listed.items() if text.startswith(agent)
        )
    assert jules.add("new") not in listed
