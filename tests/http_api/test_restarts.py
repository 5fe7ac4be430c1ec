"""The server ends and comes back, in order or not, while clients hold on to what they have."""

import pytest
from api_client import done, refused, value_of

ENDS = ["stop", "kill"]


def again(server, end):
    getattr(server, end)()
    server.start()


@pytest.fixture(params=["without keys", "a key that may only work"])
def worker(request, own_server, own_api):
    """Somebody who claims tasks, with no more rights than that takes."""
    if request.param == "without keys":
        return own_api
    return own_api.another(X_API_Key=own_server.new_key("worker", "--scope", "work"))


@pytest.fixture
def boss(own_server, own_api, worker):
    """Somebody who may do the rest."""
    if worker is own_api:
        return own_api
    return own_api.another(X_API_Key=own_server.new_key("boss", "--scope", "submit,read,work"))


@pytest.mark.parametrize("end", ENDS)
def test_what_was_accepted_is_there_after_a_restart(own_server, own_api, queue, end):
    tasks = [own_api.submit(queue, payload=i) for i in range(20)]
    done(own_api.act("cancel", tasks[0]))

    again(own_server, end)

    states = [own_api.state(task_id) for task_id in tasks]
    assert states == ["cancelled"] + ["queued"] * 19
    assert own_api.task(tasks[5])["payload"] == 5


@pytest.mark.parametrize("end", ENDS)
def test_a_token_settles_after_a_restart(own_server, worker, boss, queue, end):
    boss.submit(queue)
    claimed = worker.claim(queue, lease="1h")

    again(own_server, end)

    done(worker.say("succeed", claimed, result="done"))
    assert boss.task(claimed["id"])["result"] == "done"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("verb", "fields"),
    [("extend", {}), ("progress", {"fraction": 0.5}), ("output", {"output_text": "."})],
)
def test_a_lease_is_kept_after_a_restart(own_server, worker, boss, queue, end, verb, fields):
    boss.submit(queue)
    claimed = worker.claim(queue, lease="1h")

    again(own_server, end)

    done(worker.say(verb, claimed, **fields))
    done(worker.say("succeed", claimed))
    assert boss.state(claimed["id"]) == "succeeded"


@pytest.mark.parametrize("end", ENDS)
def test_many_leases_are_kept_at_once_after_a_restart(own_server, own_api, queue, end):
    value_of(own_api.post(f"/v1/queues/{queue}/tasks", {"tasks": [{}] * 50}))
    claimed = own_api.claim_all(queue, max=50, lease="1h")

    again(own_server, end)

    items = [{"id": task["id"], "token": task["token"]} for task in claimed]
    for verb in ("extend", "succeed"):
        changed = value_of(own_api.post(f"/v1/tasks/{verb}", {"tasks": items}))
        assert changed == {"tasks": [{"id": task["id"]} for task in claimed]}


def test_a_lease_that_nobody_renews_after_a_restart_ends_in_its_time(own_server, own_api, queue):
    own_api.submit(queue, backoff={"initial_ms": 0})
    first = own_api.claim(queue, lease="1s")

    again(own_server, "stop")

    second = own_api.claim(queue, wait="5m")
    assert second["id"] == first["id"]
    refused(own_api.say("succeed", first), 409, "lease_lost")
    done(own_api.say("succeed", second))


def test_a_settle_is_no_less_settled_after_a_restart(own_server, own_api, queue):
    claimed = own_api.running(queue)
    done(own_api.say("succeed", claimed, result=1))

    again(own_server, "kill")

    done(own_api.say("succeed", claimed, result=1))
    refused(own_api.say("fail", claimed), 409, "lease_lost")
    assert own_api.task(claimed["id"])["result"] == 1


def test_a_paused_queue_stays_paused(own_server, own_api, queue):
    own_api.submit(queue)
    done(own_api.post(f"/v1/queues/{queue}/pause"))

    again(own_server, "kill")

    assert own_api.claim_all(queue) == []
    assert own_api.queue(queue)["paused"] is True
