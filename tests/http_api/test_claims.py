"""Taking tasks, and keeping them."""

import time

import pytest
from api_client import done, in_background, invalid, refused, until, value_of
from jack_server import PATIENCE, at_once

LONG = "5m"  # longer than any test takes


def claim_in_background(api, queue, **query):
    """A claim that is waiting, as the queue sees it."""
    claims = in_background(lambda: api.another().claim_all(queue, wait=LONG, **query))
    until(lambda: api.queue(queue)["workers"] > 0)
    return claims


def emptied(api, queue):
    """A queue that is known, and that has nothing for anybody."""
    done(api.post(f"/v1/queues/{queue}/resume"))
    return queue


def test_a_claimed_task_has_what_was_asked_and_a_lease(api, queue):
    task_id = api.submit(queue, type="t", payload={"a": 1}, headers={"h": "1"})

    claimed = api.claim(queue, lease="45s")

    assert (claimed["id"], claimed["queue"], claimed["attempt"]) == (task_id, queue, 1)
    assert (claimed["type"], claimed["payload"], claimed["headers"]) == ("t", {"a": 1}, {"h": "1"})
    assert claimed["lease_ms"] == 45_000
    assert api.state(task_id) == "running"


def test_a_claim_that_names_no_lease_has_that_of_the_engine(api, queue):
    api.submit(queue)

    assert api.claim(queue)["lease_ms"] == 30_000


def test_a_claim_of_a_queue_without_tasks_is_answered_at_once_with_nothing(api, queue):
    assert api.claim_all(queue) == []
    assert api.claim_all(queue, wait="10ms") == []


# One after the other, each begins when the one before has just ended, whatever the server looks at
# every so often.
def test_a_claim_waits_no_longer_than_it_says(api, queue):
    def seconds():
        begin = time.monotonic()
        assert api.claim_all(queue, wait="10ms") == []
        return time.monotonic() - begin

    assert min([seconds() for _ in range(20)][1:]) < 0.1


# Each claim is repeated so often that one which looks too early would show.
def test_what_is_queued_is_found_by_the_next_claim_every_time(api, queue):
    for _ in range(1500):
        api.submit(queue)

        done(api.say("succeed", api.claim(queue)))


def test_more_urgent_tasks_come_first_and_else_the_older_ones(api, queue):
    priorities = ["normal", "low", "urgent", "normal", "high"]
    ids = [api.submit(queue, priority=priority) for priority in priorities]

    claimed = [task["id"] for task in api.claim_all(queue, max=5)]

    assert claimed == [ids[2], ids[4], ids[0], ids[3], ids[1]]


def test_a_claim_takes_at_most_what_it_asks_for(api, queue):
    for _ in range(5):
        api.submit(queue)

    assert [len(api.claim_all(queue, max=3)) for _ in range(3)] == [3, 2, 0]


def test_a_hundred_tasks_may_be_claimed_at_once(api, queue):
    value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 101}))

    claimed = api.claim_all(queue, max=100)

    assert len({task["token"] for task in claimed}) == 100


def test_no_task_is_handed_out_twice_to_those_who_claim_at_the_same_time(api, queue):
    value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 40}))

    shares = at_once(*(lambda: api.another().claim_all(queue, max=10) for _ in range(8)))

    ids = [task["id"] for share in shares for task in share]
    assert len(ids) == len(set(ids))
    assert len(ids) + len(api.claim_all(queue, max=100)) == 40


def test_a_claim_that_waits_gets_the_task_when_it_comes(api, queue):
    claims = claim_in_background(api, emptied(api, queue))

    task_id = api.submit(queue)

    assert [task["id"] for task in claims.result(PATIENCE)] == [task_id]


def test_a_claim_that_waits_for_many_is_answered_with_the_first(api, queue):
    claims = claim_in_background(api, emptied(api, queue), max=10)

    api.submit(queue)

    assert len(claims.result(PATIENCE)) == 1
    api.submit(queue)
    assert api.claim(queue)["attempt"] == 1  # not withheld for the claim that has been answered


def test_claims_that_wait_are_served_in_turn(api, queue):
    emptied(api, queue)
    claims = [in_background(lambda: api.another().claim_all(queue, wait=LONG)) for _ in range(3)]
    until(lambda: api.queue(queue)["workers"] == 3)

    ids = {api.submit(queue) for _ in range(3)}

    assert {claim.result(PATIENCE)[0]["id"] for claim in claims} == ids


def test_a_task_for_a_client_that_has_left_goes_to_the_next(api, queue):
    emptied(api, queue)
    leaver = api.another()
    with pytest.raises(Exception, match="timed out"):
        leaver.session.post(
            f"{api.server.url}/v1/queues/{queue}/claim", params={"wait": LONG}, timeout=0.2
        )
    until(lambda: api.queue(queue)["workers"] == 0)

    task_id = api.submit(queue)

    assert api.claim(queue)["id"] == task_id


def test_a_claim_that_waits_is_answered_with_nothing_when_the_server_stops(own_api, queue):
    claims = claim_in_background(own_api, emptied(own_api, queue))

    own_api.server.stop()

    assert claims.result(PATIENCE) == []


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(api, queue):
    api.submit(queue)
    done(api.post(f"/v1/queues/{queue}/pause"))
    assert api.claim_all(queue) == []
    claims = in_background(lambda: api.another().claim_all(queue, wait=LONG))

    done(api.post(f"/v1/queues/{queue}/resume"))

    assert len(claims.result(PATIENCE)) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"max": "0"},
        {"max": "101"},
        {"max": "x"},
        {"wait": "5"},
        {"lease": "forever"},
        {"count": "1"},
    ],
)
def test_a_claim_with_a_wrong_parameter_takes_nothing(api, queue, query):
    task_id = api.submit(queue)

    invalid(api.post(f"/v1/queues/{queue}/claim", params=query), *query)
    assert api.state(task_id) == "queued"


@pytest.mark.parametrize("lease", ["999ms", "12h1ms", "0"])
def test_a_lease_shorter_than_a_second_or_longer_than_12_hours_is_refused(api, queue, lease):
    answer = api.post(f"/v1/queues/{queue}/claim", params={"lease": lease})

    refused(answer, 400, "invalid_argument", "lease")


def test_a_claim_says_nothing_in_a_body(api, queue):
    invalid(api.post(f"/v1/queues/{queue}/claim", {"max": 3}))


def test_what_is_no_queue_cannot_be_claimed_from(api):
    invalid(api.post("/v1/queues/a%20b/claim"))


# --- Leases ---


def test_a_task_whose_worker_is_silent_goes_to_the_next_with_another_token(api, queue):
    api.submit(queue, backoff={"initial_ms": 0})
    first = api.claim(queue, lease="1s")

    second = api.claim(queue, wait=LONG)

    assert second["id"] == first["id"]
    assert (second["attempt"], second["token"] != first["token"]) == (2, True)
    for verb, fields in (
        ("succeed", {"result": "late"}),
        ("fail", {"error": "late"}),
        ("release", {}),
        ("extend", {}),
        ("progress", {"fraction": 1}),
        ("output", {"output_text": "late"}),
    ):
        refused(api.say(verb, first, **fields), 409, "lease_lost")
    task = api.task(first["id"])
    assert (task["state"], task["progress"]) == ("running", 0)
    assert task["attempts"][0]["outcome"] == "lost"
    done(api.say("succeed", second))


def test_a_lease_that_is_extended_outlasts_others_that_are_not(api, queue, other_queue):
    api.submit(queue)
    kept = api.claim(queue, lease="1s")
    done(api.say("extend", kept, lease_ms=3_600_000))
    api.submit(other_queue, backoff={"initial_ms": 0})
    api.claim(other_queue, lease="2s")

    api.claim(other_queue, wait=LONG)  # more than the lease has passed

    done(api.say("succeed", kept))


@pytest.mark.parametrize(
    ("verb", "fields"),
    [("output", {"output_text": "."}), ("progress", {"fraction": 0.5}), ("extend", {})],
)
def test_output_progress_and_an_extension_each_keep_a_lease(api, queue, other_queue, verb, fields):
    api.submit(queue)
    kept = api.claim(queue, lease="3s")

    for _ in range(3):  # each time about half of the lease
        api.submit(other_queue, max_attempts=1)
        lost = api.claim(other_queue, lease="1500ms")
        assert api.task(lost["id"], wait=LONG)["state"] == "failed"
        done(api.say(verb, kept, **fields))

    done(api.say("succeed", kept))
