"""Comes last: what the tests before have not met of the document, and of the server."""

import pathlib
import re

# What is the same on every route, and takes long or a broken machine to see.
RARE = {408, 500, 503, 507}

GATEWAY = pathlib.Path(__file__).parents[2] / "apps" / "api" / "gateway.cc"
METHODS = {"get": "GET", "post": "POST", "del": "DELETE", "patch": "PATCH", "put": "PUT"}


def test_every_answer_of_every_operation_was_met(document):
    documented = {
        (operation.id, status)
        for operation in document.operations
        for status in operation.answers
        if status not in RARE
    }

    assert documented - document.seen == set()


def test_rare_answers_were_met_somewhere(document):
    assert {status for _, status in document.seen} >= {408, 503}


def test_answers_that_belong_to_no_operation_were_met(document):
    assert document.seen_anywhere >= {404, 405, 417, 501, 505}


# The server answers a path that it does not have by another 404 than one about a task or a queue.
def test_each_documented_operation_is_a_route_of_the_server(api, document):
    for operation in document.operations:
        path = operation.path_for(queue="q", id="01900000-0000-7000-8000-000000000000")
        stream = operation.id == "watchEvents"

        answer = api.request(operation.method, path, stream=stream)

        if answer.status_code == 404:
            assert "there is no route" not in answer.text, operation.id
        assert answer.status_code != 405, operation.id
        answer.close()


def test_each_route_of_the_server_is_documented(document):
    text = GATEWAY.read_text(encoding="utf-8")
    routes = {
        (METHODS[method], path)
        for method, path in re.findall(r'add\(Method::(\w+), "([^"]+)",', text)
    }
    for verb in re.findall(r'add_change\("(\w+)"', text):
        routes |= {("POST", f"/v1/tasks/{verb}"), ("POST", f"/v1/tasks/{{id}}/{verb}")}

    assert routes == {(operation.method, operation.path) for operation in document.operations}
