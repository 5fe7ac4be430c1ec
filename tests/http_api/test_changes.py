"""What is done to tasks that nobody needs a lease for, one by one and many at once."""

import pytest
from api_client import done, errors_of, invalid, refused, value_of
from task_ids import new_task_id

JSON_PATCH = "application/merge-patch+json"


# --- Cancel ---


def test_a_cancelled_task_says_why_and_is_handed_out_to_nobody(api, queue):
    task_id = api.submit(queue)

    done(api.act("cancel", task_id, params={"reason": "not needed"}))

    task = api.task(task_id)
    assert (task["state"], task["error"]) == ("cancelled", "not needed")
    assert api.claim_all(queue) == []


def test_the_reason_of_a_cancel_may_stand_in_its_body(api, queue):
    task_id = api.submit(queue)

    done(api.act("cancel", task_id, json={"reason": "not needed"}))

    assert api.task(task_id)["error"] == "not needed"


def test_cancelling_takes_the_lease_of_whoever_runs_the_task(api, queue):
    claimed = api.running(queue)

    done(api.act("cancel", claimed["id"]))

    refused(api.say("extend", claimed), 409, "lease_lost")
    refused(api.say("succeed", claimed, result=1), 409, "lease_lost")
    assert api.state(claimed["id"]) == "cancelled"


def test_a_cancel_may_be_repeated_and_the_first_reason_stays(api, queue):
    task_id = api.submit(queue)
    done(api.act("cancel", task_id, params={"reason": "first"}))

    done(api.act("cancel", task_id, params={"reason": "second"}))

    assert api.task(task_id)["error"] == "first"


def test_what_has_ended_otherwise_cannot_be_cancelled(api, queue):
    task_id = api.succeeded(queue)

    refused(api.act("cancel", task_id), 409, "failed_precondition")
    assert api.state(task_id) == "succeeded"


# --- Retry ---


def test_a_retry_begins_a_new_cycle_and_keeps_the_history(api, queue):
    claimed = api.running(queue, max_attempts=1)
    done(api.say("fail", claimed, error="no"))
    assert api.state(claimed["id"]) == "failed"

    done(api.act("retry", claimed["id"]))

    task = api.task(claimed["id"])
    assert (task["state"], task["cycle"], task["attempt"]) == ("queued", 2, 0)
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["failed"]
    assert api.claim(queue)["id"] == claimed["id"]


def test_a_task_that_has_not_failed_cannot_be_retried(api, queue):
    refused(api.act("retry", api.submit(queue)), 409, "failed_precondition")
    refused(api.act("retry", api.succeeded(queue + "b")), 409, "failed_precondition")


# --- Remove ---


def test_a_removed_task_is_found_nowhere(api, queue):
    task_id = api.succeeded(queue)

    done(api.delete(f"/v1/tasks/{task_id}"))

    refused(api.get(f"/v1/tasks/{task_id}"), 404, "not_found")
    refused(api.delete(f"/v1/tasks/{task_id}"), 404, "not_found")
    assert api.list(queue=queue)["tasks"] == []


def test_a_removed_task_is_not_made_again_by_a_repeat_of_its_submit(api, queue):
    task_id = new_task_id()
    api.submit(queue, id=task_id)
    done(api.say("succeed", api.claim(queue)))
    done(api.delete(f"/v1/tasks/{task_id}"))

    assert value_of(api.post(f"/v1/queues/{queue}/tasks", {"id": task_id}))["repeated"] is True
    assert api.claim_all(queue) == []


def test_what_has_not_ended_cannot_be_removed(api, queue):
    task_id = api.submit(queue)

    refused(api.delete(f"/v1/tasks/{task_id}"), 409, "failed_precondition")
    assert api.state(task_id) == "queued"


# --- Annotations ---


def annotate(api, task_id, changes, **options):
    return api.patch(f"/v1/tasks/{task_id}/annotations", changes, **options)


def test_a_merge_patch_sets_and_takes_away_what_it_names_and_nothing_else(api, queue):
    task_id = api.submit(queue)

    done(annotate(api, task_id, {"a": "1", "b": "ü", "c": ""}))
    done(annotate(api, task_id, {"a": None, "b": "2"}, headers={"Content-Type": JSON_PATCH}))

    assert api.task(task_id)["annotations"] == {"b": "2", "c": ""}


def test_annotations_stay_when_the_task_ends_and_can_be_set_then(api, queue):
    claimed = api.running(queue)
    done(annotate(api, claimed["id"], {"a": "1"}))
    done(api.say("succeed", claimed))

    done(annotate(api, claimed["id"], {"b": "2"}))

    assert api.task(claimed["id"])["annotations"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "changes", [{}, {"a": 1}, {"a": {"b": "c"}}, {"a": ["b"]}, [], "a", {"": "a"}]
)
def test_annotations_are_texts_with_names(api, queue, changes):
    invalid(annotate(api, api.submit(queue), changes))


def test_annotations_beyond_their_number_change_nothing(api, queue):
    task_id = api.submit(queue)
    done(annotate(api, task_id, {f"n{i}": "" for i in range(64)}))

    answer = annotate(api, task_id, {"n0": "changed", "one more": ""})

    refused(answer, 400, "invalid_argument")
    assert api.task(task_id)["annotations"]["n0"] == ""


# --- All of them ---

VERBS = ["cancel", "retry"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_task_that_is_not_there_is_404(api, verb):
    refused(api.act(verb, new_task_id()), 404, "not_found")


def test_neither_annotating_nor_removing_finds_what_is_not_there(api):
    refused(annotate(api, new_task_id(), {"a": "b"}), 404, "not_found")
    refused(api.delete(f"/v1/tasks/{new_task_id()}"), 404, "not_found")


@pytest.mark.parametrize("verb", VERBS)
def test_a_body_with_what_is_not_known_is_refused(api, queue, verb):
    task_id = api.submit(queue)

    invalid(api.act(verb, task_id, json_body={"nonsense": 1}), "nonsense")
    invalid(api.act(verb, task_id, params={"nonsense": "1"}), "nonsense")
    assert api.state(task_id) == "queued"


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_id_is_refused(api, verb):
    invalid(api.act(verb, "17"), "id")


# --- Many at once ---


def many(api, verb, ids, **options):
    body = {"tasks": [{"id": task_id} for task_id in ids]}
    changed = value_of(api.post(f"/v1/tasks/{verb}", body, **options))
    assert [item["id"] for item in changed["tasks"]] == ids
    return errors_of(changed)


def test_many_are_cancelled_retried_and_removed_each_for_itself(api, queue):
    ids = [api.submit(queue) for _ in range(3)]
    lost = new_task_id()

    assert many(api, "cancel", [ids[0], lost, ids[1]], params={"reason": "no"}) == [
        None,
        "not_found",
        None,
    ]
    assert [api.task(task_id).get("error") for task_id in ids] == ["no", "no", None]
    assert many(api, "retry", [ids[2], ids[0]]) == ["failed_precondition", None]
    assert many(api, "delete", [ids[0], ids[1]]) == ["failed_precondition", None]
    assert [api.state(ids[0]), api.state(ids[2])] == ["queued", "queued"]
    refused(api.get(f"/v1/tasks/{ids[1]}"), 404, "not_found")


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tasks"),
        ({"tasks": []}, "tasks"),
        ({"tasks": {}}, "tasks"),
        ({"tasks": [{"id": new_task_id()}], "more": 1}, "tasks"),
        ({"tasks": [{"id": new_task_id()}, 1]}, "tasks[1]"),
        ({"tasks": [{"id": new_task_id()}, {}]}, "tasks[1].id"),
        ({"tasks": [{"id": "17"}]}, "tasks[0].id"),
        ({"tasks": [{"id": new_task_id(), "x": 1}]}, "tasks[0].x"),
        ({"tasks": [{"id": new_task_id()}] * 1001}, "tasks"),
    ],
)
def test_a_request_about_many_of_another_form_is_refused_as_a_whole(api, verb, body, field):
    invalid(api.post(f"/v1/tasks/{verb}", body), field)


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
def test_a_request_about_many_without_a_body_is_refused(api, verb):
    refused(api.post(f"/v1/tasks/{verb}"), 400, "invalid_argument")
