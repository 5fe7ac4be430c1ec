"""The OpenAPI document by itself: that it is whole and true to its own examples."""

import json
import re

import pytest
from api_client import value_of
from api_document import IN_REPOSITORY, Document


def test_the_server_serves_the_document_of_the_repository(api, document):
    assert value_of(api.get("/openapi.json")) == document.json


def test_the_text_can_be_embedded_in_the_program():
    text = IN_REPOSITORY.read_text(encoding="utf-8")

    assert ')openapi"' not in text
    assert not re.search(r"@\w+@", text)


def test_the_document_is_of_version_3_1(document):
    assert document.json["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document.json["info"])


def walk(value, place=()):
    """All objects of the document with their places."""
    if isinstance(value, dict):
        yield place, value
        for name, part in value.items():
            yield from walk(part, (*place, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from walk(part, (*place, number))


def references(document):
    return {
        part["$ref"] for _, part in walk(document.json) if isinstance(part.get("$ref"), str)
    }


def test_each_reference_leads_somewhere(document):
    for reference in references(document):
        document.resolver.resolve(reference)


def test_each_component_is_used(document):
    components = document.json["components"]
    names = {
        f"#/components/{kind}/{name}"
        for kind in ("parameters", "headers", "responses", "schemas")
        for name in components[kind]
    }
    unused = {name.split("/")[-1] for name in names - references(document)}

    # Answers of any path, and what stands in streams.
    assert unused == {
        "NoRoute",
        "MethodNotAllowed",
        "ExpectationFailed",
        "UnknownMethod",
        "UnknownVersion",
        "Event",
        "EndOfEvents",
    }


def test_each_schema_is_a_json_schema(document):
    for schema in document.json["components"]["schemas"].values():
        document.faults(schema, None)
        validator = document._validator.__wrapped__(document, "{}")
        validator.check_schema(schema)


def test_each_operation_has_its_own_id_and_the_parameters_of_its_path(document):
    ids = [operation.id for operation in document.operations]
    assert len(set(ids)) == len(ids)
    for operation in document.operations:
        named = {each["name"] for each in operation.parameters if each["in"] == "path"}
        assert named == set(operation.path_names), operation.id


def test_each_security_scheme_is_described(document):
    schemes = set(document.json["components"]["securitySchemes"])
    for operation in document.operations:
        for each in operation.item["security"]:
            assert set(each) <= schemes


def test_each_refusal_is_a_problem_document(document):
    for operation in document.operations:
        for status, answer in operation.answers.items():
            if status >= 400:
                assert set(answer["content"]) == {"application/problem+json"}


def contents(document):
    for place, part in walk(document.json):
        for media_type, content in part.get("content", {}).items():
            if isinstance(content, dict) and media_type.endswith("json"):
                yield place, content


def test_each_example_is_what_its_schema_says(document):
    count = 0
    for place, content in contents(document):
        examples = [each["value"] for each in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        for example in examples:
            assert not document.faults(content["schema"], example), place
            count += 1
    for name, schema in document.json["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert not document.faults(schema, example), name
            count += 1
    assert count > 50


OURS = ["NewTask", "Problem", "Task", "TaskInList", "ClaimedTask", "Event", "Queue", "History"]


@pytest.mark.parametrize("name", OURS)
def test_a_field_that_is_not_described_contradicts_the_document(document, name):
    examples = [
        content.get("example")
        for _, content in contents(document)
        if isinstance(content.get("example"), dict)
    ]
    examples += [part for example in examples for _, part in walk(example)]
    for _, content in contents(document):
        examples += [each["value"] for each in content.get("examples", {}).values()]
    good = [each for each in examples if each and not document.faults_in(name, each)]
    if name == "Event":
        event = {"position": "1.0", "event": "queue_paused", "queue": "q"}
        good = [event | {"at": "2026-01-01T00:00:00Z"}]
        assert not document.faults_in(name, good[0])

    assert good
    assert all(document.faults_in(name, each | {"nonsense": 1}) for each in good)


def test_a_wrong_answer_would_be_noticed():
    """The checks of the other tests are able to fail."""
    problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "x"}
    text = IN_REPOSITORY.read_text(encoding="utf-8")
    document = Document(json.loads(text))
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    typed = headers | {"Content-Type": "application/problem+json"}
    for status, fields, body in (
        (404, typed, problem),  # no code
        (404, typed, problem | {"code": "not_found", "more": 1}),
        (404, headers | {"Content-Type": "application/json"}, problem | {"code": "not_found"}),
        (404, {"Content-Type": "application/problem+json"}, problem | {"code": "not_found"}),
        (418, typed, problem | {"code": "not_found"}),
        (429, typed, problem | {"code": "rate_limited", "status": 429}),  # no Retry-After
    ):
        with pytest.raises((AssertionError, KeyError)):
            content = json.dumps(body).encode()
            document.check_answer("GET", "/v1/engine", status, fields, content)
