"""aioxmpp against the service. It is strict about what a server sends: a client of its own mind."""

import asyncio

import aiosasl
import aioxmpp
import aioxmpp.disco
import aioxmpp.ping
import aioxmpp.version
import pytest

from aiox import Client, run, within
from harness import DOMAIN, PASSWORD
from relay import Relay

ROMEO, JULIET = (aioxmpp.JID.fromstr(f"{name}@{DOMAIN}") for name in ("romeo", "juliet"))


# aiosasl has no SHA-512; slixmpp, which has, has no channel binding that may be used with TLS 1.3.
@pytest.mark.parametrize("mechanism,binding", [
    ("SCRAM-SHA-1", None), ("SCRAM-SHA-256", None), ("PLAIN", None),
    ("SCRAM-SHA-1-PLUS", "tls-exporter"), ("SCRAM-SHA-1-PLUS", "tls-server-end-point"),
    ("SCRAM-SHA-256-PLUS", "tls-exporter"), ("SCRAM-SHA-256-PLUS", "tls-server-end-point"),
])
@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_login(service, mechanism, binding, direct):
    async def test():
        romeo = await Client(service, "romeo", "orchard", mechanism=mechanism, binding=binding,
                             direct_tls=direct).online()
        assert romeo.jid == ROMEO.replace(resource="orchard")
        await within(aioxmpp.ping.ping(romeo.client, ROMEO.replace(localpart=None)))
        await romeo.leave()
    run(test())


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"])
@pytest.mark.parametrize("user", ["romeo", "nobody"])
def test_wrong_password(service, mechanism, user):
    async def test():
        with pytest.raises(aiosasl.AuthenticationFailure):
            await Client(service, user, password="wrong", mechanism=mechanism).online()
    run(test())


async def befriend(one, other):
    """Each sees the other's presence afterwards."""
    for asks, answers in ((one, other), (other, one)):
        asked = asyncio.ensure_future(answers.next_signal(answers.roster.on_subscribe))
        granted = asyncio.ensure_future(asks.next_signal(asks.roster.on_subscribed))
        seen = asyncio.ensure_future(asks.next_signal(
            asks.presence.on_available, lambda full, _stanza: full == answers.jid))
        await asyncio.sleep(0)
        asks.roster.subscribe(answers.jid.bare())
        (request,) = await asked
        assert request.from_ == asks.jid.bare()
        answers.roster.approve(asks.jid.bare())
        await granted
        await seen


def test_roster_and_presence_both_ways(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        juliet = await Client(service, "juliet", "balcony").online()
        await befriend(romeo, juliet)
        for client, contact in ((romeo, JULIET), (juliet, ROMEO)):
            for _ in range(100):
                if client.roster.items[contact].subscription == "both":
                    break
                await asyncio.sleep(0.05)
            assert client.roster.items[contact].subscription == "both"

        away = asyncio.ensure_future(romeo.next_signal(
            romeo.presence.on_changed, lambda full, _stanza: full == juliet.jid))
        await asyncio.sleep(0)
        juliet.client.presence = aioxmpp.PresenceState(available=True, show=aioxmpp.PresenceShow.AWAY)
        await away
        gone = asyncio.ensure_future(romeo.next_signal(
            romeo.presence.on_unavailable, lambda full, _stanza: full == juliet.jid))
        await asyncio.sleep(0)
        jid = juliet.jid
        await juliet.leave()
        assert (await gone)[0] == jid

        await within(romeo.roster.set_entry(JULIET, name="J & co", add_to_groups={"Verona"}))
        for _ in range(100):
            if romeo.roster.items[JULIET].name == "J & co":
                break
            await asyncio.sleep(0.05)
        assert {group for group in romeo.roster.items[JULIET].groups} == {"Verona"}
        await within(romeo.roster.remove_entry(JULIET))
        for _ in range(100):
            if JULIET not in romeo.roster.items:
                break
            await asyncio.sleep(0.05)
        assert JULIET not in romeo.roster.items
        await romeo.leave()
    run(test())


def test_messages_to_bare_and_full_addresses(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        juliet = await Client(service, "juliet", "balcony").online()
        await romeo.send(JULIET, "to the bare one")
        message = await within(juliet.messages.get())
        assert message.body.any() == "to the bare one"
        assert message.from_ == romeo.jid
        await juliet.send(message.from_, "to the full one")
        assert await romeo.next_text() == "to the full one"
        await romeo.leave()
        await juliet.leave()
    run(test())


def test_offline_messages_in_order(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        for number in range(30):
            await romeo.send(JULIET, str(number))
        await romeo.leave()
        juliet = await Client(service, "juliet", "balcony").online()
        for number in range(30):
            message = await within(juliet.messages.get())
            assert message.body.any() == str(number)
            assert message.xep0203_delay, "with the time of its sending"
        await juliet.leave()
    run(test())


def test_resumption(service):
    async def test():
        async with Relay(service.host, service.c2s_port) as relay:
            romeo = await Client(service, "romeo", "orchard", port=relay.port).online()
            juliet = await Client(service, "juliet", "balcony").online()
            assert romeo.client.stream.sm_enabled, "aioxmpp uses XEP-0198 where it is offered"
            session = romeo.client.stream.sm_id
            relay.swallow()
            sent = asyncio.ensure_future(romeo.send(JULIET, "into the void"))
            await juliet.send(ROMEO, "while it was broken")
            await asyncio.sleep(0.2)
            resumed = asyncio.ensure_future(romeo.next_signal(romeo.client.on_stream_resumed))
            await asyncio.sleep(0)
            relay.cut()
            assert await romeo.next_text() == "while it was broken"
            assert await juliet.next_text() == "into the void"
            await sent
            await resumed
            assert romeo.client.stream.sm_id == session
            await juliet.send(romeo.jid, "still there?")
            assert await romeo.next_text() == "still there?"
            assert romeo.messages.empty() and juliet.messages.empty(), "everything once"
            await romeo.leave()
            await juliet.leave()
    run(test())


def test_queries(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        server = ROMEO.replace(localpart=None)
        disco = romeo.client.summon(aioxmpp.DiscoClient)
        info = await within(disco.query_info(server))
        assert ("server", "im") in {(i.category, i.type_) for i in info.identities}
        assert "urn:xmpp:ping" in info.features
        await within(disco.query_items(server))
        version = await within(aioxmpp.version.query_version(romeo.client.stream, server))
        assert version.name
        with pytest.raises(aioxmpp.errors.XMPPCancelError) as refused:
            await within(disco.query_info(JULIET))
        assert refused.value.condition == aioxmpp.ErrorCondition.SERVICE_UNAVAILABLE
        await romeo.leave()
    run(test())


def test_password_is_the_operators_to_change(service):
    async def test():
        done = service.ctl("user", "passwd", str(ROMEO), "--password-stdin", stdin="another")
        assert done.returncode == 0, done
        with pytest.raises(aiosasl.AuthenticationFailure):
            await Client(service, "romeo", password=PASSWORD).online()
        romeo = await Client(service, "romeo", password="another").online()
        await romeo.leave()
    run(test())
