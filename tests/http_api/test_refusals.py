"""What the server refuses before it looks at what is asked: on every route alike."""

import http.client
import re
import resource
import socket

import pytest
from api_client import Client, done, invalid, refused, value_of
from jack_server import PATIENCE

TASK = "01900000-0000-7000-8000-000000000000"


def path_of(operation):
    return operation.path_for(queue="q", id=TASK)


def raw(api, method, target, headers=(), body=None):
    """Status, headers and body of the answer to a request of which nothing is tidied up."""
    host, port = api.server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        status, fields, content = answer.status, answer.headers, answer.read()
    finally:
        connection.close()
    path = target.split("?")[0]
    api.document.check_answer(method, path, status, dict(fields.items()), content)
    return status


# --- Each route ---


def test_each_route_refuses_a_target_that_is_not_escaped_properly(api, document):
    for operation in document.operations:
        assert raw(api, operation.method, path_of(operation) + "?a=%zz") == 400


def test_each_route_refuses_a_target_of_more_than_8_kib(api, document):
    for operation in document.operations:
        target = path_of(operation) + "?a=" + "x" * 8192
        assert raw(api, operation.method, target) == 414


def test_each_route_refuses_a_header_of_more_than_16_kib(api, document):
    for operation in document.operations:
        headers = [("X-Large", "x" * 16384)]
        assert raw(api, operation.method, path_of(operation), headers) == 431


def test_each_route_refuses_more_than_64_fields_in_its_header(api, document):
    for operation in document.operations:
        headers = [(f"X-{i}", "") for i in range(65)]
        assert raw(api, operation.method, path_of(operation), headers) == 431


# The length alone is enough: nothing of the body is sent.
def test_each_route_with_a_body_refuses_one_that_is_too_large_before_it_comes(api, document):
    for operation in document.operations:
        if "requestBody" not in operation.item:
            continue
        headers = [("Content-Type", "application/json"), ("Content-Length", str(8 * 2**20 + 65537))]
        assert raw(api, operation.method, path_of(operation), headers) == 413


def test_each_route_refuses_a_host_that_is_not_its_own(api, document):
    for operation in document.operations:
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
            answer = api.request(operation.method, path_of(operation), headers={"Host": host})
            refused(answer, 403, "permission_denied")


def test_the_engine_tells_how_many_requests_were_refused_and_why(api):
    def refused_so_far():
        counters = value_of(api.get("/v1/engine"))["http"]
        return counters["not_admitted"], counters["malformed"], counters["too_large"]

    before = refused_so_far()
    refused(api.get("/v1/engine", headers={"Host": "evil.example"}), 403, "permission_denied")
    assert raw(api, "GET", "/v1/tasks?a=%zz") == 400
    assert raw(api, "GET", "/v1/tasks?a=" + "x" * 8192) == 414

    assert [now - then for now, then in zip(refused_so_far(), before)] == [1, 1, 1]


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1"},  # another port is another origin
    {"Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: "".join(headers.values()))
def test_each_route_that_changes_something_refuses_pages_of_other_origins(api, document, headers):
    for operation in document.operations:
        if operation.method == "GET":
            continue
        answer = api.request(operation.method, path_of(operation), headers=headers)
        refused(answer, 403, "permission_denied")
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_of_the_server_itself_may_change_something(api, queue):
    headers = {"Origin": api.server.url, "Sec-Fetch-Site": "same-origin"}

    value_of(api.post(f"/v1/queues/{queue}/tasks", {}, headers=headers), 201)


def test_an_origin_that_is_allowed_may_use_the_api(idle_server, document, queue):
    origin = "https://board.example"
    idle_server.start("--set", f"http.allowed_origins={origin}")
    api = Client(idle_server, document)

    answer = api.post(f"/v1/queues/{queue}/tasks", {}, headers={"Origin": origin})

    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in answer.headers["Vary"]
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    value_of(answer, 201)
    headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    preflight = api.request("OPTIONS", f"/v1/tasks/{TASK}/annotations", headers=headers)
    assert preflight.status_code == 204
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]


def test_a_host_that_is_named_in_the_settings_is_served(idle_server, document):
    idle_server.start("--set", "http.hosts=jack.example")
    api = Client(idle_server, document)

    value_of(api.get("/v1/engine", headers={"Host": "jack.example:80"}))
    refused(api.get("/v1/engine", headers={"Host": "evil.example"}), 403, "permission_denied")


# The one beyond loopback is another address of this host's own, which needs keys as any other does.
def test_at_loopback_another_host_is_refused_whatever_else_the_server_listens_at(
    idle_server, document
):
    key = idle_server.new_key("ada")
    addresses = ("--http", "127.0.0.1:0", "--http", "0.0.0.0:0")
    idle_server.start("--set", "http.behind_proxy=yes", http=addresses)
    api = Client(idle_server, document, {"X-API-Key": key})
    evil = {"Host": "evil.example"}

    refused(api.get("/v1/engine", headers=evil), 403, "permission_denied")
    idle_server.urls.reverse()
    port = idle_server.url.rsplit(":", 1)[1]
    idle_server.urls[0] = f"http://127.0.0.1:{port}"
    value_of(api.get("/v1/engine", headers=evil))


def test_each_route_that_needs_a_key_is_held_to_the_rate(idle_server, document):
    idle_server.start("--set", "http.requests_per_second_max=1")
    api = Client(idle_server, document)
    for operation in document.operations:
        if operation.scopes is None:
            continue
        status = 0
        while status != 429:  # at the latest by the third in one second
            stream = operation.id == "watchEvents"
            answer = api.request(operation.method, path_of(operation), stream=stream)
            answer.close()
            status = answer.status_code
        refused(answer, 429, "rate_limited")
    for _ in range(5):
        value_of(api.get("/healthz"))


def test_the_rate_of_one_key_is_not_used_up_by_another(idle_server, document):
    idle_server.start("--set", "http.requests_per_second_max=1")
    ada, bob = (
        Client(idle_server, document, {"X-API-Key": idle_server.new_key(name)})
        for name in ("ada", "bob")
    )

    while ada.get("/v1/engine").status_code != 429:
        pass
    value_of(bob.get("/v1/engine"))


# --- What is there and has no meaning ---


def has_a_fault(operation, answer, field=None):
    assert answer.status_code == 400, f"{operation.id}: {answer.status_code}"
    invalid(answer, field)


def asked_of_each(api, document, queue):
    """Each operation of /v1, and the path of one that there is."""
    task = api.submit(queue)
    for operation in document.operations:
        if operation.path.startswith("/v1/"):
            yield operation, operation.path_for(queue=queue, id=task)


def test_each_route_refuses_a_parameter_that_it_does_not_know(api, document, queue):
    for operation, path in asked_of_each(api, document, queue):
        answer = api.request(operation.method, path, params={"nonsense": "1"})
        has_a_fault(operation, answer, "nonsense")


def test_each_route_refuses_a_parameter_that_is_there_twice(api, document, queue):
    asked = 0
    for operation, path in asked_of_each(api, document, queue):
        for parameter in operation.parameters:
            name = parameter["name"]
            if parameter["in"] == "query" and not parameter.get("explode"):
                answer = api.request(operation.method, path, params=[(name, "5"), (name, "5")])
                has_a_fault(operation, answer)
                asked += 1
    assert asked > 20


def test_each_route_without_a_body_refuses_one(api, document, queue):
    asked = 0
    for operation, path in asked_of_each(api, document, queue):
        if "requestBody" not in operation.item:
            answer = api.request(operation.method, path, {})
            has_a_fault(operation, answer)
            asked += 1
    assert asked > 10


def test_each_route_with_a_body_refuses_one_that_is_encoded(api, document, queue):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for operation, path in asked_of_each(api, document, queue):
        if "requestBody" in operation.item:
            answer = api.request(operation.method, path, body=b"\x1f\x8b", headers=headers)
            refused(answer, 415, "invalid_argument", "Content-Encoding")


def test_each_route_of_a_queue_names_it_where_it_is_none(api, document):
    for operation in document.operations:
        if "{queue}" in operation.path:
            answer = api.request(operation.method, operation.path_for(queue="a%20b"))
            has_a_fault(operation, answer, "queue")


def test_a_media_type_of_a_result_that_is_none_is_named(api, queue):
    claimed = api.running(queue)

    answer = api.say("succeed", claimed, result_text="x", content_type="text/html\r\nA: b")
    refused(answer, 400, "invalid_argument", "content_type")


def test_a_header_of_a_raw_task_stands_in_the_query_once(api, queue):
    path = f"/v1/queues/{queue}/tasks?headers.a=1&headers.a=2"

    refused(api.send(path, b"x", "image/png"), 400, "invalid_argument", "headers.a")


def test_output_without_any_is_refused(api, queue):
    claimed = api.running(queue)

    invalid(api.say("output", claimed), "output_text")
    done(api.say("output", claimed, output_text=""))


# What stands in two places could be meant either way.
def test_a_token_and_a_reason_stand_in_the_body_or_in_the_query(api, queue):
    claimed = api.running(queue)
    path, token = f"/v1/tasks/{claimed['id']}", claimed["token"]

    answer = api.post(f"{path}/extend", {"token": token}, params={"token": token})
    refused(answer, 400, "invalid_argument", "token")
    answer = api.post(f"{path}/cancel", {"reason": "a"}, params={"reason": "b"})
    refused(answer, 400, "invalid_argument", "reason")


# --- Routes that are not there ---


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v2/tasks", "/v1/tasks/", "/v1//tasks", "/v1/Tasks", "/v1/queues/a/b"]
)
def test_a_path_that_is_none_is_404(api, path):
    for method in ("GET", "POST", "DELETE"):
        refused(api.request(method, path), 404, "not_found")


def test_each_path_refuses_other_methods_and_says_which_it_has(api, document):
    for path in document.json["paths"]:
        methods = document.methods_of(path)
        target = path.format(queue="q", id=TASK)
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            answer = api.request(method, target)

            refused(answer, 405, "unsupported")
            allowed = set(answer.headers["Allow"].split(", "))
            head = {"HEAD"} if "GET" in methods else set()
            assert allowed == methods | head | {"OPTIONS"}


def test_options_tells_the_methods_of_each_path(api, document):
    for path in document.json["paths"]:
        answer = api.request("OPTIONS", path.format(queue="q", id=TASK))

        assert answer.status_code == 204
        assert document.methods_of(path) <= set(answer.headers["Allow"].split(", "))


def test_a_method_that_nobody_knows_is_501(api):
    assert raw(api, "BREW", "/v1/tasks") == 501


def test_an_expectation_other_than_100_continue_is_417(api):
    assert raw(api, "POST", "/v1/tasks", [("Expect", "a miracle"), ("Content-Length", "0")]) == 417


def test_a_version_of_http_that_is_not_served_is_505(api):
    host, port = api.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(b"GET /v1/tasks HTTP/3.0\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        headers, body = dict(answer.headers.items()), answer.read()
    assert answer.status == 505
    api.document.check_answer("GET", "/v1/tasks", 505, headers, body)


def test_a_request_that_does_not_come_to_its_end_is_408(api):
    host, port = api.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()  # after 10 s
        headers, body = dict(answer.headers.items()), answer.read()
    assert answer.status == 408
    api.document.check_answer("GET", "/v1/tasks", 408, headers, body)


# --- Media types ---


FORM = "application/x-www-form-urlencoded"


def test_each_route_that_takes_json_alone_refuses_other_media_types(api, document, queue):
    task = api.submit(queue)
    for operation in document.operations:
        if 415 not in operation.answers or "*/*" in operation.item["requestBody"]["content"]:
            continue
        for content_type in ("text/plain", FORM, "application/jsonx"):
            answer = api.request(
                operation.method,
                operation.path_for(queue=queue, id=task),
                body="{}",
                headers={"Content-Type": content_type},
            )
            assert answer.status_code == 415, f"{operation.id}: {content_type}: {answer.text}"
            assert re.search("json", value_of(answer, 415)["detail"])


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1"])
def test_json_in_another_charset_is_refused(api, queue, charset):
    content_type = f"application/json; charset={charset}"
    answer = api.send(f"/v1/queues/{queue}/tasks", "{}".encode(charset), content_type)

    refused(answer, 415, "invalid_argument", "Content-Type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json_with_parameters_and_in_any_case(api, queue, content_type):
    value_of(api.send(f"/v1/queues/{queue}/tasks", '{"payload": 1}', content_type), 201)


# --- A disk that fails ---


def test_an_engine_that_cannot_write_takes_nothing_and_is_not_ready(
    idle_server, document, tmp_path, queue
):
    # A write beyond the limit below fails, instead of ending the process.
    launcher = tmp_path / "launcher"
    launcher.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec '{idle_server.jack}' \"$@\"\n")
    launcher.chmod(0o700)
    idle_server.jack = launcher
    idle_server.start()
    api = Client(idle_server, document)
    task_id = api.submit(queue)
    resource.prlimit(idle_server.process.pid, resource.RLIMIT_FSIZE, (0, 0))

    answer = api.post(f"/v1/queues/{queue}/tasks", {"payload_text": "x" * 100_000})

    assert answer.status_code in (503, 507), answer.text
    refused(api.get("/readyz"), 503, "unavailable")
    assert value_of(api.get("/healthz")) == {"status": "ok"}
    assert api.state(task_id) == "queued"  # reads are still answered
    idle_server.kill()
