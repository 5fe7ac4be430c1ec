"""A reader of server-sent events, by their own rules rather than by what the server happens to send
(https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import json


class EventStream:
    """What comes by one connection. To be closed."""

    def __init__(self, api, last_event_id=None, **query):
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.document = api.document
        self.answer = api.another().get("/v1/events", params=query, headers=headers, stream=True)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.lines = self.answer.iter_lines(chunk_size=1)
        self.last_id = last_event_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()

    def __iter__(self):
        """Each event as its data, checked against the document. Ends with `end`."""
        kind, data = "message", []
        for line in self.lines:
            line = line.decode("utf-8")
            if line == "":
                if data:
                    event = self._checked(kind, json.loads("\n".join(data)))
                    if event is None:
                        return
                    yield event
                kind, data = "message", []
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id":
                self.last_id = value
            else:
                assert name == "", f"an unknown field: {line}"

    def _checked(self, kind, data):
        if kind == "end":
            assert not self.document.faults_in("EndOfEvents", data), data
            self.reason = data["reason"]
            return None
        assert not self.document.faults_in("Event", data), data
        assert kind == data["event"]
        assert self.last_id == data["position"]
        return data

    def take(self, count):
        """The next so many."""
        events = iter(self)
        return [next(events) for _ in range(count)]

    def rest(self):
        """All up to the end that the server announces."""
        events = list(self)
        assert self.reason
        return events

    def comments(self, count):
        """Returns once so many comments have come."""
        for line in self.lines:
            count -= line.startswith(b":")
            if count == 0:
                return


def kinds_of(events):
    return [event["event"] for event in events]
