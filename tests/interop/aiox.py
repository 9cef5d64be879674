"""aioxmpp as a client of the tests."""

import asyncio
import contextlib

import aiosasl
import aiosasl.channel_binding
import aioxmpp
import aioxmpp.connector
import aioxmpp.security_layer
import OpenSSL

from harness import DOMAIN, PASSWORD

PATIENCE_SECONDS = 20


def run(coroutine):
    async def bounded():
        await asyncio.wait_for(coroutine, 4 * PATIENCE_SECONDS)
    asyncio.run(bounded())


async def within(awaitable, seconds=PATIENCE_SECONDS):
    return await asyncio.wait_for(awaitable, seconds)


class Exporter(aiosasl.channel_binding.ChannelBindingProvider):
    """tls-exporter (RFC 9266), which aiosasl does not have."""

    def __init__(self, connection):
        self.connection = connection

    @property
    def cb_name(self):
        return b"tls-exporter"

    def extract_cb_data(self):
        return self.connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")


class EndPoint(aiosasl.channel_binding.ChannelBindingProvider):
    """tls-server-end-point (RFC 5929 §4). That of aiosasl takes names of signatures apart in a way
    that ECDSA's do not fit."""

    def __init__(self, connection):
        self.connection = connection

    @property
    def cb_name(self):
        return b"tls-server-end-point"

    def extract_cb_data(self):
        certificate = self.connection.get_peer_certificate()
        return bytes.fromhex(certificate.digest("sha256").decode().replace(":", ""))


BINDINGS = {"tls-exporter": Exporter, "tls-server-end-point": EndPoint}


class OneMechanism(aioxmpp.security_layer.SASLProvider):
    """Logs in with the mechanism that the test asks for, and with no other."""

    def __init__(self, mechanism, binding, password):
        self.mechanism, self.binding, self.password = mechanism, binding, password

    async def execute(self, client_jid, features, xmlstream, tls_transport):
        async def credentials():
            return client_jid.localpart, self.password

        if self.mechanism == "PLAIN":
            kind = aiosasl.PLAIN(credentials)
        elif self.mechanism.endswith("-PLUS"):
            binding = BINDINGS[self.binding](tls_transport.get_extra_info("ssl_object"))
            kind = aiosasl.SCRAMPLUS(credentials, binding)
        else:
            kind = aiosasl.SCRAM(credentials)
        token = kind.any_supported([self.mechanism])
        offered = features[aioxmpp.security_layer.SASLMechanisms].get_mechanism_list()
        if self.mechanism not in offered:
            return False
        interface = aioxmpp.sasl.SASLXMPPInterface(xmlstream)
        return await self._execute(interface, kind, token)


def security(service, mechanism, binding, password):
    def context():
        ctx = OpenSSL.SSL.Context(OpenSSL.SSL.TLS_METHOD)
        ctx.load_verify_locations(str(service.certificate))
        return ctx

    return aioxmpp.security_layer.SecurityLayer(
        context, aioxmpp.security_layer.PKIXCertificateVerifier, True,
        [OneMechanism(mechanism, binding, password)],
    )


class Client:
    """A client with a queue of what comes in."""

    def __init__(self, service, user, resource=None, *, password=PASSWORD, mechanism="SCRAM-SHA-256",
                 binding=None, direct_tls=False, port=None):
        jid = aioxmpp.JID(user, DOMAIN, resource)
        connector = aioxmpp.connector.XMPPOverTLSConnector() if direct_tls else \
            aioxmpp.connector.STARTTLSConnector()
        port = port or (service.direct_tls_port if direct_tls else service.c2s_port)
        self.client = aioxmpp.PresenceManagedClient(
            jid,
            security(service, mechanism, binding, password),
            override_peer=[(service.host, port, connector)],
        )
        self.messages = asyncio.Queue()
        self.roster = self.client.summon(aioxmpp.RosterClient)
        self.presence = self.client.summon(aioxmpp.PresenceClient)
        dispatcher = self.client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        dispatcher.register_callback(None, None, self.messages.put_nowait)
        self.stack = contextlib.AsyncExitStack()

    @property
    def jid(self):
        return self.client.local_jid

    async def online(self):
        await within(self.stack.enter_async_context(self.client.connected()))
        return self

    async def leave(self):
        await within(self.stack.aclose())

    async def send(self, to, body):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=aioxmpp.JID.fromstr(str(to)))
        message.body[None] = body
        await within(self.client.send(message))

    async def next_text(self):
        message = await within(self.messages.get())
        return message.body.any()

    async def next_signal(self, signal, wanted=lambda *_args: True):
        """Waits for a signal whose arguments are as wanted."""
        done = asyncio.get_running_loop().create_future()

        def heard(*args, **_kwargs):
            if not done.done() and wanted(*args):
                done.set_result(args)

        signal.connect(heard)
        return await within(done)
