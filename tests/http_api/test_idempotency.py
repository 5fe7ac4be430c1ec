"""Idempotency-Key: a request that is repeated is the same task."""

import pytest
from api_client import errors_of, invalid, refused, value_of
from jack_server import at_once


def submit(api, queue, key, **task):
    return api.post(f"/v1/queues/{queue}/tasks", task, headers={"Idempotency-Key": key})


def test_a_repeat_under_the_same_key_is_the_same_task(api, queue):
    first = value_of(submit(api, queue, "a key", payload=1), 201)
    again = value_of(submit(api, queue, "a key", payload=1), 200)

    assert again == {"id": first["id"], "repeated": True}
    assert api.queue(queue)["queued"] == 1


def test_another_key_is_another_task(api, queue):
    ids = {value_of(submit(api, queue, f"{queue}-{i}"), 201)["id"] for i in range(3)}

    assert len(ids) == 3


def test_another_task_under_the_same_key_is_refused(api, queue, other_queue):
    value_of(submit(api, queue, queue, payload=1), 201)

    refused(submit(api, queue, queue, payload=2), 409, "already_exists")
    refused(submit(api, other_queue, queue, payload=1), 409, "already_exists")


def test_repeats_at_the_same_time_are_one_task(api, queue):
    answers = at_once(
        *(lambda: submit(api.another(), queue, queue, payload=1) for _ in range(8))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({value_of(answer, answer.status_code)["id"] for answer in answers}) == 1
    assert api.queue(queue)["queued"] == 1


def test_a_repeat_is_known_after_the_task_has_ended_and_the_server_was_killed(own_api, queue):
    first = value_of(submit(own_api, queue, "k", payload=1), 201)
    claimed = own_api.claim(queue)
    own_api.say("succeed", claimed)
    own_api.server.kill()
    own_api.server.start()

    assert value_of(submit(own_api, queue, "k", payload=1), 200)["id"] == first["id"]
    assert own_api.claim_all(queue) == []


def test_a_batch_under_a_key_is_repeated_as_a_whole(api, queue):
    body = {"tasks": [{"payload": 1}, {"payload": 2}]}
    headers = {"Idempotency-Key": queue}

    first = value_of(api.post(f"/v1/queues/{queue}/tasks", body, headers=headers))
    again = value_of(api.post(f"/v1/queues/{queue}/tasks", body, headers=headers))

    assert [item["id"] for item in again["tasks"]] == [item["id"] for item in first["tasks"]]
    assert [item["repeated"] for item in again["tasks"]] == [True, True]
    body["tasks"][1]["payload"] = 3
    other = value_of(api.post(f"/v1/queues/{queue}/tasks", body, headers=headers))
    assert errors_of(other) == [None, "already_exists"]


def test_a_raw_body_has_a_key_as_well(api, queue):
    path, headers = f"/v1/queues/{queue}/tasks", {"Content-Type": "text/plain"}
    headers["Idempotency-Key"] = queue

    first = value_of(api.post(path, body="hi", headers=headers), 201)
    again = value_of(api.post(path, body="hi", headers=headers), 200)

    assert again["id"] == first["id"]
    refused(api.post(path, body="ho", headers=headers), 409, "already_exists")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(api, queue, key):
    invalid(submit(api, queue, key), "Idempotency-Key")

    value_of(submit(api, queue, queue.ljust(255, "x")), 201)


def test_the_same_key_of_another_api_key_is_another_task(own_server, own_api, queue):
    ada, bob = (own_api.another(X_API_Key=own_server.new_key(name)) for name in ("ada", "bob"))

    of_ada = value_of(submit(ada, queue, "k", payload="a secret"), 201)
    of_bob = value_of(submit(bob, queue, "k", payload="something else"), 201)

    assert of_ada["id"] != of_bob["id"]
    assert value_of(submit(ada, queue, "k", payload="a secret"), 200)["id"] == of_ada["id"]


def test_a_key_that_may_only_submit_hears_the_id_of_its_repeat(own_server, own_api, queue):
    ada = own_api.another(X_API_Key=own_server.new_key("ada", "--scope", "submit"))

    first = value_of(submit(ada, queue, "k"), 201)

    assert value_of(submit(ada, queue, "k"), 200)["id"] == first["id"]
