"""The server as a whole: who it is, how it does, where it listens, what it refuses."""

import socket

import pytest

from jules_server import TIME, body_of

# Each path of the old API with the methods that it has, and some that it does not have.
ROUTES = [
    ("/health", ["GET"], ["POST", "DELETE"]),
    ("/metrics", ["GET"], ["POST", "DELETE"]),
    ("/add_task", ["POST"], ["GET", "PUT", "DELETE"]),
    ("/tasks", ["GET", "POST"], ["PUT", "DELETE"]),
    ("/tasks/unassigned", ["GET"], ["POST", "DELETE"]),
    ("/tasks/1", ["GET", "PUT"], ["POST", "DELETE", "PATCH"]),
    ("/tasks/1/complete", ["POST"], ["GET", "PUT", "DELETE"]),
    ("/agent/ada/tasks", ["GET"], ["POST", "DELETE"]),
    ("/agent/ada/tasks/1/acknowledge", ["POST"], ["GET", "PUT", "DELETE"]),
    ("/agent/ada/tasks/1/complete", ["POST"], ["GET", "PUT", "DELETE"]),
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


# --- Who it is, and how it does ---


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_the_front_page_names_the_service_and_its_endpoints(jules, accept):
    page = body_of(jules.get("/", headers={"Accept": accept}))

    assert page["status"] == "running"
    assert isinstance(page["service"], str) and page["service"]
    assert isinstance(page["endpoints"], list)
    listing = str(page["endpoints"])  # of texts or objects: each names its path
    assert all(path in listing for path in ("/health", "/add_task", "/tasks", "/metrics"))


def test_a_browser_gets_a_front_page(jules):
    answer = jules.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] in ("text/html", "application/json")


def test_health_is_ok_and_tells_the_time(jules):
    health = body_of(jules.get("/health"))

    assert health["status"] == "ok"
    assert TIME.fullmatch(health["server_time"])
    assert isinstance(health["storage"], str) and health["storage"]


def test_without_redis_health_says_that_it_is_not_configured(jules):
    assert body_of(jules.get("/health"))["redis"] == "not configured"


# --- Where it listens ---


def test_port_0_takes_a_free_port_of_this_machine_and_the_ready_line_says_which(server):
    [url] = server.urls
    host, port = url.removeprefix("http://").rsplit(":", 1)

    assert host == "127.0.0.1"
    assert int(port) > 0


def test_the_port_is_that_of_the_variable_port(idle_server):
    port, other = free_port(), free_port()
    idle_server.start(http=(), PORT=port, A2A_JULES_PORT=other)

    assert [url.rsplit(":", 1)[1] for url in idle_server.urls] == [port]
    body_of(idle_server.client().get("/health"))


def test_the_port_is_that_of_a2a_jules_port_where_there_is_no_port(idle_server):
    port = free_port()
    idle_server.start(http=(), A2A_JULES_PORT=port)

    assert [url.rsplit(":", 1)[1] for url in idle_server.urls] == [port]
    body_of(idle_server.client().get("/health"))


def test_the_command_line_has_the_say_over_the_variable(idle_server):
    port, other = free_port(), free_port()
    idle_server.start(http=("--http", f"127.0.0.1:{port}"), PORT=other)

    assert idle_server.urls == [f"http://127.0.0.1:{port}"]


# --- What it refuses ---


@pytest.mark.parametrize("path, methods, wrong_methods", ROUTES)
def test_a_wrong_method_is_405_and_the_right_ones_are_named(jules, path, methods, wrong_methods):
    jules.add("one", agent="ada")

    for method in wrong_methods:
        answer = jules.request(method, path)

        assert answer.status_code == 405, method
        assert set(methods) <= set(answer.headers["Allow"].replace(" ", "").split(","))
    assert [task["task"] for task in jules.pending("ada")] == ["one"]


@pytest.mark.parametrize("path", ["/nothing", "/add_task/1", "/tasks/1/nothing", "/agent/ada"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_there_is_not_is_404(jules, method, path):
    assert jules.request(method, path).status_code == 404
