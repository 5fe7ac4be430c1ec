"""Looking at tasks: one of them, its result, its attempts, and lists."""

import datetime

import pytest
from api_client import done, in_background, invalid, refused, until, value_of
from jack_server import PATIENCE
from task_ids import new_task_id

LONG = "5m"  # longer than any test takes
BYTES = "application/octet-stream"


def waits(api):
    """How many requests wait for the end of a task."""
    return int(value_of(api.get("/v1/engine"))["waits"])


def wait_in_background(api, path):
    """A request that is waiting, as the engine sees it."""
    before = waits(api)
    answer = in_background(lambda: api.another().get(path, params={"wait": LONG}))
    until(lambda: waits(api) > before)
    return answer


# --- One task ---


@pytest.mark.parametrize("part", ["", "/result", "/history", "/output", "/output?follow=true"])
def test_what_is_about_no_task_is_404(api, part):
    refused(api.get(f"/v1/tasks/{new_task_id()}{part}"), 404, "not_found")


@pytest.mark.parametrize("part", ["", "/result", "/history", "/output"])
def test_what_is_no_id_of_a_task_is_refused(api, part):
    invalid(api.get(f"/v1/tasks/17{part}"), "id")


@pytest.mark.parametrize("part", ["", "/result"])
@pytest.mark.parametrize("query", [{"wait": "5"}, {"wait": "soon"}, {"wait": "-1s"}, {"for": "1s"}])
def test_a_wait_that_is_no_duration_is_refused(api, queue, part, query):
    answer = api.get(f"/v1/tasks/{api.submit(queue)}{part}", params=query)

    invalid(answer, *query)


@pytest.mark.parametrize("part", ["/history?x=1", "/output?x=1", "/output?offset=-1"])
def test_a_parameter_that_is_not_known_is_refused_rather_than_ignored(api, queue, part):
    invalid(api.get(f"/v1/tasks/{api.submit(queue)}{part}"))


def test_a_running_task_tells_of_its_worker_its_progress_and_its_attempt(api, queue):
    claimed = api.running(queue)
    done(api.say("progress", claimed, fraction=0.25, note="a quarter"))

    task = api.task(claimed["id"])

    assert (task["state"], task["attempt"], task["worker"]) == ("running", 1, "http")
    assert (task["progress"], task["progress_note"]) == (0.25, "a quarter")


def test_a_wait_ends_with_the_task(api, queue):
    claimed = api.running(queue)
    task = wait_in_background(api, f"/v1/tasks/{claimed['id']}")
    result = wait_in_background(api, f"/v1/tasks/{claimed['id']}/result")

    done(api.say("succeed", claimed, result={"n": 1}))

    assert value_of(task.result(PATIENCE))["result"] == {"n": 1}
    assert value_of(result.result(PATIENCE)) == {"n": 1}


def test_a_wait_that_is_over_tells_how_the_task_is_then(api, queue):
    task_id = api.submit(queue)

    assert api.task(task_id, wait="10ms")["state"] == "queued"
    answer = api.get(f"/v1/tasks/{task_id}/result", params={"wait": "10ms"})
    refused(answer, 409, "failed_precondition")


def test_a_wait_is_answered_when_the_server_stops(own_api, queue):
    task_id = own_api.submit(queue)
    task = wait_in_background(own_api, f"/v1/tasks/{task_id}")
    result = wait_in_background(own_api, f"/v1/tasks/{task_id}/result")

    own_api.server.stop()

    assert value_of(task.result(PATIENCE))["state"] == "queued"
    assert result.result(PATIENCE).status_code in (409, 503)


# --- Results ---


@pytest.mark.parametrize(
    ("given", "body", "content_type", "field", "value"),
    [
        ({"result": {"a": 1}}, b'{"a":1}', "application/json", "result", {"a": 1}),
        ({"result": None}, b"null", "application/json", "result", None),
        ({"result_text": "grüß"}, "grüß".encode(), "text/plain", "result_text", "grüß"),
        ({"result_base64": "//4A"}, b"\xff\xfe\0", BYTES, "result_base64", "//4A"),
        ({"result_base64": "aGk=", "content_type": "a/b"}, b"hi", "a/b", "result_text", "hi"),
        ({}, b"", BYTES, "result_text", ""),
    ],
)
def test_a_result_is_given_as_it_was_and_within_the_task(
    api, queue, given, body, content_type, field, value
):
    task_id = api.succeeded(queue, **given)

    answer = api.get(f"/v1/tasks/{task_id}/result")
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["Content-Type"] == content_type
    task = api.task(task_id)
    assert (task["state"], task[field]) == ("succeeded", value)


# What a worker returned comes from the address of the API: as a page there, it could do all that
# the API can.
def test_a_result_that_is_a_web_page_has_no_power_in_a_browser(api, queue):
    claimed = api.running(queue)
    page = "<script>fetch('/v1/tasks')</script>"
    path = f"/v1/tasks/{claimed['id']}/succeed"
    done(api.send(path, page, "text/html", params={"token": claimed["token"]}))

    answer = api.get(f"/v1/tasks/{claimed['id']}/result")

    assert answer.text == page
    policy = answer.headers.get("Content-Security-Policy", "")
    disposition = answer.headers.get("Content-Disposition", "")
    assert "sandbox" in policy or disposition.startswith("attachment")


def test_a_task_that_did_not_succeed_has_no_result(api, queue):
    task_id = api.submit(queue)
    done(api.act("cancel", task_id, params={"reason": "not needed"}))

    problem = refused(api.get(f"/v1/tasks/{task_id}/result"), 409, "failed_precondition")
    assert "not needed" in problem["detail"]


# --- Attempts ---


def test_the_history_has_each_attempt_that_counts_and_has_ended(api, queue):
    claimed = api.running(queue, backoff={"initial_ms": 0})
    done(api.say("fail", claimed, error="no", retry_in_ms=0))
    done(api.say("release", api.claim(queue, wait=LONG)))
    done(api.say("succeed", api.claim(queue, wait=LONG)))

    history = value_of(api.get(f"/v1/tasks/{claimed['id']}/history"))

    outcomes = [(each["attempt"], each["outcome"]) for each in history["attempts"]]
    assert outcomes == [(1, "failed"), (2, "succeeded")]
    assert history["attempts"][0]["error"] == "no"
    assert (history["state"], history["cycle"]) == ("succeeded", 1)


# --- Lists ---


def ids_of(page):
    return [task["id"] for task in page["tasks"]]


def test_a_list_has_the_newest_first_page_by_page_without_gaps(api, queue):
    ids = [api.submit(queue, payload=i) for i in range(7)]

    pages, cursor = [], {}
    while cursor is not None:
        page = api.list(queue=queue, limit=3, **cursor)
        pages.append(ids_of(page))
        cursor = {"cursor": page["next"]} if "next" in page else None

    assert [task_id for page in pages for task_id in page] == ids[::-1]
    assert max(map(len, pages)) == 3


def test_tasks_that_come_between_two_pages_shift_nothing(api, queue):
    ids = [api.submit(queue) for _ in range(4)]
    first = api.list(queue=queue, limit=2)
    api.submit(queue)

    second = api.list(queue=queue, limit=2, cursor=first["next"])

    assert ids_of(first) + ids_of(second) == ids[::-1]


def test_filters_of_a_list_hold_together(api, queue, other_queue):
    parent = api.submit(other_queue)
    api.submit(queue, type="a")
    wanted = api.submit(queue, type="a", parent=parent)
    api.submit(queue, type="b", parent=parent)
    api.submit(other_queue, type="a", parent=parent)

    assert ids_of(api.list(queue=queue, type="a", parent=parent)) == [wanted]


def test_a_list_by_state_and_by_whether_tasks_have_ended(api, queue):
    ended = api.succeeded(queue)
    later = api.submit(queue, delay_ms=3_600_000)
    queued = api.submit(queue)

    assert ids_of(api.list(queue=queue, state="succeeded")) == [ended]
    assert ids_of(api.list(queue=queue, state="scheduled")) == [later]
    assert ids_of(api.list(queue=queue, finished="false")) == [queued, later]
    assert ids_of(api.list(queue=queue, finished="true")) == [queued, later, ended]


def test_a_list_by_date_has_its_beginning_and_not_its_end(api, queue):
    task_id = api.submit(queue)
    made = int(task_id.replace("-", "")[:12], 16)  # milliseconds, as an id tells

    def listed(**bounds):
        def date(ms):
            moment = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"

        return ids_of(api.list(queue=queue, **{name: date(ms) for name, ms in bounds.items()}))

    assert listed(**{"from": made, "to": made + 1}) == [task_id]
    assert listed(**{"from": made}) == listed(to=made + 1) == [task_id]
    assert listed(**{"from": made + 1}) == listed(to=made) == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "many"},
        {"cursor": "1"},
        {"parent": "1"},
        {"state": "done"},
        {"finished": "yes"},
        {"from": "yesterday"},
        {"to": "1"},
        {"nonsense": "1"},
    ],
)
def test_a_filter_that_is_wrong_is_named(api, query):
    invalid(api.get("/v1/tasks", params=query), *query)


def test_a_list_of_what_is_no_queue_is_refused(api):
    invalid(api.get("/v1/tasks", params={"queue": "a b"}), "queue")


def test_head_has_the_head_of_get_and_no_body(api, queue):
    api.submit(queue)
    for path in ("/v1/tasks", f"/v1/queues/{queue}", "/v1/engine", "/healthz", "/openapi.json"):
        answer = api.request("HEAD", path)

        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) > 0
