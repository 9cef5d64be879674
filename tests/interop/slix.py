"""slixmpp as a client of the tests."""

import asyncio
import contextlib
import ssl

import slixmpp

from harness import DOMAIN, PASSWORD

# How long anything may take before a test gives up.
PATIENCE_SECONDS = 20

PLUGINS = (
    "xep_0012", "xep_0030", "xep_0077", "xep_0092", "xep_0115", "xep_0198", "xep_0199", "xep_0202",
    "xep_0203", "xep_0359",
)


class Refused(Exception):
    """The server did not let us in."""


def run(coroutine):
    """Runs a test's coroutine."""
    async def bounded():
        await asyncio.wait_for(coroutine, 4 * PATIENCE_SECONDS)
    asyncio.run(bounded())


async def within(awaitable, seconds=PATIENCE_SECONDS):
    return await asyncio.wait_for(awaitable, seconds)


class Client(slixmpp.ClientXMPP):
    """Collects what comes in queues that a test reads."""

    def __init__(self, service, user, resource=None, password=PASSWORD, mechanism=None, plugins=PLUGINS,
                 tls_version=None):
        jid = f"{user}@{DOMAIN}" + (f"/{resource}" if resource else "")
        super().__init__(jid, password, sasl_mech=mechanism)
        self.service = service
        self.ca_certs = service.certificate
        if tls_version is not None:
            self.ssl_context.minimum_version = self.ssl_context.maximum_version = tls_version
        # A test says itself when it connects.
        self.auto_reconnect = False
        self.auto_authorize = None
        self.auto_subscribe = False
        self.messages = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.pushes = asyncio.Queue()
        self.events = asyncio.Queue()
        for plugin in plugins:
            self.register_plugin(plugin)
        if "xep_0077" in plugins:
            self.plugin["xep_0077"].create_account = False
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("message_error", self.messages.put_nowait)
        for name in ("available", "away", "chat", "dnd", "xa", "unavailable", "subscribe", "subscribed",
                     "unsubscribe", "unsubscribed", "error"):
            self.add_event_handler(f"presence_{name}", self.presences.put_nowait)
        self.add_event_handler("roster_update", self._pushed)
        for name in ("session_start", "session_resumed", "failed_auth", "failed_all_auth", "disconnected",
                     "sm_enabled", "sm_failed", "stream_error", "ssl_invalid_chain"):
            self.add_event_handler(name, lambda data, name=name: self.events.put_nowait((name, data)))

    def _pushed(self, iq):
        if iq["type"] == "set":
            self.pushes.put_nowait(iq)

    async def login(self, direct_tls=False, tls=True, through=None):
        """Connects, through a relay if need be, and logs in; `Refused` when the server does not
        want us."""
        self.enable_direct_tls, self.enable_starttls = direct_tls, tls and not direct_tls
        self.enable_plaintext = not tls
        if not tls:
            for kind in ("scram", "plain"):
                self.plugin["feature_mechanisms"].config[f"unencrypted_{kind}"] = True
        port = self.service.direct_tls_port if direct_tls else self.service.c2s_port
        if through is not None:
            port = through.port
        self.connect(self.service.host, port)
        await self.expect_event("session_start")
        return self

    async def online(self, **options):
        """Logs in, fetches the roster and is available."""
        await self.login(**options)
        await within(self.get_roster())
        self.send_presence()
        mine = await self.next_presence()
        assert mine["from"] == self.boundjid, mine
        return self

    async def expect_event(self, wanted):
        while True:
            name, data = await within(self.events.get())
            if name == wanted:
                return data
            if name in ("failed_auth", "failed_all_auth", "stream_error", "ssl_invalid_chain"):
                raise Refused(f"{name}: {data}")
            if name == "disconnected" and wanted != "disconnected":
                raise Refused(f"disconnected: {data}")

    async def next_message(self):
        return await within(self.messages.get())

    async def next_presence(self, kind=None):
        """The next presence of this type, or with this `show`."""
        while True:
            presence = await within(self.presences.get())
            if kind is None or presence["type"] == kind:
                return presence

    async def next_push(self, jid):
        """The item of the next roster push, which is about this contact."""
        iq = await within(self.pushes.get())
        items = iq["roster"]["items"]
        assert list(items) == [jid], iq
        return items[jid]

    async def barrier(self):
        """Everything the server had for us before this has arrived."""
        await within(self.plugin["xep_0199"].send_ping(DOMAIN, timeout=PATIENCE_SECONDS))

    def cut(self):
        """Loses the connection without a word to the server."""
        self.transport.abort()

    async def leave(self):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.disconnect(wait=2), PATIENCE_SECONDS)


TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3
