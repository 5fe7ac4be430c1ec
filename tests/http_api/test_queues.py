"""Queues: what they show, pausing them, and emptying them."""

import pytest
from api_client import done, errors_of, invalid, refused, value_of

COUNTS = ["scheduled", "queued", "running", "succeeded", "failed", "cancelled", "expired"]


def counts(api, queue):
    status = api.queue(queue)
    return {name: status[name] for name in COUNTS if status[name]}


def test_a_queue_counts_its_tasks_by_their_states(api, queue):
    api.succeeded(queue)
    done(api.say("fail", api.running(queue), retry=False))
    api.running(queue)
    api.submit(queue, delay_ms=3_600_000)
    api.submit(queue)
    done(api.act("cancel", api.submit(queue)))

    assert counts(api, queue) == {
        "succeeded": 1,
        "failed": 1,
        "running": 1,
        "scheduled": 1,
        "queued": 1,
        "cancelled": 1,
    }


def test_the_list_has_each_queue_as_it_is_alone(api, queue, other_queue):
    api.submit(queue)
    done(api.post(f"/v1/queues/{other_queue}/pause"))

    queues = {each["queue"]: each for each in value_of(api.get("/v1/queues"))["queues"]}

    assert queues[queue]["queued"] == 1
    assert queues[other_queue]["paused"] is True
    assert queues[other_queue] == api.queue(other_queue)


def test_a_queue_that_nothing_has_come_to_is_404(api, queue):
    refused(api.get(f"/v1/queues/{queue}"), 404, "not_found")


def test_pausing_and_resuming_may_be_repeated(api, queue):
    for verb, paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
        done(api.post(f"/v1/queues/{queue}/{verb}"))
        assert api.queue(queue)["paused"] is paused


def test_a_paused_queue_takes_tasks_and_lets_run_what_runs(api, queue):
    claimed = api.running(queue)
    done(api.post(f"/v1/queues/{queue}/pause"))

    api.submit(queue)
    done(api.say("progress", claimed, fraction=0.5))
    done(api.say("succeed", claimed))

    assert counts(api, queue) == {"succeeded": 1, "queued": 1}


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_what_is_no_queue_cannot_be_paused_or_resumed(api, verb):
    invalid(api.post(f"/v1/queues/a%20b/{verb}"))


def test_what_is_no_queue_cannot_be_looked_at(api):
    invalid(api.get("/v1/queues/a%20b"))


@pytest.mark.parametrize("path", ["/v1/queues?x=1", "/v1/engine?x=1", "/v1/queues/q?x=1"])
def test_a_parameter_that_is_not_known_is_refused_rather_than_ignored(api, path):
    api.submit("q")

    invalid(api.get(path), "x")


# --- Emptying ---


def purge(api, queue, **query):
    return api.delete(f"/v1/queues/{queue}/tasks", params=query)


def test_a_purge_cancels_what_waits_and_lets_run_what_runs(api, queue, other_queue):
    claimed = api.running(queue)
    ended = api.succeeded(other_queue)
    waiting = [api.submit(queue), api.submit(queue, delay_ms=3_600_000)]
    other = api.submit(other_queue)

    assert value_of(purge(api, queue, confirm=queue)) == {"cancelled": 2, "more": False}

    assert [api.state(task_id) for task_id in waiting] == ["cancelled", "cancelled"]
    assert (api.state(other), api.state(ended)) == ("queued", "succeeded")
    done(api.say("succeed", claimed))


def test_a_purge_goes_beyond_a_page(api, queue):
    for _ in range(2):
        many = value_of(api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 1000}))
        assert set(errors_of(many)) == {None}
    api.submit(queue)

    assert value_of(purge(api, queue, confirm=queue)) == {"cancelled": 2001, "more": False}
    assert counts(api, queue) == {"cancelled": 2001}


def test_a_purge_of_an_empty_queue_cancels_nothing(api, queue):
    assert value_of(purge(api, queue, confirm=queue)) == {"cancelled": 0, "more": False}


def test_a_purge_that_is_not_confirmed_by_the_name_of_the_queue_does_nothing(api, queue):
    task_id = api.submit(queue)

    invalid(purge(api, queue), "confirm")
    for name in ("true", queue.upper(), "other"):
        refused(purge(api, queue, confirm=name), 400, "invalid_argument", "confirm")
    assert api.state(task_id) == "queued"


# --- The engine ---


def test_the_engine_tells_what_it_promises(api, queue):
    api.running(queue)

    facts = value_of(api.get("/v1/engine"))

    assert (facts["state"], facts["transport"]) == ("running", "local")
    assert "power loss" in facts["guarantee"]
    assert int(facts["running"]) >= 1


def test_health_and_readiness_are_told(api):
    assert value_of(api.get("/healthz")) == {"status": "ok"}
    assert value_of(api.get("/readyz")) == {"status": "ready"}
