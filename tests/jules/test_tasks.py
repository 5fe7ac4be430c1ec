"""`/add_task` and `/tasks`: tasks that are handed in, listed, looked at, changed and completed."""

import json

import pytest

from jules_server import LONG_TEXT, TIME, UNKNOWN_IDS, at_once, body_of, error_of

TEXTS = [
    "plain",
    "🚀 naïve 任务 👩‍👩‍👧",
    "first line\nsecond line\ttabbed\r\n",
    "it's \"quoted\" \\ <b>&amp;</b> %s {}",
    "null",
    '{"task": "inner"}',
    "control \x01 and \u2028 separator",
]
# What JSON has, and what a value must come back as.
VALUES = [
    "text",
    "",
    "🚀",
    0,
    -1,
    1.5,
    9007199254740991,
    True,
    False,
    None,
    [],
    {},
    [1, "two", None, [3, {"four": 4}]],
    {"a": {"b": {"c": [{"d": None}, "🚀"]}}, "": "empty name"},
]
# What scripts of today send: `curl -d` names a form, and some name nothing.
CONTENT_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    None,
]
NOT_JSON = [
    b"",
    b"task=text",
    b"{",
    b'{"task": "x"',
    b'{"task": "x"} y',
    b"\xff\xfe",
    b'{"task": "\xff"}',
]
NOT_AN_OBJECT = [b"null", b"[]", b'["task"]', b'"task"', b"7", b"true"]


def same(left, right):
    """Equal and of the same types, as 1, 1.0 and true are not."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


# --- POST /add_task ---


def test_an_added_task_is_answered_with_its_text_id_and_number(jules):
    body = body_of(jules.post("/add_task", {"task": "write"}), 201)

    assert type(body["id"]) is int
    assert body == {
        "message": "queued 'write'",
        "id": body["id"],
        "total_tasks": 1,
        "assigned_to": "",
    }


def test_an_added_task_for_an_agent_is_answered_with_the_agent(jules):
    body = body_of(jules.post("/add_task", {"task": "write", "assigned_to": "ada"}), 201)

    assert body == {
        "message": "queued 'write'",
        "id": body["id"],
        "total_tasks": 1,
        "assigned_to": "ada",
    }


def test_an_empty_agent_is_nobody(jules):
    body = body_of(jules.post("/add_task", {"task": "write", "assigned_to": ""}), 201)

    assert body["assigned_to"] == ""
    assert [data["task"] for data in jules.unassigned().values()] == ["write"]


def test_ids_grow_and_the_total_grows_by_one(jules):
    answers = [
        body_of(jules.post("/add_task", {"task": "x", "assigned_to": agent}), 201)
        for agent in ("", "ada", "bob", "ada", "")
    ]

    ids = [answer["id"] for answer in answers]
    assert all(type(task) is int for task in ids)
    assert ids == sorted(set(ids))
    assert [answer["total_tasks"] for answer in answers] == [1, 2, 3, 4, 5]


def test_tasks_that_are_added_at_once_have_ids_of_their_own(server):
    def add_some():
        client = server.client()
        return [client.add("x") for _ in range(20)]

    added = at_once(add_some, add_some, add_some, add_some)

    ids = [task for each in added for task in each]
    assert len(set(ids)) == 80
    assert sorted(task["id"] for task in server.client().tasks()) == sorted(ids)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was(jules, text):
    added = body_of(jules.post("/add_task", {"task": text, "assigned_to": "ada"}), 201)

    assert added["message"] == f"queued '{text}'"
    assert jules.texts() == [text]
    assert jules.data(added["id"])["task"] == text
    assert [task["task"] for task in jules.pending("ada")] == [text]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_emoji_may_be_escaped_or_not(jules, ascii_only):
    content = json.dumps({"task": "ship it 🚀"}, ensure_ascii=ascii_only).encode("utf-8")

    body_of(jules.send("POST", "/add_task", content), 201)

    assert jules.texts() == ["ship it 🚀"]


def test_a_text_of_50_kib_is_taken_whole(jules):
    task = jules.add(LONG_TEXT, agent="ada")

    assert jules.texts() == [LONG_TEXT]
    assert jules.data(task)["task"] == LONG_TEXT
    assert [each["task"] for each in jules.pending("ada")] == [LONG_TEXT]


def test_the_same_text_twice_is_two_tasks(jules):
    first, second = jules.add("again", agent="ada"), jules.add("again", agent="ada")

    assert first != second
    assert jules.texts() == ["again", "again"]
    assert jules.pending_ids("ada") == [first, second]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_json_is_taken_whatever_the_content_type_says(jules, content_type):
    body_of(jules.send("POST", "/add_task", b'{"task": "added"}', content_type), 201)
    posted = body_of(jules.send("POST", "/tasks", b'{"task": "posted"}', content_type), 201)
    path = f"/tasks/{posted['task_id']}"
    body_of(jules.send("PUT", path, b'{"note": "put"}', content_type))
    body_of(jules.send("POST", f"{path}/complete", b'{"result": "done"}', content_type))

    assert jules.texts() == ["posted", "added"]
    data = jules.data(posted["task_id"])
    assert (data["note"], data["result"]) == ("put", "done")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "x"},
        {"assigned_to": "ada"},
        {"task": ""},
        {"task": " \t\r\n"},
        {"task": None},
        {"task": 7},
        {"task": True},
        {"task": ["x"]},
        {"task": {"text": "x"}},
    ],
)
def test_add_task_without_a_text_is_refused(jules, body):
    answer = jules.post("/add_task", body)

    assert body_of(answer, 400) == {"error": "task field required"}
    assert jules.tasks() == []


@pytest.mark.parametrize("content", NOT_JSON + NOT_AN_OBJECT)
def test_add_task_without_an_object_is_refused(jules, content):
    error_of(jules.send("POST", "/add_task", content), 400)

    assert jules.tasks() == []


# Names of agents could be anything. Whatever became of that, a task must not vanish.
@pytest.mark.parametrize(
    "agent, path", [("Claude Code", "Claude%20Code"), ("ünï", "%C3%BCn%C3%AF")]
)
def test_a_task_for_an_agent_of_an_odd_name_reaches_it_or_is_refused(jules, agent, path):
    answer = jules.post("/add_task", {"task": "x", "assigned_to": agent})

    if answer.status_code == 201:
        assert [task["task"] for task in jules.pending(path)] == ["x"]
    else:
        error_of(answer, 400)
        assert jules.tasks() == []


# --- GET /tasks ---


def test_without_tasks_the_lists_are_empty(jules):
    assert jules.tasks() == []
    assert jules.unassigned() == {}
    assert jules.pending("ada") == []


def test_tasks_are_listed_newest_first(jules):
    jules.add("first")
    jules.submit("second")
    jules.add("third", agent="ada")
    jules.submit("fourth", assigned_to="bob")

    assert jules.texts() == ["fourth", "third", "second", "first"]


def test_a_listed_task_says_what_it_is_since_when_and_for_whom(jules):
    ids = [jules.add("for nobody"), jules.add("for ada", agent="ada")]

    tasks = jules.tasks()[::-1]

    assert [task["id"] for task in tasks] == ids
    assert [task["task"] for task in tasks] == ["for nobody", "for ada"]
    assert [task["assigned_to"] for task in tasks] == ["", "ada"]
    for task in tasks:
        assert TIME.fullmatch(task["created"])
        assert isinstance(task.get("status", "pending"), str)


def test_a_completed_task_is_listed_and_not_as_pending(jules):
    task = jules.add("x", agent="ada")

    body_of(jules.complete("ada", task, "done"))

    [listed] = [each for each in jules.tasks() if each["id"] == task]
    assert listed["task"] == "x"
    assert listed.get("status", "completed") == "completed"


def test_more_than_a_thousand_tasks_are_listed_whole(server):
    def add_some():
        client = server.client()
        return [client.add("x", agent="ada") for _ in range(130)]

    ids = sorted(task for each in at_once(*[add_some] * 8) for task in each)

    jules = server.client()
    assert sorted(task["id"] for task in jules.tasks()) == ids
    assert jules.pending_ids("ada") == ids


# --- POST /tasks, GET /tasks/<id> ---


def test_a_posted_task_is_answered_with_a_string_id(jules):
    body = body_of(jules.post("/tasks", {"task": "x"}), 201)

    assert set(body) == {"task_id"}
    assert isinstance(body["task_id"], str) and body["task_id"]


def test_a_posted_task_is_read_by_its_id(jules):
    task = jules.submit("write")

    body = body_of(jules.get(f"/tasks/{task}"))

    assert body["task_id"] == task
    assert body["data"]["task"] == "write"
    assert isinstance(body["data"]["status"], str)
    assert body["data"]["status"] != "completed"
    assert "result" not in body["data"]


@pytest.mark.parametrize("value", VALUES)
def test_any_other_field_of_a_posted_task_is_kept(jules, value):
    task = jules.submit("write", extra=value, other="untouched")

    data = jules.data(task)

    assert same(data["extra"], value)
    assert data["other"] == "untouched"


@pytest.mark.parametrize("body", [{}, {"assigned_to": "ada"}, {"Task": "x"}])
def test_a_posted_body_without_a_task_is_refused(jules, body):
    assert body_of(jules.post("/tasks", body), 400) == {"error": "Invalid payload"}

    assert jules.tasks() == []


@pytest.mark.parametrize("content", NOT_JSON + NOT_AN_OBJECT)
def test_a_posted_body_that_is_no_object_is_refused(jules, content):
    error_of(jules.send("POST", "/tasks", content), 400)

    assert jules.tasks() == []


def test_the_integer_id_of_an_added_task_names_it_in_tasks_too(jules):
    added = jules.add("write", agent="ada")

    body = body_of(jules.get(f"/tasks/{added}"))

    assert isinstance(body["task_id"], str)
    assert body["data"]["task"] == "write"
    assert jules.data(body["task_id"]) == body["data"]


def test_a_posted_task_has_an_integer_id_in_the_lists(jules):
    task = jules.submit("write", assigned_to="ada")

    [listed] = jules.tasks()
    [pending] = jules.pending("ada")

    assert type(listed["id"]) is int
    assert listed["id"] == pending["id"]
    assert jules.data(listed["id"]) == jules.data(task)


@pytest.mark.parametrize("task", [*UNKNOWN_IDS, "0", "-1", "%F0%9F%9A%80", "a%2Fb"])
def test_a_task_that_there_is_not_is_404(jules, task):
    jules.add("another")

    assert body_of(jules.get(f"/tasks/{task}"), 404) == {"error": "Task not found"}


# --- PUT /tasks/<id> ---


def test_a_put_is_answered_with_a_message(jules):
    task = jules.submit("x")

    assert body_of(jules.put(f"/tasks/{task}", {"note": 1})) == {"message": "Task updated"}


@pytest.mark.parametrize("value", VALUES)
def test_a_field_that_was_put_reads_back(jules, value):
    task = jules.submit("x", extra="posted")

    jules.put(f"/tasks/{task}", {"note": value})

    data = jules.data(task)
    assert same(data["note"], value)
    assert (data["task"], data["extra"]) == ("x", "posted")


def test_a_put_adds_fields_and_replaces_those_of_the_same_name(jules):
    task = jules.submit("x", one="posted", two="posted")

    jules.put(f"/tasks/{task}", {"two": "put", "three": "put"})
    jules.put(f"/tasks/{task}", {"three": ["put again"]})

    data = jules.data(task)
    assert (data["one"], data["two"], data["three"]) == ("posted", "put", ["put again"])


def test_the_integer_id_puts_fields_on_the_same_task(jules):
    task = jules.submit("x", assigned_to="ada")
    [number] = jules.pending_ids("ada")

    body_of(jules.put(f"/tasks/{number}", {"note": "by number"}))

    assert jules.data(task)["note"] == "by number"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "acknowledged", "on it"])
def test_a_status_that_was_put_is_a_field_and_the_work_is_still_to_be_done(jules, status):
    task = jules.add("x", agent="ada")

    body_of(jules.put(f"/tasks/{task}", {"status": status}))

    assert jules.data(task)["status"] == status
    [pending] = jules.pending("ada")
    assert (pending["id"], pending["status"]) == (task, "pending")
    body_of(jules.acknowledge("ada", task))
    body_of(jules.complete("ada", task, "done"))
    assert jules.data(task)["status"] == "completed"


@pytest.mark.parametrize("content", NOT_JSON + NOT_AN_OBJECT)
def test_a_put_without_an_object_is_refused(jules, content):
    task = jules.submit("x", note="as it was")
    before = jules.data(task)

    error_of(jules.send("PUT", f"/tasks/{task}", content), 400)

    assert jules.data(task) == before


def test_a_put_of_no_fields_changes_nothing(jules):
    task = jules.submit("x", note="as it was")
    before = jules.data(task)

    assert jules.put(f"/tasks/{task}", {}).status_code in (200, 400)

    assert jules.data(task) == before


@pytest.mark.parametrize("task", UNKNOWN_IDS)
def test_a_put_on_a_task_that_there_is_not_is_404(jules, task):
    assert body_of(jules.put(f"/tasks/{task}", {"note": 1}), 404) == {"error": "Task not found"}


# --- POST /tasks/<id>/complete ---


@pytest.mark.parametrize("value", VALUES)
def test_a_result_reads_back_and_the_task_is_completed(jules, value):
    task = jules.submit("x", extra="posted")

    answer = jules.post(f"/tasks/{task}/complete", {"result": value})

    assert body_of(answer) == {"message": "Task marked as complete"}
    data = jules.data(task)
    assert data["status"] == "completed"
    assert same(data["result"], value)
    assert (data["task"], data["extra"]) == ("x", "posted")


def test_a_result_of_50_kib_reads_back(jules):
    task = jules.submit("x")

    body_of(jules.post(f"/tasks/{task}/complete", {"result": LONG_TEXT}))

    assert jules.data(task)["result"] == LONG_TEXT


def test_a_completed_task_is_no_work_for_its_agent(jules):
    task = jules.submit("x", assigned_to="ada")
    [number] = jules.pending_ids("ada")

    body_of(jules.post(f"/tasks/{task}/complete", {"result": "done"}))

    assert jules.pending("ada") == []
    assert jules.acknowledge("ada", number).status_code == 404


def test_the_integer_id_completes_the_same_task(jules):
    number = jules.add("x")

    body_of(jules.post(f"/tasks/{number}/complete", {"result": "done"}))

    assert jules.data(number)["status"] == "completed"


def test_a_task_that_was_acknowledged_may_be_completed_by_its_id(jules):
    task = jules.add("x", agent="ada")
    body_of(jules.acknowledge("ada", task))

    body_of(jules.post(f"/tasks/{task}/complete", {"result": "done"}))

    assert jules.data(task)["result"] == "done"


@pytest.mark.parametrize("content", [b"{}", b'{"response": "done"}', *NOT_JSON, *NOT_AN_OBJECT])
def test_completing_without_a_result_is_refused(jules, content):
    task = jules.submit("x", assigned_to="ada")

    error_of(jules.send("POST", f"/tasks/{task}/complete", content), 400)

    assert jules.data(task)["status"] != "completed"
    assert len(jules.pending("ada")) == 1


@pytest.mark.parametrize("task", UNKNOWN_IDS)
def test_completing_a_task_that_there_is_not_is_404(jules, task):
    answer = jules.post(f"/tasks/{task}/complete", {"result": "done"})

    assert body_of(answer, 404) == {"error": "Task not found"}


@pytest.mark.parametrize("second", ["first", "second", None])
def test_the_first_result_stays(jules, second):
    task = jules.submit("x")
    body_of(jules.post(f"/tasks/{task}/complete", {"result": "first"}))

    answer = jules.post(f"/tasks/{task}/complete", {"result": second})

    assert answer.status_code in (200, 404)
    data = jules.data(task)
    assert (data["result"], data["status"]) == ("first", "completed")


def test_a_completed_task_keeps_its_result_when_fields_are_put(jules):
    task = jules.submit("x")
    body_of(jules.post(f"/tasks/{task}/complete", {"result": "first"}))

    body_of(jules.put(f"/tasks/{task}", {"note": "later"}))

    data = jules.data(task)
    assert (data["result"], data["note"]) == ("first", "later")


# --- GET /tasks/unassigned ---


def test_tasks_of_nobody_are_listed_with_their_fields(jules):
    task = jules.submit("for nobody", extra={"a": [1, None]})
    jules.submit("for ada", assigned_to="ada")
    jules.add("for bob", agent="bob")

    [listed] = body_of(jules.get("/tasks/unassigned"))

    assert listed["task_id"] == task
    assert listed["data"]["task"] == "for nobody"
    assert listed["data"]["extra"] == {"a": [1, None]}


def test_an_added_task_of_nobody_is_listed_under_an_id_that_reads_it(jules):
    added = jules.add("for nobody")

    [(task, data)] = jules.unassigned().items()

    assert isinstance(task, str)
    assert data["task"] == "for nobody"
    assert jules.data(task) == jules.data(added)


# --- Fields that mean something ---


@pytest.mark.parametrize("how", ["posted", "put"])
@pytest.mark.parametrize("value", ["my-7", 999, None])
def test_a_field_called_id_does_not_hide_the_id(jules, how, value):
    task = jules.submit("x", assigned_to="ada", **({"id": value} if how == "posted" else {}))
    if how == "put":
        body_of(jules.put(f"/tasks/{task}", {"id": value}))

    [number] = jules.pending_ids("ada")

    assert jules.tasks()[0]["id"] == number
    assert jules.data(task)["id"] == value
    body_of(jules.acknowledge("ada", number))


def test_an_agent_is_to_do_what_was_handed_in(jules):
    task = jules.submit("as it was", assigned_to="ada")

    body_of(jules.put(f"/tasks/{task}", {"task": "changed"}))

    assert jules.pending("ada")[0]["task"] == "as it was"
    assert jules.data(task)["task"] == "changed"


def test_a_task_with_as_many_fields_as_it_may_have_is_worked(jules):
    names = [f"field {i}" for i in range(63)]
    error_of(jules.post("/tasks", {"task": "x"} | dict.fromkeys(names, 1)), 400)
    task = jules.submit("x", assigned_to="ada", **dict.fromkeys(names[:61], 1))
    error_of(jules.put(f"/tasks/{task}", dict.fromkeys(names[60:], 2)), 400)
    body_of(jules.put(f"/tasks/{task}", {names[0]: 2, names[61]: 2}))
    [number] = jules.pending_ids("ada")

    body_of(jules.acknowledge("ada", number))
    body_of(jules.put(f"/tasks/{task}", {names[0]: 3}))
    body_of(jules.complete("ada", number, "done"))

    assert (jules.data(task)[names[0]], jules.data(task)["result"]) == (3, "done")


def test_what_was_put_does_not_outlive_the_end(jules):
    task = jules.submit("x", assigned_to="ada")
    [number] = jules.pending_ids("ada")
    body_of(jules.put(f"/tasks/{task}", {"status": "half-done", "result": "half", "note": "kept"}))

    body_of(jules.complete("ada", number, "done"))

    data = jules.data(task)
    assert (data["status"], data["result"], data["note"]) == ("completed", "done", "kept")


# --- Whom a task is for ---


def test_a_task_of_nobody_is_assigned_by_a_put(jules):
    task = jules.submit("x")
    jules.submit("of nobody")
    jules.submit("before", assigned_to="ada")

    body_of(jules.put(f"/tasks/{task}", {"assigned_to": "ada"}))

    assert [each["task"] for each in jules.pending("ada")] == ["x", "before"]
    assert [data["task"] for data in jules.unassigned().values()] == ["of nobody"]
    assert jules.data(task)["assigned_to"] == "ada"
    number = jules.pending_ids("ada")[0]
    body_of(jules.acknowledge("ada", number))
    body_of(jules.complete("ada", number, "done"))
    assert jules.data(task)["result"] == "done"


def test_an_assigned_task_may_be_of_nobody_again(jules):
    task = jules.submit("x")
    body_of(jules.put(f"/tasks/{task}", {"assigned_to": "ada"}))

    body_of(jules.put(f"/tasks/{task}", {"assigned_to": None}))

    assert jules.pending("ada") == []
    assert list(jules.unassigned()) == [task]


def test_a_task_that_was_handed_in_for_an_agent_stays_with_it(jules):
    task = jules.submit("x", assigned_to="ada")

    error_of(jules.put(f"/tasks/{task}", {"assigned_to": "bob"}), 409)
    body_of(jules.put(f"/tasks/{task}", {"assigned_to": "ada", "note": "still"}))

    assert jules.pending("bob") == []
    assert jules.data(task)["note"] == "still"
    assert [each["task"] for each in jules.pending("ada")] == ["x"]


@pytest.mark.parametrize("agent", ["inbox", "responses", "x\ny", "a" * 300])
def test_some_names_are_those_of_no_agent(jules, agent):
    task = jules.submit("x")

    assert "assigned_to" in error_of(jules.post("/tasks", {"task": "y", "assigned_to": agent}), 400)
    error_of(jules.put(f"/tasks/{task}", {"assigned_to": agent}), 400)

    assert jules.pending("inbox") == []
    assert jules.texts() == ["x"]
