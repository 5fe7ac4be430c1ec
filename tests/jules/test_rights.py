"""What a key that may not do everything does on the old routes, and what it learns of the rest."""

import threading

import pytest

from jules_server import PATIENCE, at_once, body_of, error_of


@pytest.fixture
def owner(idle_server):
    """Somebody with a key that may do everything, on a server that runs."""
    key = idle_server.new_key("owner", "--scope", "submit,work,read,admin")
    idle_server.start()
    return idle_server.client(X_API_Key=key)


@pytest.fixture
def holder(idle_server, owner):
    """Makes somebody with a key of these scopes and queues."""

    def with_key(scope, *queues):
        name = "-".join((*scope.split(","), *queues))
        limits = [word for queue in queues for word in ("--queue", queue)]
        return idle_server.client(X_API_Key=idle_server.new_key(name, "--scope", scope, *limits))

    return with_key


def test_to_hand_in_takes_no_right_to_read(owner, holder):
    submitter = holder("submit")

    number = submitter.add("x", agent="ada")
    task = submitter.submit("y", note="with a field")

    assert owner.data(number)["task"] == "x"
    assert owner.data(task)["note"] == "with a field"
    error_of(submitter.get(f"/tasks/{task}"), 403)


@pytest.mark.parametrize("scope", ["work", "work,read"])
def test_an_agent_needs_no_right_to_hand_in(owner, holder, scope):
    agent = holder(scope, "ada")
    task = owner.add("x", agent="ada")

    body_of(agent.acknowledge("ada", task))
    body_of(agent.put(f"/tasks/{task}", {"note": "at it"}))
    body_of(agent.complete("ada", task, "done"))

    assert body_of(agent.complete("ada", task, "again"))["response"] == "done"
    assert owner.data(task)["result"] == "done"
    assert owner.texts() == ["[ada] done", "x"]


def test_an_agent_completes_by_the_id_what_it_may_work(owner, holder):
    task = owner.submit("x", assigned_to="ada")

    body_of(holder("work", "ada").post(f"/tasks/{task}/complete", {"result": "done"}))

    assert owner.data(task)["result"] == "done"


@pytest.mark.parametrize("finished", [False, True])
def test_an_agent_gets_no_answer_about_the_tasks_of_another(owner, holder, finished):
    ada = holder("work,read", "ada")
    task = owner.add("x", agent="bob")
    if finished:
        body_of(owner.complete("bob", task, "a secret"))
    before = owner.data(task)

    answers = [
        ada.acknowledge("bob", task),
        ada.complete("bob", task, "mine"),
        ada.post(f"/tasks/{task}/complete", {"result": "mine"}),
        ada.put(f"/tasks/{task}", {"note": "mine"}),
        ada.get(f"/tasks/{task}"),
    ]

    assert {answer.status_code for answer in answers} <= {403, 404}
    assert not any("a secret" in answer.text for answer in answers)
    assert owner.data(task) == before


def test_an_agent_hands_nothing_in_among_the_responses(owner, holder):
    agent = holder("work,read", "ada")

    error_of(agent.post("/add_task", {"task": "[bob] a lie", "assigned_to": "ada"}), 403)
    error_of(agent.post("/add_task", {"task": "[bob] a lie", "assigned_to": "responses"}), 400)

    assert owner.tasks() == []


def test_who_may_only_read_changes_nothing(owner, holder):
    reader = holder("read")
    task = owner.add("x", agent="ada")

    error_of(reader.acknowledge("ada", task), 403)
    error_of(reader.put(f"/tasks/{task}", {"note": "mine"}), 403)
    error_of(reader.complete("ada", task, "mine"), 403)
    error_of(reader.post(f"/tasks/{task}/complete", {"result": "mine"}), 403)
    error_of(reader.post("/add_task", {"task": "y"}), 403)

    assert [each["task"] for each in reader.pending("ada")] == ["x"]
    assert "note" not in reader.data(task)


def test_a_key_that_is_revoked_amid_its_requests_harms_nobody(idle_server, owner):
    task = owner.add("x", agent="ada")
    for number in range(5):
        key = idle_server.new_key(f"ada-{number}", "--scope", "work,read")
        ended = threading.Barrier(5)

        def put_until_refused():
            client = idle_server.client(X_API_Key=key)
            while (status := client.put(f"/tasks/{task}", {"at": 1}).status_code) == 200:
                pass
            ended.wait(PATIENCE)
            return status

        def revoke():
            idle_server.keys("revoke", f"ada-{number}")
            ended.wait(PATIENCE)

        *statuses, _ = at_once(*[put_until_refused] * 4, revoke)
        assert set(statuses) <= {401, 503}

    assert owner.data(task)["at"] == 1
