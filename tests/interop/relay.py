"""A network between client and server that a test can break."""

import asyncio


class Relay:
    """Forwards connections; swallows what goes through it, or cuts it off, when told to."""

    def __init__(self, host, port):
        self.host = "127.0.0.1"
        self.target = (host, port)
        self.swallowing = False
        self.writers = set()
        self.tasks = set()
        self.server = None

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error):
        self.server.close()
        self.cut()

    async def _accept(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection(*self.target)
        self.writers |= {writer, there_writer}
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _pump(self, source, sink):
        try:
            while data := await source.read(65536):
                if not self.swallowing:
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        sink.close()

    def swallow(self):
        """From now on nothing arrives, either way, and no side can tell."""
        self.swallowing = True

    def cut(self):
        """Breaks every connection; new ones work."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()
        self.swallowing = False
