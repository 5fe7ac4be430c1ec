"""Handing in a payload as it is, with the rest of the task in the query."""

import pytest
from api_client import invalid, refused, value_of

BYTES = bytes(range(256))


def test_a_body_that_is_not_json_is_the_payload_with_its_media_type(api, queue):
    for path, query in ((f"/v1/queues/{queue}/tasks", {}), ("/v1/tasks", {"queue": queue})):
        answer = api.send(path, BYTES, "image/png", params=query)

        task = api.task(value_of(answer, 201)["id"])
        assert task["content_type"] == "image/png"
        assert "payload_base64" in task
        assert answer.headers["Location"] == f"/v1/tasks/{task['id']}"


def test_the_fields_of_the_task_stand_in_the_query(api, queue):
    query = {
        "type": "a b+c",
        "priority": "urgent",
        "max_attempts": "5",
        "delay_ms": "3600000",
        "headers.traceparent": "00-1",
        "from": "ä",
    }

    answer = api.send(f"/v1/queues/{queue}/tasks", "hi", "text/plain", params=query)

    task = api.task(value_of(answer, 201)["id"])
    assert (task["type"], task["priority"], task["max_attempts"]) == ("a b+c", "urgent", 5)
    assert (task["headers"], task["from"]) == ({"traceparent": "00-1"}, "ä")
    assert (task["payload_text"], task["state"]) == ("hi", "scheduled")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"nonsense": "1"}, "nonsense"),
        ({"delay_ms": "5s"}, "delay_ms"),
        ({"payload_text": "x"}, "payload_text"),
        ({"backoff": "{}"}, "backoff"),
        ({"headers": "{}"}, "headers"),
        ({"priority": "huge"}, "priority"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(api, queue, query, field):
    answer = api.send(f"/v1/queues/{queue}/tasks", "x", "text/plain", params=query)

    invalid(answer, field)


def test_a_parameter_that_stands_there_twice_is_refused(api, queue):
    answer = api.send(f"/v1/queues/{queue}/tasks?type=a&type=b", "x", "text/plain")

    refused(answer, 400, "invalid_argument", "type")


def test_parameters_beside_a_json_body_are_refused_rather_than_ignored(api, queue):
    answer = api.post(f"/v1/queues/{queue}/tasks", {}, params={"priority": "high"})

    refused(answer, 400, "invalid_argument", "priority")


# curl sends this for -d where nobody says what it is.
def test_the_media_type_of_html_forms_is_refused_because_json_was_meant(api, queue):
    for path in (f"/v1/queues/{queue}/tasks", f"/v1/tasks?queue={queue}"):
        answer = api.send(path, '{"payload": 1}', "application/x-www-form-urlencoded")

        refused(answer, 415, "invalid_argument", "Content-Type")
    refused(api.get(f"/v1/queues/{queue}"), 404, "not_found")


def test_the_media_type_of_html_forms_is_no_result_and_no_output_either(api, queue):
    claimed = api.running(queue)
    for verb in ("output", "succeed"):
        path = f"/v1/tasks/{claimed['id']}/{verb}?token={claimed['token']}"
        answer = api.send(path, "text", "application/x-www-form-urlencoded")

        refused(answer, 415, "invalid_argument", "Content-Type")
    assert api.state(claimed["id"]) == "running"


def test_a_raw_payload_beyond_the_limit_is_413(api, queue):
    answer = api.send(f"/v1/queues/{queue}/tasks", b"x" * (1024 * 1024 + 1), "text/plain")

    refused(answer, 413, "payload_too_large")
