"""API keys: who is let in, and what each key may do, on each route."""

import json
import re

import pytest
from api_client import Client, done, in_background, refused, until, value_of
from api_document import IN_REPOSITORY, Document
from event_stream import EventStream
from jack_server import PATIENCE, Server

SCOPES = ["submit", "work", "read", "admin"]

# What is asked of each operation that needs a key: query, body. TASK is a task, QUEUE its queue.
REQUESTS = {
    "listTasks": ({"queue": "QUEUE"}, None),
    "submitTask": ({}, {"queue": "QUEUE"}),
    "getTask": ({}, None),
    "removeTask": ({}, None),
    "getResult": ({}, None),
    "getHistory": ({}, None),
    "getOutput": ({}, None),
    "cancelTask": ({}, None),
    "retryTask": ({}, None),
    "annotateTask": ({}, {"a": "b"}),
    "claimTasks": ({}, None),
    "succeedTask": ({}, {"token": "1"}),
    "failTask": ({}, {"token": "1"}),
    "releaseTask": ({}, {"token": "1"}),
    "extendTask": ({}, {"token": "1"}),
    "addOutput": ({}, {"token": "1", "output_text": "."}),
    "setProgress": ({}, {"token": "1", "fraction": 0.5}),
    "cancelTasks": ({}, {"tasks": [{"id": "TASK"}]}),
    "retryTasks": ({}, {"tasks": [{"id": "TASK"}]}),
    "removeTasks": ({}, {"tasks": [{"id": "TASK"}]}),
    "succeedTasks": ({}, {"tasks": [{"id": "TASK", "token": "1"}]}),
    "failTasks": ({}, {"tasks": [{"id": "TASK", "token": "1"}]}),
    "releaseTasks": ({}, {"tasks": [{"id": "TASK", "token": "1"}]}),
    "extendTasks": ({}, {"tasks": [{"id": "TASK", "token": "1"}]}),
    "addOutputs": ({}, {"tasks": [{"id": "TASK", "token": "1", "output_text": "."}]}),
    "setProgresses": ({}, {"tasks": [{"id": "TASK", "token": "1", "fraction": 0.5}]}),
    "listQueues": ({}, None),
    "getQueue": ({}, None),
    "submitToQueue": ({}, {}),
    "purgeQueue": ({"confirm": "QUEUE"}, None),
    "pauseQueue": ({}, None),
    "resumeQueue": ({}, None),
    "watchEvents": ({"queue": "QUEUE"}, None),
    "getEngine": ({}, None),
}

# Those that name no queue show what may be read, so nothing of another queue is refused.
OF_ALL_QUEUES = {"listQueues", "getEngine"}


class Keyring:
    """A server with keys of every kind."""

    def __init__(self, server, document):
        self.server = server
        self.anybody = Client(server, document)
        self.all = self.client_with("all", "--scope", ",".join(SCOPES))
        self.alone = {scope: self.client_with(scope, "--scope", scope) for scope in SCOPES}
        self.elsewhere = self.client_with(
            "elsewhere", "--scope", ",".join(SCOPES), "--queue", "elsewhere-*"
        )
        self.revoked = self.client_with("revoked")
        server.keys("revoke", "revoked")
        self.expired = self.client_with("expired", "--expires", "1s")
        until(lambda: self.expired.get("/v1/engine").status_code == 401)
        good = self.all.headers["Authorization"]
        wrong = good[:-1] + ("a" if good[-1] != "a" else "b")
        self.mistyped = self.anybody.another(Authorization=wrong)
        self.unknown = self.anybody.another(X_API_Key="secret")

    def client_with(self, name, *arguments):
        key = self.server.new_key(name, *arguments)
        return self.anybody.another(Authorization=f"Bearer {key}")

    def nobodies(self):
        return {
            "no key": self.anybody,
            "a revoked key": self.revoked,
            "an expired key": self.expired,
            "a mistyped key": self.mistyped,
            "no key of this server": self.unknown,
        }


@pytest.fixture(scope="module")
def keyring(request, tmp_path_factory, document):
    server = Server(request.config.getoption("--jack"), tmp_path_factory.mktemp("keys"))
    server.start()
    yield Keyring(server, document)
    server.close()


def filled(value, queue, task_id):
    text = json.dumps(value).replace("QUEUE", queue).replace("TASK", task_id)
    return json.loads(text)


def verdict(keyring, client, operation, queue):
    """The status, or that of the item of a request about many."""
    task_id = keyring.all.submit(queue)
    query, body = filled(REQUESTS[operation.id], queue, task_id)
    answer = client.request(
        operation.method,
        operation.path_for(queue=queue, id=task_id),
        body,
        params=query,
        stream=operation.id == "watchEvents",
    )
    status = answer.status_code
    if status == 200 and operation.path.startswith("/v1/tasks/") and "{" not in operation.path:
        [item] = value_of(answer)["tasks"]
        code = item.get("error", {}).get("code")
        return 403 if code == "permission_denied" else status
    answer.close()
    return status


OPERATIONS = Document(json.loads(IN_REPOSITORY.read_text(encoding="utf-8"))).operations
KEYED = [operation for operation in OPERATIONS if operation.scopes is not None]
OPEN = [operation for operation in OPERATIONS if operation.scopes is None]


def test_each_operation_that_needs_a_key_is_asked_below():
    assert {operation.id for operation in KEYED} == set(REQUESTS)


@pytest.mark.parametrize("operation", KEYED, ids=lambda operation: operation.id)
def test_nobody_without_a_good_key_is_let_in(keyring, operation, queue):
    verdicts = {
        name: verdict(keyring, client, operation, queue)
        for name, client in keyring.nobodies().items()
    }

    assert set(verdicts.values()) == {401}, verdicts


@pytest.mark.parametrize("operation", KEYED, ids=lambda operation: operation.id)
def test_a_key_may_do_what_its_scope_says_and_nothing_else(keyring, operation, queue):
    for scope, client in (keyring.alone | {None: keyring.all}).items():
        has = set(SCOPES) if scope is None else {scope}
        may = any(needed <= has for needed in operation.scopes)

        status = verdict(keyring, client, operation, queue)

        assert (status != 403) == may, f"{scope or 'all scopes'}: {status}"
        assert status != 401


@pytest.mark.parametrize("operation", KEYED, ids=lambda operation: operation.id)
def test_a_key_of_other_queues_may_do_nothing_with_this_one(keyring, operation, queue):
    status = verdict(keyring, keyring.elsewhere, operation, queue)

    assert status == (200 if operation.id in OF_ALL_QUEUES else 403)


@pytest.mark.parametrize("operation", KEYED, ids=lambda operation: operation.id)
def test_a_key_of_some_queues_may_do_all_with_these(keyring, operation, queue):
    status = verdict(keyring, keyring.elsewhere, operation, f"elsewhere-{queue}")

    assert status not in (401, 403)


@pytest.mark.parametrize("operation", OPEN, ids=lambda operation: operation.id)
def test_what_watches_the_server_needs_no_key(keyring, operation):
    for client in keyring.nobodies().values():
        assert client.request(operation.method, operation.path).status_code == 200


# --- What a key of some queues sees ---


def test_lists_and_events_show_what_the_key_may_read(keyring, queue):
    hidden, shown = keyring.all.submit(queue), keyring.all.submit(f"elsewhere-{queue}")
    reader = keyring.elsewhere

    listed = [task["id"] for task in reader.list(limit=1000)["tasks"]]
    assert shown in listed
    assert hidden not in listed
    queues = {each["queue"] for each in value_of(reader.get("/v1/queues"))["queues"]}
    assert f"elsewhere-{queue}" in queues
    assert queue not in queues
    with EventStream(reader) as stream:
        stream.comments(1)
        keyring.all.submit(queue)
        seen = keyring.all.submit(f"elsewhere-{queue}")
        assert stream.take(1)[0]["id"] == seen


def test_a_task_of_another_queue_is_refused_without_a_word_of_its_queue(keyring, queue):
    task_id = keyring.all.submit(queue)

    problem = refused(keyring.elsewhere.get(f"/v1/tasks/{task_id}"), 403, "permission_denied")
    assert queue not in problem["detail"]


def test_a_reply_goes_only_where_the_key_may_submit(keyring, queue):
    path = f"/v1/queues/elsewhere-{queue}/tasks"

    refused(keyring.elsewhere.post(path, {"reply_to": queue}), 403, "permission_denied")
    value_of(keyring.elsewhere.post(path, {"reply_to": f"elsewhere-{queue}"}), 201)


# --- How a key is shown ---


def test_a_key_is_taken_from_either_header_and_bearer_in_any_case(keyring):
    key = keyring.all.headers["Authorization"].split()[1]

    for headers in ({"X_API_Key": key}, {"Authorization": f"bEARER {key}"}):
        value_of(keyring.anybody.another(**headers).get("/v1/engine"))


def test_x_api_key_counts_more_than_authorization(keyring):
    key = keyring.all.headers["Authorization"].split()[1]

    value_of(keyring.unknown.another(Authorization="Bearer x", X_API_Key=key).get("/v1/engine"))
    refused(keyring.all.another(X_API_Key="x").get("/v1/engine"), 401, "unauthenticated")


@pytest.mark.parametrize("form", ["Basic {}", "{}", "Bearer  {}x"])
def test_another_form_of_authorization_is_no_key(keyring, form):
    key = keyring.all.headers["Authorization"].split()[1]

    answer = keyring.anybody.another(Authorization=form.format(key)).get("/v1/engine")
    refused(answer, 401, "unauthenticated")


def test_a_key_in_the_url_is_none(keyring):
    key = keyring.all.headers["Authorization"].split()[1]

    answer = keyring.anybody.get("/v1/engine", params={"api_key": key})
    refused(answer, 401, "unauthenticated")


def test_a_refusal_repeats_no_part_of_the_key(keyring):
    for client in (keyring.mistyped, keyring.revoked, keyring.expired):
        key = client.headers["Authorization"].split()[1]
        _, key_id, secret, _ = key.split("_")
        refusal = client.get("/v1/engine")
        refused(refusal, 401, "unauthenticated")
        for said in (refusal.text, keyring.server.log.read_text(errors="replace")):
            assert secret not in said
            assert key_id not in said


# --- Where a server may be reached ---


def test_beyond_loopback_a_server_without_keys_says_how_to_make_one(idle_server):
    serve = ["serve", "--data-dir", idle_server.data_dir, "--http", "0.0.0.0:0"]
    refused_to_start = idle_server.run(*serve)
    assert refused_to_start.returncode == 7, refused_to_start.stderr
    told = re.search("`jack keys (.+?)`", refused_to_start.stderr)[1]

    idle_server.keys(*told.replace("NAME", "ada").split())

    again = idle_server.run(*serve)
    assert "TLS" in again.stderr, again.stderr


@pytest.mark.parametrize("address", ["5000", ":5000", "", "::1:0", "localhost:0", "127.0.0.1:"])
def test_an_address_that_is_none_is_a_wrong_setting(idle_server, address):
    ran = idle_server.run("serve", "--data-dir", idle_server.data_dir, "--http", address)

    assert ran.returncode == 4, ran.stderr
    assert f"'{address}' is not an address" in ran.stderr
    assert not idle_server.data_dir.exists()


def test_off_stands_alone(idle_server):
    both = ["--http", "off", "--http", "127.0.0.1:0"]
    ran = idle_server.run("serve", "--data-dir", idle_server.data_dir, *both)

    assert ran.returncode == 4, ran.stderr
    assert "off" in ran.stderr


# --- Keys that come and go while the server runs ---


def test_the_first_key_ends_the_time_without_keys(own_server, own_api, queue):
    own_api.submit(queue)
    key = own_server.new_key("first")

    refused(own_api.get("/v1/engine"), 401, "unauthenticated")
    assert own_api.another(X_API_Key=key).queue(queue)["queued"] == 1


def test_the_first_key_ends_what_goes_on_without_one(own_server, own_api, queue):
    def waits(path, **query):
        return in_background(lambda: own_api.another().request(*path.split(), params=query))

    done(own_api.post(f"/v1/queues/{queue}/resume"))
    running = own_api.running(f"{queue}-2")["id"]
    claim = waits(f"POST /v1/queues/{queue}/claim", wait="5m")
    result = waits(f"GET /v1/tasks/{running}/result", wait="5m")
    until(lambda: own_api.queue(queue)["workers"] == 1)
    with EventStream(own_api, queue=queue) as stream:
        stream.comments(1)

        keyed = own_api.another(X_API_Key=own_server.new_key("first"))
        task_id = keyed.submit(queue)

        assert stream.rest() == []
        assert "key" in stream.reason
    for waiting in (claim, result):
        refused(waiting.result(PATIENCE), 401, "unauthenticated")
    # What was meant for nobody goes to the next one, and has had no attempt.
    task = until(lambda: keyed.claim_all(queue, wait="1s"))[0]
    assert (task["id"], task["attempt"]) == (task_id, 1)


def test_a_claim_that_waits_is_refused_when_its_key_is_revoked(own_server, own_api, queue):
    ada = own_api.another(X_API_Key=own_server.new_key("ada", "--scope", "work,read"))
    claim = in_background(
        lambda: ada.another().post(f"/v1/queues/{queue}/claim", params={"wait": "5m"})
    )
    until(lambda: any(each["workers"] for each in value_of(ada.get("/v1/queues"))["queues"]))

    own_server.keys("revoke", "ada")

    refused(claim.result(PATIENCE), 401, "unauthenticated")


def test_after_the_last_key_was_revoked_nobody_is_let_in(own_server, own_api):
    key = own_server.new_key("only")
    own_server.keys("revoke", "only")

    refused(own_api.get("/v1/engine"), 401, "unauthenticated")
    refused(own_api.another(X_API_Key=key).get("/v1/engine"), 401, "unauthenticated")


@pytest.mark.parametrize("spoil", ["a line that is none", "a file that is none"])
def test_a_server_that_starts_with_a_list_it_cannot_read_lets_nobody_in(
    idle_server, document, queue, spoil
):
    key = idle_server.new_key("ada")
    allowed = idle_server.data_dir / "keys" / "allowed"
    good = allowed.read_bytes()
    if spoil == "a line that is none":
        allowed.write_bytes(good + b"not a line\n")
    else:
        allowed.unlink()
        allowed.mkdir()
    idle_server.start()
    nobody = Client(idle_server, document)
    ada = nobody.another(X_API_Key=key)

    for client in (nobody, ada):
        refused(client.get("/v1/engine"), 401, "unauthenticated")
        refused(client.post(f"/v1/queues/{queue}/tasks", {}), 401, "unauthenticated")
    assert "nobody is let in until this is mended" in idle_server.log.read_text()

    if allowed.is_dir():
        allowed.rmdir()
        refused(nobody.get("/v1/engine"), 401, "unauthenticated")
    mended = allowed.with_suffix(".mended")
    mended.write_bytes(good)
    mended.chmod(0o600)
    mended.replace(allowed)
    ada.submit(queue)
    refused(nobody.get("/v1/engine"), 401, "unauthenticated")


def test_a_stream_ends_with_a_reason_when_its_key_is_revoked(own_server, own_api):
    reader = own_api.another(X_API_Key=own_server.new_key("reader", "--scope", "read"))
    with EventStream(reader) as stream:
        stream.comments(1)

        own_server.keys("revoke", "reader")
        refused(reader.get("/v1/engine"), 401, "unauthenticated")

        assert stream.rest() == []
        assert "revoked" in stream.reason


def test_a_key_that_is_let_in_again_works_again(own_server, own_api, queue):
    ada = own_api.another(X_API_Key=own_server.new_key("ada"))
    ada.submit(queue)
    own_server.keys("revoke", "ada")
    refused(ada.get("/v1/queues"), 401, "unauthenticated")

    own_server.keys("allow", "ada")

    done(ada.say("succeed", ada.claim(queue)))
