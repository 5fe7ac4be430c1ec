"""A client that has many connections open at once, in one thread."""

import asyncio
import json


class Connection:
    """One request after the other."""

    def __init__(self, server):
        self.server = server
        self.reader = self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(self.server.host, self.server.port)
        return self

    async def ask(self, method, path, body=None, status=200):
        """The JSON of an answer that has this status."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        answered, answer = await self.answer()
        assert answered == status, f"{method} {path}: {answered} {answer}"
        return json.loads(answer) if answer else None

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(head.split()[1])
        if status == 204:
            return status, b""
        length = int(head.split("content-length: ")[1].split()[0])
        return status, await self.reader.readexactly(length)

    def close(self):
        self.writer.close()
