"""`GET /metrics`: the names that dashboards of today read."""

import re

import pytest

from jules_server import body_of

SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r"(?:\{(?P<labels>.*)\})?"
    r" (?P<value>[+-]?Inf|NaN|[0-9.eE+-]+)"
    r"(?: -?[0-9]+)?"
)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)",?')


def labels_of(text):
    assert LABEL.sub("", text) == "", text
    return dict(LABEL.findall(text))


def read_metrics(client):
    """All samples, as name, labels and value. A line that is none fails the test."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.content.endswith(b"\n")
    samples = []
    for line in answer.content.decode("utf-8").splitlines():
        if line and not line.startswith("#"):
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            labels = labels_of(sample["labels"] or "")
            samples.append((sample["name"], labels, float(sample["value"])))
    return samples


def total(client, name, **labels):
    """The sum of what has this name and these labels, and 0 where nothing has."""
    return sum(
        value
        for each, has, value in read_metrics(client)
        if each == name and labels.items() <= has.items()
    )


def finish_one(client, agent):
    task = client.add("x", agent=agent)
    body_of(client.acknowledge(agent, task))
    body_of(client.complete(agent, task, "done"))


@pytest.mark.parametrize(
    "name, labels",
    [
        ("a2a_tasks_total", {"assigned_to"}),
        ("a2a_tasks_processed_total", {"agent"}),
        ("a2a_tasks_acknowledged_total", {"agent"}),
        ("a2a_active_tasks", {"agent"}),
        ("a2a_redis_connection_status", set()),
        ("a2a_api_request_duration_seconds_count", {"endpoint", "method"}),
        ("a2a_api_request_duration_seconds_sum", {"endpoint", "method"}),
    ],
)
def test_the_old_names_have_their_old_labels(jules, name, labels):
    finish_one(jules, "ada")
    jules.add("still to be done", agent="ada")

    found = [set(has) for each, has, _ in read_metrics(jules) if each == name]

    assert found
    assert all(has == labels for has in found)


@pytest.mark.parametrize(
    "name, types",
    [
        ("a2a_tasks_total", {"counter"}),
        ("a2a_tasks_processed_total", {"counter"}),
        ("a2a_tasks_acknowledged_total", {"counter"}),
        ("a2a_active_tasks", {"gauge"}),
        ("a2a_redis_connection_status", {"gauge"}),
        ("a2a_api_request_duration_seconds", {"histogram", "summary"}),
    ],
)
def test_each_name_says_once_of_what_type_it_is(jules, name, types):
    finish_one(jules, "ada")

    lines = jules.get("/metrics").text.splitlines()

    [found] = [line.split()[3] for line in lines if line.startswith(f"# TYPE {name} ")]
    assert found in types


def test_no_sample_is_there_twice(jules):
    finish_one(jules, "ada")
    finish_one(jules, "bob")

    names = [(name, tuple(sorted(labels.items()))) for name, labels, _ in read_metrics(jules)]

    assert len(names) == len(set(names))


def test_a_new_task_counts_for_the_agent_that_it_is_assigned_to(jules):
    jules.add("a", agent="ada")
    jules.add("b", agent="ada")
    jules.add("c", agent="bob")

    assert total(jules, "a2a_tasks_total", assigned_to="ada") == 2
    assert total(jules, "a2a_tasks_total", assigned_to="bob") == 1


def test_a_task_of_nobody_counts_as_a_task(jules):
    jules.add("a", agent="ada")
    before = total(jules, "a2a_tasks_total")

    jules.add("b")

    assert total(jules, "a2a_tasks_total") == before + 1
    assert total(jules, "a2a_tasks_total", assigned_to="ada") == 1


def test_a_task_that_is_refused_does_not_count(jules):
    before = total(jules, "a2a_tasks_total")

    jules.post("/add_task", {"task": " ", "assigned_to": "ada"})

    assert total(jules, "a2a_tasks_total") == before


def test_an_acknowledgement_counts_once_for_its_agent(jules):
    task = jules.add("x", agent="ada")

    jules.acknowledge("bob", task)
    jules.acknowledge("ada", task)
    jules.acknowledge("ada", task)

    assert total(jules, "a2a_tasks_acknowledged_total", agent="ada") == 1
    assert total(jules, "a2a_tasks_acknowledged_total", agent="bob") == 0


def test_a_completed_task_counts_once_for_its_agent(jules):
    task = jules.add("x", agent="ada")

    jules.complete("bob", task, "not mine")
    jules.complete("ada", task, "first")
    jules.complete("ada", task, "second")

    assert total(jules, "a2a_tasks_processed_total", agent="ada") == 1
    assert total(jules, "a2a_tasks_processed_total", agent="bob") == 0


def test_a_task_is_active_from_its_acceptance_until_it_is_completed(jules):
    first, second = jules.add("a", agent="ada"), jules.add("b", agent="ada")
    assert total(jules, "a2a_active_tasks", agent="ada") == 2

    jules.complete("ada", first, "done")
    assert total(jules, "a2a_active_tasks", agent="ada") == 1

    jules.complete("ada", second, "done")
    assert total(jules, "a2a_active_tasks", agent="ada") == 0


def test_without_redis_its_connection_is_0(jules):
    found = [each for each in read_metrics(jules) if each[0] == "a2a_redis_connection_status"]

    assert found == [("a2a_redis_connection_status", {}, 0)]


def test_each_request_is_timed_under_its_method(jules):
    name = "a2a_api_request_duration_seconds_count"
    jules.add("x")
    before = total(jules, name, method="POST")

    jules.add("y")
    jules.add("z")

    assert total(jules, name, method="POST") == before + 2
    assert total(jules, "a2a_api_request_duration_seconds_sum", method="POST") > 0


# A name for each task would grow without end.
def test_requests_for_different_tasks_are_one_endpoint(jules):
    tasks = [jules.add("x", agent="ada") for _ in range(3)]

    def endpoints():
        read_metrics(jules)  # from the second time on, its own endpoint is there
        name = "a2a_api_request_duration_seconds_count"
        return {has["endpoint"] for each, has, _ in read_metrics(jules) if each == name}

    jules.data(tasks[0])
    jules.complete("ada", tasks[0], "done")
    before = endpoints()
    for task in tasks[1:]:
        jules.data(task)
        jules.complete("ada", task, "done")
    assert endpoints() == before
