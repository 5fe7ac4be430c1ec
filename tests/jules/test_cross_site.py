"""Pages of other sites: a browser must not be led here, as a task can reach a command."""

import pytest

from jules_server import body_of

EVIL = "https://evil.example"
FOREIGN = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
]
CHANGES = [
    ("POST", "/add_task", {"task": "evil"}),
    ("POST", "/tasks", {"task": "evil"}),
    ("PUT", "/tasks/{task}", {"note": "evil"}),
    ("POST", "/tasks/{task}/complete", {"result": "evil"}),
    ("POST", "/agent/ada/tasks/{task}/acknowledge", None),
    ("POST", "/agent/ada/tasks/{task}/complete", {"response": "evil"}),
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method, path, body", CHANGES)
def test_a_page_of_another_site_changes_nothing(jules, method, path, body, headers):
    task = jules.add("x", agent="ada")
    before = (jules.tasks(), jules.pending("ada"), jules.data(task))

    answer = jules.request(method, path.format(task=task), json=body, headers=headers)

    assert answer.status_code == 403
    assert (jules.tasks(), jules.pending("ada"), jules.data(task)) == before


@pytest.mark.parametrize("path", ["/health", "/tasks", "/tasks/unassigned", "/agent/ada/tasks"])
def test_a_page_of_another_site_may_not_read(jules, path):
    answer = jules.get(path, headers={"Origin": EVIL, "Sec-Fetch-Site": "cross-site"})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_browser_of_a_page_of_this_server_is_let_in(server, jules):
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}

    body_of(jules.post("/add_task", {"task": "x"}, headers=headers), 201)


def test_an_address_typed_into_a_browser_is_let_in(jules):
    assert jules.get("/health", headers={"Sec-Fetch-Site": "none"}).status_code == 200


# --- Sites that are allowed ---

GOOD = "https://good.example"
ALLOW_GOOD = ("--set", f"http.allowed_origins={GOOD}")


def test_a_site_that_is_allowed_may_change_and_read(idle_server):
    idle_server.start(*ALLOW_GOOD)
    jules = idle_server.client()

    answer = jules.post(
        "/add_task", {"task": "x"}, headers={"Origin": GOOD, "Sec-Fetch-Site": "cross-site"}
    )

    body_of(answer, 201)
    assert answer.headers["Access-Control-Allow-Origin"] == GOOD


def test_a_browser_that_asks_first_is_told_what_an_allowed_site_may_do(idle_server):
    idle_server.start(*ALLOW_GOOD)

    answer = idle_server.client().request(
        "OPTIONS",
        "/add_task",
        headers={
            "Origin": GOOD,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-api-key",
        },
    )

    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == GOOD
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().replace(" ", "").split(",")
    assert {"content-type", "x-api-key"} <= set(allowed)


@pytest.mark.parametrize(
    "origin", [EVIL, "http://good.example", f"{GOOD}.evil.example", f"{GOOD}:444"]
)
def test_where_a_site_is_allowed_all_others_are_not(idle_server, origin):
    idle_server.start(*ALLOW_GOOD)
    jules = idle_server.client()

    answer = jules.post("/add_task", {"task": "evil"}, headers={"Origin": origin})

    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert jules.tasks() == []
