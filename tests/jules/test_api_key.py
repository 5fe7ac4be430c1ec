"""A server with API keys asks for one in `X-API-Key`, except where it says how it does."""

import pytest

from jules_server import body_of

ROUTES = [
    ("GET", "/tasks", None, 200),
    ("GET", "/tasks/unassigned", None, 200),
    ("GET", "/tasks/{task}", None, 200),
    ("GET", "/agent/ada/tasks", None, 200),
    ("GET", "/metrics", None, 200),
    ("POST", "/add_task", {"task": "y"}, 201),
    ("POST", "/tasks", {"task": "y"}, 201),
    ("PUT", "/tasks/{task}", {"note": "y"}, 200),
    ("POST", "/tasks/{task}/complete", {"result": "y"}, 200),
    ("POST", "/agent/ada/tasks/{task}/acknowledge", None, 200),
    ("POST", "/agent/ada/tasks/{task}/complete", {"response": "y"}, 200),
]


@pytest.fixture
def key(idle_server):
    """The one key that the server knows."""
    key = idle_server.new_key("ci")
    idle_server.start()
    return key


@pytest.fixture
def owner(idle_server, key):
    """Somebody who has the key."""
    return idle_server.client(X_API_Key=key)


@pytest.fixture
def stranger(idle_server, key):
    """Somebody who has not."""
    return idle_server.client()


def altered(key):
    """A key that differs in one character of its secret."""
    middle = len(key) // 2
    return key[:middle] + ("a" if key[middle] != "a" else "b") + key[middle + 1 :]


@pytest.mark.parametrize("method, path, body, status", ROUTES)
def test_with_the_key_a_route_answers_as_without_keys(owner, method, path, body, status):
    task = owner.add("x", agent="ada")

    assert owner.request(method, path.format(task=task), json=body).status_code == status


@pytest.mark.parametrize("method, path, body, status", ROUTES)
def test_without_a_key_nothing_is_told_or_changed(owner, stranger, method, path, body, status):
    task = owner.add("x", agent="ada")
    before = (owner.tasks(), owner.pending("ada"), owner.data(task))

    answer = stranger.request(method, path.format(task=task), json=body)

    assert body_of(answer, 401) == {"error": "API key required"}
    assert (owner.tasks(), owner.pending("ada"), owner.data(task)) == before


@pytest.mark.parametrize("method, path, body, status", ROUTES)
def test_with_a_wrong_key_nothing_is_told_or_changed(owner, key, method, path, body, status):
    task = owner.add("x", agent="ada")
    before = (owner.tasks(), owner.pending("ada"), owner.data(task))

    path, headers = path.format(task=task), {"X-API-Key": altered(key)}
    answer = owner.request(method, path, json=body, headers=headers)

    assert body_of(answer, 401) == {"error": "Invalid API key"}
    assert (owner.tasks(), owner.pending("ada"), owner.data(task)) == before


@pytest.mark.parametrize(
    "wrong", ["secret", "jack_", "jack_AAAAAAAA_" + "A" * 43 + "_AAAAAA", "*", "ci"]
)
def test_what_is_no_key_is_a_wrong_one(stranger, wrong):
    answer = stranger.get("/tasks", headers={"X-API-Key": wrong})

    assert body_of(answer, 401) == {"error": "Invalid API key"}


def test_the_beginning_of_a_key_is_a_wrong_one(stranger, key):
    answer = stranger.get("/tasks", headers={"X-API-Key": key[:-1]})

    assert body_of(answer, 401) == {"error": "Invalid API key"}


def test_a_key_of_another_server_is_a_wrong_one(idle_server, stranger):
    elsewhere = idle_server.folder / "elsewhere"
    other = idle_server.run("keys", "new", "ci", "--data-dir", elsewhere).stdout.strip()

    answer = stranger.get("/tasks", headers={"X-API-Key": other})

    assert other
    assert body_of(answer, 401) == {"error": "Invalid API key"}


def test_without_a_key_nobody_learns_which_tasks_there_are(owner, stranger):
    task = owner.add("x")

    answers = [stranger.get(f"/tasks/{each}") for each in (task, "no-such-task")]

    assert [body_of(answer, 401) for answer in answers] == [{"error": "API key required"}] * 2


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}])
def test_health_is_open(stranger, headers):
    assert body_of(stranger.get("/health", headers=headers))["status"] == "ok"


def test_the_name_of_the_header_may_be_written_in_any_case(stranger, key):
    assert body_of(stranger.get("/tasks", headers={"x-api-KEY": key})) == []


def test_a_second_key_lets_in_too(idle_server):
    keys = [idle_server.new_key("ci"), idle_server.new_key("laptop")]
    idle_server.start()

    for key in keys:
        assert body_of(idle_server.client(X_API_Key=key).get("/tasks")) == []


def test_a_key_is_refused_once_it_has_been_revoked(idle_server):
    kept, revoked = idle_server.new_key("kept"), idle_server.new_key("revoked")
    idle_server.start()
    owner = idle_server.client(X_API_Key=revoked)
    body_of(owner.get("/tasks"))

    done = idle_server.run("keys", "revoke", "revoked", "--data-dir", idle_server.data_dir)

    assert done.returncode == 0, done.stderr
    assert body_of(owner.get("/tasks"), 401) == {"error": "Invalid API key"}
    assert body_of(idle_server.client(X_API_Key=kept).get("/tasks")) == []


def test_a_page_of_another_site_is_refused_even_with_the_key(owner):
    answer = owner.post("/add_task", {"task": "x"}, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert owner.tasks() == []


def test_the_key_is_asked_for_after_a_restart_too(idle_server, owner, stranger):
    idle_server.restart()

    assert body_of(stranger.get("/tasks"), 401) == {"error": "API key required"}
    assert body_of(owner.get("/tasks")) == []


def test_a_server_without_keys_does_not_mind_one(server):
    body_of(server.client(X_API_Key="whatever").post("/add_task", {"task": "x"}), 201)
