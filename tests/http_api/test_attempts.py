"""What a worker says about the attempt whose lease it holds, one by one and many at once."""

import pytest
from api_client import JSON, done, errors_of, invalid, refused, value_of
from task_ids import new_task_id

LONG = "5m"  # longer than any test takes

# What is enough to say for each verb.
LEAST = {
    "succeed": {},
    "fail": {},
    "release": {},
    "extend": {},
    "progress": {"fraction": 0.5},
    "output": {"output_text": "."},
}


# --- Succeed ---


def test_a_success_is_durable_and_may_be_repeated(api, queue):
    claimed = api.running(queue)

    done(api.say("succeed", claimed, result=[1]))
    done(api.say("succeed", claimed, result=[1]))

    assert api.task(claimed["id"])["result"] == [1]
    assert api.queue(queue)["succeeded"] == 1


def test_a_success_that_says_something_else_is_no_repeat(api, queue):
    claimed = api.running(queue)
    done(api.say("succeed", claimed, result=[1]))

    refused(api.say("succeed", claimed, result=[2]), 409, "lease_lost")
    refused(api.say("fail", claimed, error="no"), 409, "lease_lost")
    assert api.task(claimed["id"])["result"] == [1]


def test_a_raw_result_is_kept_as_it_is(api, queue):
    claimed = api.running(queue)
    path, query = f"/v1/tasks/{claimed['id']}/succeed", {"token": claimed["token"]}

    done(api.send(path, b"\xff\x00", "image/png; a=b", params=query))

    answer = api.get(f"/v1/tasks/{claimed['id']}/result")
    assert (answer.content, answer.headers["Content-Type"]) == (b"\xff\x00", "image/png; a=b")


def test_a_result_beyond_the_limit_is_413_and_the_lease_stays(api, queue):
    claimed = api.running(queue)

    answer = api.say("succeed", claimed, result_text="x" * (1024 * 1024 + 1))
    refused(answer, 413, "payload_too_large")

    done(api.say("succeed", claimed, result_text="x" * 1024 * 1024))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"result": 1, "result_text": "1"}, "result"),
        ({"result_text": 1}, "result_text"),
        ({"result_base64": "?"}, "result_base64"),
        ({"content_type": 1}, "content_type"),
        ({"error": "no"}, "error"),
    ],
)
def test_a_result_of_another_form_is_refused_and_the_lease_stays(api, queue, fields, field):
    claimed = api.running(queue)

    invalid(api.say("succeed", claimed, **fields), field)
    done(api.say("succeed", claimed))


def test_a_reply_goes_to_the_queue_that_the_task_named(api, queue, other_queue):
    claimed = api.running(queue, reply_to=other_queue)

    done(api.say("succeed", claimed, result={"n": 1}))

    assert api.claim(other_queue)["parent"] == claimed["id"]


# --- Fail ---


def test_a_failed_attempt_is_followed_by_another_after_the_back_off(api, queue):
    claimed = api.running(queue, backoff={"initial_ms": 3_600_000, "max_ms": 3_600_000})

    done(api.say("fail", claimed, error="no connection"))

    task = api.task(claimed["id"])
    assert (task["state"], task["error"]) == ("scheduled", "no connection")
    assert task["due"] > task["changed"]


def test_a_failure_may_say_when_the_next_attempt_comes(api, queue):
    claimed = api.running(queue, backoff={"initial_ms": 3_600_000, "max_ms": 3_600_000})

    done(api.say("fail", claimed, retry_in_ms=0))

    assert api.claim(queue, wait=LONG)["attempt"] == 2


def test_a_failure_without_a_retry_is_for_good(api, queue):
    claimed = api.running(queue)

    done(api.say("fail", claimed, error="no such address", retry=False))

    task = api.task(claimed["id"])
    assert (task["state"], task["error"]) == ("failed", "no such address")


def test_the_last_attempt_that_fails_is_for_good(api, queue):
    claimed = api.running(queue, max_attempts=1)

    done(api.say("fail", claimed))

    assert api.state(claimed["id"]) == "failed"


def test_a_long_error_is_cut_off_and_not_refused(api, queue):
    claimed = api.running(queue)

    done(api.say("fail", claimed, error="x" * 100_000, retry=False))

    assert api.task(claimed["id"])["error"].startswith("x" * 4000)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"error": 1}, "error"),
        ({"retry": "no"}, "retry"),
        ({"retry_in_ms": -1}, "retry_in_ms"),
        ({"retry_in_ms": "5s"}, "retry_in_ms"),
        ({"result": 1}, "result"),
    ],
)
def test_a_failure_of_another_form_is_refused_and_the_lease_stays(api, queue, fields, field):
    claimed = api.running(queue)

    invalid(api.say("fail", claimed, **fields), field)
    done(api.say("succeed", claimed))


def test_no_retry_and_a_time_for_it_contradict_each_other(api, queue):
    answer = api.say("fail", api.running(queue), retry=False, retry_in_ms=5)

    refused(answer, 400, "invalid_argument", "retry_in_ms")


# --- Release, extend, progress ---


def test_a_released_task_goes_to_the_next_and_the_attempt_does_not_count(api, queue):
    claimed = api.running(queue)

    done(api.say("release", claimed))

    again = api.claim(queue)
    assert (again["id"], again["attempt"]) == (claimed["id"], 1)
    assert again["token"] != claimed["token"]


def test_a_task_may_be_released_for_later(api, queue):
    claimed = api.running(queue)

    done(api.say("release", claimed, delay_ms=3_600_000))

    assert api.state(claimed["id"]) == "scheduled"
    assert api.claim_all(queue) == []


@pytest.mark.parametrize("lease", [0, 1, 9_000_000_000_000_000, None])
def test_an_extension_beyond_the_bounds_is_moved_to_them(api, queue, lease):
    claimed = api.running(queue)

    done(api.say("extend", claimed, lease_ms=lease))


@pytest.mark.parametrize(("verb", "field"), [("extend", "lease_ms"), ("release", "delay_ms")])
@pytest.mark.parametrize("value", [-1, "5s", 0.5, True])
def test_a_span_is_a_whole_number_of_milliseconds(api, queue, verb, field, value):
    invalid(api.say(verb, api.running(queue), **{field: value}), field)


@pytest.mark.parametrize(
    "fields", [{}, {"fraction": 1.1}, {"fraction": -0.1}, {"fraction": "half"}]
)
def test_a_progress_is_a_fraction(api, queue, fields):
    invalid(api.say("progress", api.running(queue), **fields), "fraction")


def test_a_note_of_progress_that_is_too_long_is_refused(api, queue):
    invalid(api.say("progress", api.running(queue), fraction=0.5, note="x" * 257))


# --- All of them ---


@pytest.mark.parametrize(
    ("verb", "fields"),
    [("fail", {"retry_in_ms": 0}), ("fail", {"retry": False}), ("release", {}), ("succeed", {})],
)
def test_a_settle_whose_answer_was_lost_may_be_repeated(api, queue, verb, fields):
    claimed = api.running(queue)

    done(api.say(verb, claimed, **fields))
    after = api.task(claimed["id"])
    done(api.say(verb, claimed, **fields))

    assert len(api.task(claimed["id"])["attempts"]) == len(after["attempts"])


@pytest.mark.parametrize("verb", LEAST)
def test_a_token_may_stand_in_the_query(api, queue, verb):
    claimed = api.running(queue)
    path, query = f"/v1/tasks/{claimed['id']}/{verb}", {"token": claimed["token"]}

    done(api.post(path, LEAST[verb], params=query))


@pytest.mark.parametrize("verb", ["succeed", "fail", "release", "extend"])
def test_a_body_may_be_left_out_where_there_is_nothing_to_say(api, queue, verb):
    claimed = api.running(queue)

    done(api.post(f"/v1/tasks/{claimed['id']}/{verb}", params={"token": claimed["token"]}))


@pytest.mark.parametrize("verb", LEAST)
def test_without_a_token_nothing_is_said(api, queue, verb):
    claimed = api.running(queue)
    path = f"/v1/tasks/{claimed['id']}/{verb}"

    refused(api.post(path, LEAST[verb]), 400, "invalid_argument", "token")
    for token in ("", "0", "x", "1.x"):
        answer = api.post(path, LEAST[verb] | {"token": token})
        refused(answer, 400, "invalid_argument", "token")


@pytest.mark.parametrize("verb", LEAST)
def test_the_token_of_another_task_is_no_lease(api, queue, other_queue, verb):
    mine, other = api.running(queue), api.running(other_queue)

    refused(api.say(verb, mine | {"token": other["token"]}, **LEAST[verb]), 409, "lease_lost")
    refused(api.say(verb, mine | {"id": new_task_id()}, **LEAST[verb]), 409, "lease_lost")
    assert {api.state(mine["id"]), api.state(other["id"])} == {"running"}


@pytest.mark.parametrize("verb", LEAST)
@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_what_is_no_json_object_is_refused(api, queue, verb, text):
    claimed = api.running(queue)
    path = f"/v1/tasks/{claimed['id']}/{verb}?token={claimed['token']}"

    invalid(api.send(path, text, JSON))
    assert api.state(claimed["id"]) == "running"


@pytest.mark.parametrize("verb", ["fail", "release", "extend", "progress"])
def test_a_raw_body_is_taken_only_where_it_has_a_meaning(api, queue, verb):
    claimed = api.running(queue)
    path = f"/v1/tasks/{claimed['id']}/{verb}?token={claimed['token']}"

    refused(api.send(path, "text", "text/plain"), 415, "invalid_argument", "Content-Type")
    assert api.state(claimed["id"]) == "running"


# --- Many at once ---


def many(api, verb, items):
    changed = value_of(api.post(f"/v1/tasks/{verb}", {"tasks": items}))
    assert [item["id"] for item in changed["tasks"]] == [item["id"] for item in items]
    return errors_of(changed)


def item(claimed, **fields):
    return {"id": claimed["id"], "token": claimed["token"]} | fields


@pytest.mark.parametrize("verb", LEAST)
def test_many_are_answered_each_for_itself(api, queue, verb):
    value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 3}))
    claimed = api.claim_all(queue, max=3)
    lost = claimed[1] | {"token": claimed[0]["token"]}

    items = [item(each, **LEAST[verb]) for each in (claimed[0], lost, claimed[2])]

    assert many(api, verb, items) == [None, "lease_lost", None]
    assert api.state(claimed[1]["id"]) == "running"


def test_many_succeed_each_with_its_result(api, queue):
    value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 3}))
    claimed = api.claim_all(queue, max=3)
    results = [{"result": 1}, {"result_text": "2"}, {"result_base64": "/w=="}]

    items = [item(each, **result) for each, result in zip(claimed, results)]

    assert many(api, "succeed", items) == [None, None, None]
    for each, result in zip(claimed, results):
        assert api.task(each["id"]).items() >= result.items()


@pytest.mark.parametrize("verb", LEAST)
def test_one_of_many_without_an_id_or_a_token_refuses_them_all(api, queue, verb):
    claimed = api.running(queue)
    least = item(claimed, **LEAST[verb])
    for wrong, field in (
        ({"id": claimed["id"]}, "tasks[1].token"),
        ({"token": claimed["token"]}, "tasks[1].id"),
        ({"id": "17", "token": claimed["token"]}, "tasks[1].id"),
        (least | {"nonsense": 1}, "tasks[1].nonsense"),
        (17, "tasks[1]"),
    ):
        wrong = LEAST[verb] | wrong if isinstance(wrong, dict) else wrong
        invalid(api.post(f"/v1/tasks/{verb}", {"tasks": [least, wrong]}), field)

    assert api.state(claimed["id"]) == "running"


@pytest.mark.parametrize("verb", [*LEAST, "cancel", "retry", "delete"])
def test_many_are_json_alone(api, verb):
    answer = api.send(f"/v1/tasks/{verb}", "text", "text/plain")

    refused(answer, 415, "invalid_argument", "Content-Type")


@pytest.mark.parametrize("verb", LEAST)
def test_more_than_a_thousand_are_refused(api, verb):
    items = [{"id": new_task_id(), "token": "1"} | LEAST[verb]] * 1001

    invalid(api.post(f"/v1/tasks/{verb}", {"tasks": items}), "tasks")
