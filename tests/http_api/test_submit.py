"""Handing tasks in."""

import pytest
from api_client import JSON, Client, done, errors_of, invalid, refused, value_of
from task_ids import new_task_id

# Each field of a task with a value that is not the default, as it comes back.
FIELDS = {
    "type": "welcome",
    "content_type": "application/x-thing",
    "priority": "high",
    "max_attempts": 7,
    "expires_in_ms": 3_600_000,
    "timeout_ms": 60_000,
    "reply_to": "replies",
    "from": "ada",
    "headers": {"traceparent": "00-1", "ä": "ö"},
    "backoff": {"initial_ms": 5, "factor": 1.5, "max_ms": 50, "jitter": 0.125},
}


def test_a_new_task_is_201_and_its_location_leads_to_it(api, queue):
    answer = api.post("/v1/tasks", {"queue": queue, "payload": {"to": "ada"}})

    submitted = value_of(answer, 201)
    assert answer.headers["Location"] == f"/v1/tasks/{submitted['id']}"
    task = value_of(api.get(answer.headers["Location"]))
    assert (task["queue"], task["state"], task["payload"]) == (queue, "queued", {"to": "ada"})


def test_every_field_of_a_task_comes_back_as_it_was_given(api, queue):
    task_id = api.submit(queue, **FIELDS)

    task = api.task(task_id)
    assert {name: task[name] for name in FIELDS} == FIELDS


def test_a_task_that_says_nothing_has_the_defaults_of_the_document(api, document, queue):
    task = api.task(api.submit(queue))

    fields = document.json["components"]["schemas"]["NewTask"]["properties"]
    backoff = document.json["components"]["schemas"]["Backoff"]["properties"]
    assert task["priority"] == document.json["components"]["schemas"]["Priority"]["default"]
    assert task["max_attempts"] == fields["max_attempts"]["default"]
    assert task["backoff"] == {name: part["default"] for name, part in backoff.items()}
    assert "timeout_ms" not in task


@pytest.mark.parametrize(
    ("given", "back", "content_type"),
    [
        ({"payload": {"a": [1, 2.5, None, "ü"]}}, {"payload": {"a": [1, 2.5, None, "ü"]}}, JSON),
        ({"payload": None}, {"payload": None}, JSON),
        ({"payload": "text"}, {"payload": "text"}, JSON),
        ({"payload_text": "grüß"}, {"payload_text": "grüß"}, "text/plain"),
        ({"payload_base64": "//4A"}, {"payload_base64": "//4A"}, None),
        ({"payload_base64": "aGk="}, {"payload_text": "hi"}, None),
        ({"payload_text": "{", "content_type": JSON}, {"payload_text": "{"}, JSON),
        ({"payload_text": "[1]", "content_type": JSON}, {"payload": [1]}, JSON),
        ({}, {"payload_text": ""}, None),
    ],
)
def test_a_payload_comes_back_as_json_as_text_or_as_base64(api, queue, given, back, content_type):
    task_id = api.submit(queue, **given)

    for task in (api.task(task_id), api.claim(queue)):
        assert {name: task[name] for name in task if name.startswith("payload")} == back
        assert task.get("content_type") == content_type


def test_a_delayed_task_is_scheduled_and_says_when_it_is_due(api, queue):
    task = api.task(api.submit(queue, delay_ms=3_600_000))

    assert task["state"] == "scheduled"
    assert task["due"] > task["submitted"]
    assert api.claim_all(queue) == []


def test_a_date_to_come_is_kept_to_the_millisecond(api, queue):
    date = "2027-01-31T12:00:00.125Z"

    task = api.task(api.submit(queue, not_before=date, expires_at="2027-02-01T00:00:00+01:00"))

    assert task["not_before"] == date
    # The clock of dates is slewed while the engine's own is not; they are 50 ms apart at most.
    assert date <= task["due"] <= "2027-01-31T12:00:00.175Z"
    assert task["expires_at"].startswith("2027-01-31T23:00:00")


def test_the_same_id_with_the_same_task_is_the_same_task(api, queue):
    task = {"id": new_task_id(), "queue": queue, "payload": 1}

    first = value_of(api.post("/v1/tasks", task), 201)
    again = api.post("/v1/tasks", task)

    assert first == {"id": task["id"], "repeated": False}
    assert value_of(again, 200) == {"id": task["id"], "repeated": True}
    assert again.headers["Location"] == f"/v1/tasks/{task['id']}"
    assert api.queue(queue)["queued"] == 1


def test_the_same_id_with_another_task_is_refused_and_the_first_stays(api, queue):
    task_id = new_task_id()
    api.submit(queue, id=task_id, payload=1)

    refused(
        api.post("/v1/tasks", {"id": task_id, "queue": queue, "payload": 2}), 409, "already_exists"
    )
    refused(
        api.post(f"/v1/queues/{queue}/tasks", {"id": task_id, "payload": 2}), 409, "already_exists"
    )
    assert api.task(task_id)["payload"] == 1


def test_a_batch_is_accepted_or_refused_task_by_task(api, queue):
    taken = new_task_id()
    api.submit(queue, id=taken)
    too_large = {"payload_text": "x" * (2**20 + 1)}
    tasks = [{"payload": 1}, too_large, {"id": taken}, {"id": taken, "payload": 2}]

    many = value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": tasks}))

    assert errors_of(many) == [None, "payload_too_large", None, "already_exists"]
    assert [item.get("repeated") for item in many["tasks"]] == [False, None, True, None]
    assert api.queue(queue)["queued"] == 2


def test_a_batch_may_name_a_queue_for_each_task(api, queue, other_queue):
    tasks = [{"queue": queue}, {"queue": other_queue, "payload": 1}]

    many = value_of(api.post("/v1/tasks", {"tasks": tasks}))

    assert [api.task(item["id"])["queue"] for item in many["tasks"]] == [queue, other_queue]


def test_a_thousand_tasks_go_into_one_request_and_one_more_does_not(api, queue):
    many = value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 1000}))
    assert len({item["id"] for item in many["tasks"]}) == 1000

    invalid(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 1001}), "tasks")
    invalid(api.post(f"/v1/queues/{queue}/tasks", {"tasks": []}), "tasks")
    assert api.queue(queue)["queued"] == 1000


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"priority": "huge"}, "priority"),
        ({"priority": 1}, "priority"),
        ({"delay_ms": "5s"}, "delay_ms"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"delay_ms": 0.5}, "delay_ms"),
        ({"not_before": "tomorrow"}, "not_before"),
        ({"id": "1"}, "id"),
        ({"payload_base64": "?"}, "payload_base64"),
        ({"headers": {"a": 1}}, "headers.a"),
        ({"headers": []}, "headers"),
        ({"backoff": {"times": 3}}, "backoff.times"),
        ({"payload": 1, "payload_text": "1"}, "payload_text"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 1001}, "max_attempts"),
        ({"backoff": {"factor": 0.5}}, "backoff.factor"),
        ({"backoff": {"jitter": 1.5}}, "backoff.jitter"),
        ({"delay_ms": 31_622_400_001}, "delay_ms"),
        ({"type": "x" * 257}, "type"),
        ({"content_type": "a\nb"}, "content_type"),
        ({"id": "01900000-0000-4000-8000-000000000000"}, "id"),
        ({"reply_to": "no queue"}, "reply_to"),
        ({"headers": {f"h{i}": "" for i in range(33)}}, "headers"),
        ({"delay_ms": 1, "not_before": "2027-01-01T00:00:00Z"}, "not_before"),
        ({"expires_in_ms": 1, "expires_at": "2027-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_a_field_that_is_wrong_is_named_alone_and_in_a_batch(api, queue, task, field):
    answers = [
        (api.post(f"/v1/queues/{queue}/tasks", task), field),
        (api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}, task]}), f"tasks[1].{field}"),
    ]

    for answer, name in answers:
        assert refused(answer, 400, "invalid_argument")["field"] == name
    refused(api.get(f"/v1/queues/{queue}"), 404, "not_found")  # nothing of the batch was taken


@pytest.mark.parametrize("name", ["", "a b", "ä", pytest.param("x" * 129, id="too long")])
def test_what_is_no_name_of_a_queue_is_refused(api, name):
    assert "queue" in invalid(api.post("/v1/tasks", {"queue": name}), "queue")["detail"]


def test_a_task_without_a_queue_is_refused(api):
    invalid(api.post("/v1/tasks", {"payload": 1}), "queue")


def test_a_queue_in_the_body_has_to_be_that_of_the_path(api, queue, other_queue):
    done_with = api.post(f"/v1/queues/{queue}/tasks", {"queue": queue})
    assert done_with.status_code == 201

    answer = api.post(f"/v1/queues/{queue}/tasks", {"queue": other_queue})
    refused(answer, 400, "invalid_argument", "queue")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"a": 1} {}', '{"payload": NaN}', '{"type": "a", "type": "b"}']
)
def test_what_is_no_json_object_is_refused(api, queue, text):
    refused(api.send(f"/v1/queues/{queue}/tasks", text, JSON), 400, "invalid_argument")


def test_json_that_is_nested_too_deep_is_refused(api, queue):
    text = '{"payload": ' + "[" * 40 + "]" * 40 + "}"

    refused(api.send(f"/v1/queues/{queue}/tasks", text, JSON), 400, "invalid_argument")


def test_json_in_bytes_that_are_not_utf_8_is_refused(api, queue):
    text = b'{"payload_text": "\xff"}'

    refused(api.send(f"/v1/queues/{queue}/tasks", text, JSON), 400, "invalid_argument")


def test_a_payload_of_a_mebibyte_is_taken_and_one_byte_more_is_not(api, queue):
    api.submit(queue, payload_text="x" * 1024 * 1024)

    answer = api.post(f"/v1/queues/{queue}/tasks", {"payload_text": "x" * (1024 * 1024 + 1)})
    refused(answer, 413, "payload_too_large")
    answer = api.post("/v1/tasks", {"queue": queue, "payload_text": "x" * (1024 * 1024 + 1)})
    refused(answer, 413, "payload_too_large")


def test_a_full_queue_is_429_and_what_is_there_stays(idle_server, document, queue):
    idle_server.start("--set", "limits.unfinished_per_queue_max=2")
    api = Client(idle_server, document)
    first = api.submit(queue)
    api.submit(queue)

    answer = api.post(f"/v1/queues/{queue}/tasks", {})
    refused(answer, 429, "queue_full")
    refused(api.post("/v1/tasks", {"queue": queue}), 429, "queue_full")
    done(api.act("cancel", first))
    api.submit(queue)
