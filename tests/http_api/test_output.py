"""What tasks print, while they run and afterwards."""

import pytest
from api_client import done, in_background, invalid, refused, until, value_of
from jack_server import PATIENCE

KEPT = 1024 * 1024  # limits.output_bytes_max


def output(api, claimed, text):
    done(api.say("output", claimed, output_text=text))


def path_of(claimed):
    return f"/v1/tasks/{claimed['id']}/output"


def test_output_is_there_in_the_order_in_which_it_was_sent(api, queue):
    claimed = api.running(queue)
    output(api, claimed, "one\n")
    done(api.say("output", claimed, output_base64="//8="))
    path, query = path_of(claimed), {"token": claimed["token"]}
    done(api.send(path, b"\x00raw", "text/plain", params=query))

    answer = api.get(path)

    assert answer.content == b"one\n\xff\xff\x00raw"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Jack-Output-Bytes"] == str(len(answer.content))
    assert answer.headers["Jack-Output-Complete"] == "false"


def test_output_stays_after_the_task_has_ended_and_says_so(api, queue):
    claimed = api.running(queue)
    output(api, claimed, "all")
    done(api.say("succeed", claimed))

    answer = api.get(path_of(claimed))

    assert answer.text == "all"
    assert answer.headers["Jack-Output-Complete"] == "true"


@pytest.mark.parametrize(("offset", "rest"), [(0, "0123"), (2, "23"), (4, ""), (99, "")])
def test_output_can_be_read_from_an_offset_on(api, queue, offset, rest):
    claimed = api.running(queue)
    output(api, claimed, "0123")

    answer = api.get(path_of(claimed), params={"offset": offset})

    assert (answer.text, answer.headers["Jack-Output-Bytes"]) == (rest, "4")


@pytest.mark.parametrize(
    "query", [{"offset": "-1"}, {"offset": "x"}, {"follow": "yes"}, {"nonsense": "1"}]
)
def test_a_wrong_parameter_is_named(api, queue, query):
    invalid(api.get(path_of(api.running(queue)), params=query), *query)


def test_output_beyond_its_limit_is_413_and_not_kept_and_the_task_goes_on(api, queue):
    claimed = api.running(queue)
    for _ in range(2):
        output(api, claimed, "x" * (KEPT // 2))

    refused(api.say("output", claimed, output_text="more"), 413, "payload_too_large")

    assert len(api.get(path_of(claimed)).content) == KEPT
    done(api.say("succeed", claimed))


def test_two_forms_of_output_at_once_are_refused(api, queue):
    answer = api.say("output", api.running(queue), output_text="a", output_base64="YQ==")

    invalid(answer, "output")


# --- Following ---


class Follower:
    """Reads an answer that goes on until the task ends, in another thread."""

    def __init__(self, api, claimed, offset=0):
        query = {"follow": "true", "offset": offset}
        self.answer = api.another().get(path_of(claimed), params=query, stream=True)
        self.parts = []
        self.end = in_background(self._read)

    def _read(self):
        for part in self.answer.iter_content(None):
            self.parts.append(part)
        return self.content

    @property
    def content(self):
        return b"".join(self.parts)

    def shows(self, content):
        until(lambda: self.content == content)


def test_a_follower_gets_what_there_is_and_what_comes_until_the_task_ends(api, queue):
    claimed = api.running(queue)
    output(api, claimed, "before ")
    follower = Follower(api, claimed)
    follower.shows(b"before ")

    output(api, claimed, "then ")
    follower.shows(b"before then ")
    output(api, claimed, "last")
    done(api.say("succeed", claimed))

    assert follower.end.result(PATIENCE) == b"before then last"


def test_a_follower_begins_at_its_offset(api, queue):
    claimed = api.running(queue)
    output(api, claimed, "0123")
    follower = Follower(api, claimed, offset=2)

    output(api, claimed, "45")
    done(api.say("fail", claimed, retry=False))

    assert follower.end.result(PATIENCE) == b"2345"


def test_following_a_task_that_has_ended_ends_at_once(api, queue):
    claimed = api.running(queue)
    output(api, claimed, "all")
    done(api.say("succeed", claimed))

    assert Follower(api, claimed).end.result(PATIENCE) == b"all"


def test_following_goes_on_over_a_second_attempt(api, queue):
    claimed = api.running(queue)
    output(api, claimed, "first ")
    follower = Follower(api, claimed)
    done(api.say("fail", claimed, retry_in_ms=0))

    second = api.claim(queue, wait="5m")
    output(api, second, "second")
    done(api.say("succeed", second))

    assert follower.end.result(PATIENCE) == b"first second"


def test_what_is_followed_breaks_off_visibly_when_the_server_stops(own_api, queue):
    claimed = own_api.running(queue)
    output(own_api, claimed, "half")
    follower = Follower(own_api, claimed)
    follower.shows(b"half")

    own_api.server.stop()

    with pytest.raises(Exception, match="IncompleteRead|Connection broken"):
        follower.end.result(PATIENCE)


def test_head_of_what_can_be_followed_leaves_the_connection_free(api, queue):
    claimed = api.running(queue)

    api.request("HEAD", path_of(claimed), params={"follow": "true"})

    api.get("/healthz")  # by the same connection


def test_a_task_that_is_not_there_has_no_output_to_follow(api):
    path = "/v1/tasks/01900000-0000-7000-8000-000000000000/output"

    refused(api.get(path, params={"follow": "true"}), 404, "not_found")
    assert value_of(api.get("/healthz"))["status"] == "ok"
