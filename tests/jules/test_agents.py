"""`/agent/<agent>/tasks`: agents that poll, acknowledge, work and complete."""

import threading
from functools import partial

import pytest

from jules_server import A_LONG_TEXT, TIME, UNKNOWN_NUMBERS, at_once, body_of

# In this place, a path has an integer.
NO_NUMBERS = ("no-such-task", "-1", "1.5", "1x")


def entries_of(jules, agent):
    """The responses of an agent that stand among the tasks."""
    return [text for text in jules.texts() if text.startswith(f"[{agent}] ")]


# --- GET /agent/<agent>/tasks ---


def test_an_agent_sees_its_pending_tasks_and_no_others(jules):
    ids = [jules.add("one", agent="ada"), jules.add("two", agent="ada")]
    jules.add("for bob", agent="bob")
    jules.add("for nobody")

    assert jules.pending_ids("ada") == ids
    assert {task["task"] for task in jules.pending("ada")} == {"one", "two"}


def test_a_pending_task_has_these_fields(jules):
    added = jules.add("write", agent="ada")

    [task] = jules.pending("ada")

    assert type(task["id"]) is int
    assert TIME.fullmatch(task["created"])
    assert {name: task[name] for name in ("id", "task", "assigned_to", "status")} == {
        "id": added,
        "task": "write",
        "assigned_to": "ada",
        "status": "pending",
    }


def test_both_lists_agree_on_when_a_task_was_created(jules):
    jules.add("write", agent="ada")

    [listed], [pending] = jules.tasks(), jules.pending("ada")

    assert listed["created"] == pending["created"]


def test_polling_takes_nothing(jules):
    task = jules.add("write", agent="ada")

    assert [jules.pending_ids("ada") for _ in range(3)] == [[task]] * 3


def test_names_of_agents_that_only_begin_alike_are_different(jules):
    jules.add("x", agent="ada")

    assert [jules.pending(agent) for agent in ("ad", "ada2", "ADA", "ada.x")] == [[]] * 4


def test_a_posted_task_is_worked_by_its_agent(jules):
    task = jules.submit("write", assigned_to="ada", extra=1)
    [pending] = jules.pending("ada")

    body_of(jules.acknowledge("ada", pending["id"]))
    body_of(jules.complete("ada", pending["id"], "written"))

    assert (pending["task"], pending["assigned_to"]) == ("write", "ada")
    data = jules.data(task)
    assert (data["status"], data["result"], data["extra"]) == ("completed", "written", 1)


# --- Acknowledge ---


def test_an_acknowledged_task_is_no_longer_pending(jules):
    first, second = jules.add("a", agent="ada"), jules.add("b", agent="ada")

    answer = jules.acknowledge("ada", first)

    assert body_of(answer) == {"message": "Task acknowledged"}
    assert jules.pending_ids("ada") == [second]
    assert jules.data(first)["status"] != "completed"


def test_a_task_is_acknowledged_once(jules):
    task = jules.add("x", agent="ada")
    body_of(jules.acknowledge("ada", task))

    assert body_of(jules.acknowledge("ada", task), 404) == {"error": "Task not found"}


def test_acknowledge_needs_no_body_and_does_not_mind_one(jules):
    first, second = jules.add("a", agent="ada"), jules.add("b", agent="ada")

    body_of(jules.request("POST", f"/agent/ada/tasks/{first}/acknowledge"))
    body_of(jules.post(f"/agent/ada/tasks/{second}/acknowledge", {"agent": "ada"}))

    assert jules.pending("ada") == []


@pytest.mark.parametrize("task", UNKNOWN_NUMBERS)
def test_a_task_that_there_is_not_cannot_be_acknowledged(jules, task):
    assert body_of(jules.acknowledge("ada", task), 404) == {"error": "Task not found"}


@pytest.mark.parametrize("task", NO_NUMBERS)
def test_what_is_no_number_cannot_be_acknowledged(jules, task):
    number = jules.add("x", agent="ada")

    assert jules.acknowledge("ada", task).status_code == 404

    assert jules.pending_ids("ada") == [number]


def test_a_task_of_another_agent_cannot_be_acknowledged(jules):
    task = jules.add("x", agent="ada")

    assert body_of(jules.acknowledge("bob", task), 404) == {"error": "Task not found"}

    assert jules.pending_ids("ada") == [task]


def test_a_task_of_nobody_cannot_be_acknowledged(jules):
    task = jules.add("x")

    assert body_of(jules.acknowledge("ada", task), 404) == {"error": "Task not found"}


def test_a_completed_task_cannot_be_acknowledged(jules):
    task = jules.add("x", agent="ada")
    body_of(jules.complete("ada", task, "done"))

    assert body_of(jules.acknowledge("ada", task), 404) == {"error": "Task not found"}

    assert jules.data(task)["status"] == "completed"


# --- Complete ---


def test_a_completed_task_is_answered_with_its_response(jules):
    task = jules.add("x", agent="ada")
    body_of(jules.acknowledge("ada", task))

    answer = jules.complete("ada", task, "all done")

    assert body_of(answer) == {"message": "Task completed", "response": "all done"}
    data = jules.data(task)
    assert (data["status"], data["result"]) == ("completed", "all done")


def test_a_task_may_be_completed_without_an_acknowledgement(jules):
    first, second = jules.add("a", agent="ada"), jules.add("b", agent="ada")

    body_of(jules.complete("ada", first, "done"))

    assert jules.pending_ids("ada") == [second]
    assert jules.data(first)["result"] == "done"


def test_a_response_is_the_newest_entry_among_the_tasks(jules):
    first, second = jules.add("first", agent="ada"), jules.add("second", agent="ada")

    body_of(jules.complete("ada", second, "two done"))
    body_of(jules.complete("ada", first, "one done"))

    assert jules.texts() == ["[ada] one done", "[ada] two done", "second", "first"]
    entries = jules.tasks()[:2]
    assert len({entry["id"] for entry in entries} | {first, second}) == 4
    assert all(TIME.fullmatch(entry["created"]) for entry in entries)


def test_a_response_is_no_work_for_anybody(jules):
    task = jules.add("x", agent="ada")

    body_of(jules.complete("ada", task, "done"))

    assert jules.pending("ada") == []


@pytest.mark.parametrize("body", [None, {}])
def test_without_a_response_it_is_task_completed(jules, body):
    task = jules.add("x", agent="ada")

    answer = jules.post(f"/agent/ada/tasks/{task}/complete", body)

    assert body_of(answer) == {"message": "Task completed", "response": "Task completed"}
    assert jules.texts() == ["[ada] Task completed", "x"]


@pytest.mark.parametrize(
    "response", ["🚀 naïve", "two\nlines", "it's \"so\" \\", "[ada] x", A_LONG_TEXT]
)
def test_a_response_comes_back_as_it_was(jules, response):
    task = jules.add("x", agent="ada")

    assert body_of(jules.complete("ada", task, response))["response"] == response

    assert jules.texts() == [f"[ada] {response}", "x"]
    assert jules.data(task)["result"] == response


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_response_is_read_whatever_the_content_type_says(jules, content_type):
    path = f"/agent/ada/tasks/{jules.add('x', agent='ada')}/complete"

    answer = jules.send("POST", path, b'{"response": "done"}', content_type)

    assert body_of(answer)["response"] == "done"


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_second_complete_is_never_a_second_result(jules, acknowledged):
    task = jules.add("x", agent="ada")
    if acknowledged:
        body_of(jules.acknowledge("ada", task))
    body_of(jules.complete("ada", task, "first"))

    answers = [jules.complete("ada", task, text) for text in ("first", "second")]

    assert {answer.status_code for answer in answers} <= {200, 404}
    assert jules.texts() == ["[ada] first", "x"]
    assert jules.data(task)["result"] == "first"


def test_what_was_completed_by_its_id_is_not_completed_again_by_its_agent(jules):
    task = jules.add("x", agent="ada")
    body_of(jules.post(f"/tasks/{task}/complete", {"result": "first"}))
    before = jules.texts()

    assert jules.complete("ada", task, "second").status_code in (200, 404)

    assert jules.data(task)["result"] == "first"
    assert jules.texts() == before


def test_what_was_completed_by_its_agent_is_not_completed_again_by_its_id(jules):
    task = jules.add("x", agent="ada")
    body_of(jules.complete("ada", task, "first"))

    answer = jules.post(f"/tasks/{task}/complete", {"result": "second"})

    assert answer.status_code in (200, 404)
    assert jules.data(task)["result"] == "first"
    assert jules.texts() == ["[ada] first", "x"]


@pytest.mark.parametrize("task", UNKNOWN_NUMBERS)
def test_a_task_that_there_is_not_cannot_be_completed(jules, task):
    jules.add("x", agent="ada")

    assert body_of(jules.complete("ada", task, "done"), 404) == {"error": "Task not found"}

    assert jules.texts() == ["x"]


@pytest.mark.parametrize("task", NO_NUMBERS)
def test_what_is_no_number_cannot_be_completed(jules, task):
    jules.add("x", agent="ada")

    assert jules.complete("ada", task, "done").status_code == 404

    assert jules.texts() == ["x"]


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_task_of_another_agent_cannot_be_completed(jules, acknowledged):
    task = jules.add("x", agent="ada")
    if acknowledged:
        body_of(jules.acknowledge("ada", task))

    assert body_of(jules.complete("bob", task, "mine"), 404) == {"error": "Task not found"}

    assert jules.texts() == ["x"]
    assert body_of(jules.complete("ada", task, "done"))["response"] == "done"


# --- Several at once ---


def work_until_empty(client, agent):
    """Polls and acknowledges, as an agent of today does. The tasks that were its own to do."""
    won = []
    while pending := client.pending(agent):
        for task in pending:
            answer = client.acknowledge(agent, task["id"])
            assert answer.status_code in (200, 404), answer.text
            if answer.status_code == 200:
                won.append(task["id"])
    return won


def test_of_two_that_act_as_one_agent_only_one_gets_a_task(server):
    jules = server.client()
    tasks = [jules.add(f"task {number}", agent="ada") for number in range(60)]

    won = at_once(*(partial(work_until_empty, server.client(), "ada") for _ in range(2)))

    assert sorted(won[0] + won[1]) == tasks


def test_a_task_that_all_want_is_acknowledged_once(server):
    jules = server.client()
    clients = [server.client() for _ in range(8)]

    for _ in range(10):
        task = jules.add("x", agent="ada")
        answers = at_once(*(partial(client.acknowledge, "ada", task) for client in clients))

        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 7


def test_two_agents_do_not_get_in_each_others_way(server):
    jules = server.client()
    tasks = {"ada": [], "bob": []}
    for number in range(60):
        agent = ("ada", "bob")[number % 2]
        tasks[agent].append(jules.add(f"task {number}", agent=agent))

    won = at_once(*(partial(work_until_empty, server.client(), agent) for agent in tasks))

    assert [sorted(each) for each in won] == list(tasks.values())


def test_a_task_that_is_completed_by_two_at_once_has_one_response(server):
    jules = server.client()
    clients = [server.client() for _ in range(4)]

    for number in range(10):
        task = jules.add("x", agent="ada")
        responses = [f"{number} by client {who}" for who in range(len(clients))]
        acts = [
            partial(client.complete, "ada", task, response)
            for client, response in zip(clients, responses)
        ]

        answers = at_once(*acts)

        assert {answer.status_code for answer in answers} <= {200, 404}
        assert jules.data(task)["result"] in responses
        entries = entries_of(jules, "ada")
        assert len(entries) == number + 1
        assert entries[0] == f"[ada] {jules.data(task)['result']}"


def test_agents_work_off_what_is_still_being_handed_in(server):
    """No task is overlooked between a poll and the next."""
    all_added = threading.Event()

    def hand_in():
        client = server.client()
        tasks = [client.add(f"task {number}", agent="ada") for number in range(60)]
        all_added.set()
        return tasks

    def work():
        client, done = server.client(), []
        while True:
            last_time = all_added.is_set()
            for task in work_until_empty(client, "ada"):
                body_of(client.complete("ada", task, f"done {task}"))
                done.append(task)
            if last_time:
                return done

    tasks, *done = at_once(hand_in, work, work)

    assert sorted(done[0] + done[1]) == tasks
    entries = entries_of(server.client(), "ada")
    assert sorted(entries) == sorted(f"[ada] done {task}" for task in tasks)
