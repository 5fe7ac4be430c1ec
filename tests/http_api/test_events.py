"""Server-sent events: the history as it happens."""

import pytest
from api_client import done, invalid, refused, value_of
from event_stream import EventStream, kinds_of
from task_ids import new_task_id


def lived(api, queue):
    """A task that has had some of everything."""
    claimed = api.running(queue)
    done(api.say("progress", claimed, fraction=0.5, note="half"))
    done(api.say("output", claimed, output_text="text"))
    done(api.say("succeed", claimed))
    return claimed["id"]


LIFE = ["submitted", "started", "progressed", "output", "succeeded"]


def test_the_events_of_a_task_come_in_order_with_what_they_say(api, queue):
    task_id = lived(api, queue)

    with EventStream(api, task=task_id, after="0.0") as stream:
        events = stream.take(len(LIFE))

    assert kinds_of(events) == LIFE
    assert {(event["id"], event["queue"]) for event in events} == {(task_id, queue)}
    assert (events[2]["progress"], events[2]["text"]) == (0.5, "half")
    assert events[3]["text"] == "text"


def test_output_that_is_no_text_comes_as_base64(api, queue):
    claimed = api.running(queue)
    done(api.say("output", claimed, output_base64="//8="))

    with EventStream(api, task=claimed["id"], after="0.0") as stream:
        assert stream.take(3)[2]["text_base64"] == "//8="


def test_without_a_position_a_stream_begins_with_what_happens_next(api, queue):
    lived(api, queue)

    with EventStream(api, queue=queue) as stream:
        stream.comments(1)  # it has begun
        later = lived(api, queue)

        events = stream.take(len(LIFE))

    assert {event["id"] for event in events} == {later}


def test_events_of_one_queue_are_those_of_no_other(api, queue, other_queue):
    with EventStream(api, queue=queue) as stream:
        stream.comments(1)
        api.submit(other_queue)
        done(api.post(f"/v1/queues/{queue}/pause"))
        done(api.post(f"/v1/queues/{queue}/resume"))
        api.submit(queue)

        events = stream.take(3)

    assert kinds_of(events) == ["queue_paused", "queue_resumed", "submitted"]
    assert {event["queue"] for event in events} == {queue}


def test_a_task_can_be_watched_before_it_is_there(api, queue):
    task_id = new_task_id()

    with EventStream(api, task=task_id) as stream:
        stream.comments(1)
        api.submit(queue)
        api.submit(queue, id=task_id)

        assert stream.take(1)[0]["id"] == task_id


def test_a_stream_of_everything_has_each_kind_of_event(own_api, queue):
    api = own_api
    with EventStream(api) as stream:
        stream.comments(1)
        removed = lived(api, queue)
        done(api.delete(f"/v1/tasks/{removed}"))
        claimed = api.running(queue)
        done(api.patch(f"/v1/tasks/{claimed['id']}/annotations", {"a": "b"}))
        done(api.say("release", claimed))
        claimed = api.claim(queue)
        done(api.say("fail", claimed, error="no", retry_in_ms=0))
        done(api.say("fail", api.claim(queue, wait="5m"), error="no", retry=False))
        done(api.act("retry", claimed["id"]))
        done(api.act("cancel", claimed["id"], params={"reason": "not needed"}))
        expired = api.submit(queue, expires_in_ms=1)
        assert api.task(expired, wait="5m")["state"] == "expired"
        api.server.stop()

        events = stream.rest()

    kinds = api.document.json["components"]["schemas"]["Event"]["properties"]["event"]["enum"]
    assert set(kinds_of(events)) == set(kinds) - {"queue_paused", "queue_resumed"}
    assert stream.reason == "the server stops"


# --- Resuming ---


def all_events(api, queue, count):
    with EventStream(api, queue=queue, after="0.0") as stream:
        return stream.take(count)


# Without its date, which an engine tells by a clock that it sets anew when it starts.
def places_of(event):
    return {name: value for name, value in event.items() if name != "at"}


@pytest.mark.parametrize("by", ["header", "query"])
def test_a_stream_resumes_behind_any_event_without_gap_or_repeat(api, queue, by):
    for _ in range(3):
        lived(api, queue)
    count = 3 * len(LIFE)
    events = all_events(api, queue, count)
    positions = [event["position"] for event in events]
    assert len(set(positions)) == count

    for done_with in range(1, count):
        seen = positions[done_with - 1]
        options = {"last_event_id": seen} if by == "header" else {"after": seen}
        with EventStream(api, queue=queue, **options) as stream:
            assert stream.take(count - done_with) == events[done_with:]


def test_the_last_event_id_counts_more_than_after(api, queue):
    lived(api, queue)
    events = all_events(api, queue, len(LIFE))

    query = {"last_event_id": events[2]["position"], "after": "0.0"}
    with EventStream(api, queue=queue, **query) as stream:
        assert stream.take(2) == events[3:]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_stream_resumes_over_a_restart_without_gap_or_repeat(own_api, queue, end):
    api = own_api
    with EventStream(api, queue=queue) as stream:
        stream.comments(1)
        first, before = lived(api, queue), stream.take(len(LIFE))
        seen = stream.last_id
        second = lived(api, queue)  # nobody reads these
        getattr(api.server, end)()
    api.server.start()
    third = lived(api, queue)

    with EventStream(api, queue=queue, last_event_id=seen) as stream:
        after = stream.take(2 * len(LIFE))

    assert [event["id"] for event in before + after] == [
        task_id for task_id in (first, second, third) for _ in LIFE
    ]
    assert kinds_of(before + after) == LIFE * 3
    whole = all_events(api, queue, 3 * len(LIFE))
    assert [places_of(each) for each in whole] == [places_of(each) for each in before + after]


def test_many_readers_see_the_same(api, queue):
    streams = [EventStream(api, queue=queue) for _ in range(5)]
    for stream in streams:
        stream.comments(1)
    lived(api, queue)

    seen = [stream.take(len(LIFE)) for stream in streams]

    for stream in streams:
        stream.answer.close()
    assert all(events == seen[0] for events in seen)


# --- What is refused ---


def test_a_position_of_another_journal_is_410(api):
    refused(api.get("/v1/events", params={"after": "999999999.0"}), 410, "position_gone")


@pytest.mark.parametrize(
    "query", [{"queue": "a b"}, {"task": "17"}, {"after": "x"}, {"after": "1.x"}, {"since": "1"}]
)
def test_a_wrong_filter_is_refused(api, query):
    invalid(api.get("/v1/events", params=query))


def test_a_last_event_id_that_is_none_is_refused(api):
    invalid(api.get("/v1/events", headers={"Last-Event-ID": "x"}), "Last-Event-ID")


# --- The connection ---


def test_a_stream_on_which_nothing_happens_is_kept_alive_by_comments(api, queue):
    with EventStream(api, queue=queue) as stream:
        stream.comments(2)  # the first one at once, the second within 15 s


def test_the_head_of_a_stream_leaves_the_connection_free(api):
    api.request("HEAD", "/v1/events")

    assert value_of(api.get("/healthz"))["status"] == "ok"  # by the same connection


def test_a_stream_is_not_cached_or_changed_on_its_way(api, queue):
    with EventStream(api, queue=queue) as stream:
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert "Content-Length" not in stream.answer.headers
