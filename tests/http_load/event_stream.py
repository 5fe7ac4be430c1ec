"""Readers of GET /v1/events, over a bare socket: one that goes on where it was, and the parser."""

import asyncio
import collections
import json

# A position is a pair, so that positions compare in their order.
Event = collections.namedtuple("Event", "position kind task queue attempt")

READ_BYTES = 65536


def position_of(text):
    entry, ordinal = text.split(".")
    return int(entry), int(ordinal)


def text_of(position):
    return "%d.%d" % position


def request_for(query="", after=None):
    """The bytes of a request for events."""
    resume = "" if after is None else f"Last-Event-ID: {text_of(after)}\r\n"
    head = f"GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
    return f"{head}{resume}\r\n".encode()


class EventParser:
    """Takes a streamed answer apart as its bytes arrive; what is cut off at its end is no event."""

    def __init__(self):
        self.bytes = b""
        self.text = b""
        self.head = None
        self.chunk_left = 0  # bytes of the chunk under way, with the two that end it
        self.has_begun = False  # the server has said that it listens
        self.begins_at = None  # and behind which position
        self.is_whole = False  # the answer has come to its proper end
        self.reason = None  # why the server ended it

    def feed(self, data):
        """The events that are complete by now."""
        self.bytes += data
        if self.head is None and not self.take_head():
            return []
        self.take_chunks()
        return self.take_events()

    def take_head(self):
        head, end, rest = self.bytes.partition(b"\r\n\r\n")
        if not end:
            return False
        self.head, self.bytes = head.decode(), rest
        assert self.head.startswith("HTTP/1.1 200 "), self.head + rest.decode(errors="replace")
        lines = self.head.lower().splitlines()
        assert "content-type: text/event-stream" in lines, self.head
        assert "transfer-encoding: chunked" in lines, self.head
        return True

    def take_chunks(self):
        while self.bytes:
            if not self.chunk_left:
                length, end, rest = self.bytes.partition(b"\r\n")
                if not end:
                    break
                self.chunk_left, self.bytes = int(length, 16) + 2, rest
                self.is_whole = self.chunk_left == 2
            part, self.bytes = self.bytes[: self.chunk_left], self.bytes[self.chunk_left :]
            self.text += part[: max(0, self.chunk_left - 2)]
            self.chunk_left -= len(part)

    def take_events(self):
        *blocks, self.text = self.text.split(b"\n\n")
        self.has_begun = self.has_begun or bool(blocks)
        events = [self.event_of(block.decode()) for block in blocks]
        return [event for event in events if event is not None]

    def event_of(self, block):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" not in fields:  # a comment, or where the stream begins
            self.begins_at = position_of(fields["id"]) if fields else self.begins_at
            return None
        data = json.loads(fields["data"])
        if fields["event"] == "end":
            self.reason = data["reason"]
            return None
        assert self.reason is None, f"an event after the end: {block}"
        assert (fields["id"], fields["event"]) == (data["position"], data["event"]), block
        return Event(
            position_of(fields["id"]), data["event"], data.get("id"), data["queue"], data["attempt"]
        )


class EventStream:
    """One reader. `drop_after` gives after how many events it next loses its connection, with
    what is under way on it; then it goes on by Last-Event-ID. Without it, no connection may end.
    """

    def __init__(self, server, query="", after=None, drop_after=None):
        self.server, self.query, self.after = server, query, after
        self.drop_after = drop_after
        self.seen = []
        self.resumed = 0
        self.has_begun = asyncio.Event()
        self.awaited = None  # (task, kind), and who waits for it
        self.running = asyncio.create_task(self.read_all())

    async def read_all(self):
        while True:
            await self.read_one_connection()
            assert self.drop_after is not None, f"the server has ended {self.query or 'a stream'}"
            self.resumed += 1

    async def read_one_connection(self):
        reader, writer = await asyncio.open_connection(self.server.host, self.server.port)
        try:
            writer.write(request_for(self.query, self.after))
            await self.take_events(reader)
        finally:
            writer.transport.abort()

    async def take_events(self, reader):
        parser = EventParser()
        left = self.drop_after() if self.drop_after else None
        while data := await reader.read(READ_BYTES):
            events = parser.feed(data)
            if parser.has_begun:
                self.has_begun.set()
            if not self.seen:
                self.after = parser.begins_at
            self.take(events[:left])
            if parser.is_whole or left is not None and len(events) >= left:
                return
            if left is not None:
                left -= len(events)

    def take(self, events):
        for event in events:
            self.after = event.position
            self.seen.append(event)
            if self.awaited and self.awaited[0] == (event.task, event.kind):
                self.awaited[1].set_result(None)
                self.awaited = None

    async def until(self, task, kind):
        """Returns once it has seen this, however long ago."""
        if any((event.task, event.kind) == (task, kind) for event in self.seen):
            return
        self.awaited = (task, kind), asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait(
            {self.awaited[1], self.running}, return_when=asyncio.FIRST_COMPLETED
        )
        if self.running in done:
            self.running.result()  # raises what went wrong

    async def close(self):
        self.running.cancel()
        await asyncio.wait({self.running})
