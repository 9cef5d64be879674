"""slixmpp against the service: the walk of a user's life, from login to the removal of the account."""

import asyncio
import datetime

import pytest
from slixmpp.exceptions import IqError

from harness import DOMAIN, PASSWORD
from relay import Relay
from slix import TLS12, TLS13, Client, Refused, run, within

ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"


# Logging in.

@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls1.2", "tls1.3"])
@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_login(service, mechanism, version, direct):
    async def test():
        romeo = Client(service, "romeo", "orchard", mechanism=mechanism, tls_version=version)
        await romeo.login(direct_tls=direct)
        assert romeo.boundjid.full == f"{ROMEO}/orchard"
        assert romeo.plugin["feature_mechanisms"].mech.name == mechanism
        assert romeo.socket.version() == {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[version]
        await romeo.barrier()
        await romeo.leave()
    run(test())


def test_login_without_a_resource(service):
    async def test():
        one = await Client(service, "romeo").login()
        two = await Client(service, "romeo").login()
        assert one.boundjid.resource and two.boundjid.resource
        assert one.boundjid.resource != two.boundjid.resource
        await one.leave()
        await two.leave()
    run(test())


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("user", ["romeo", "nobody"])
def test_wrong_password(service, mechanism, user):
    async def test():
        with pytest.raises(Refused, match="failed_auth"):
            await Client(service, user, "orchard", password="wrong", mechanism=mechanism).login()
    run(test())


@pytest.mark.settings("c2s.allow_plaintext=true")
def test_login_without_tls_where_it_is_allowed(service):
    async def test():
        for mechanism in ("SCRAM-SHA-256", "PLAIN"):
            romeo = await Client(service, "romeo", "orchard", mechanism=mechanism).login(tls=False)
            await romeo.barrier()
            await romeo.leave()
    run(test())


@pytest.mark.settings("sasl.attempts_per_account_per_minute=2")
def test_too_many_attempts(service):
    async def test():
        for _ in range(2):
            with pytest.raises(Refused):
                await Client(service, "romeo", password="wrong", mechanism="SCRAM-SHA-1").login()
        with pytest.raises(Refused):
            await Client(service, "romeo", mechanism="SCRAM-SHA-1").login()
        juliet = await Client(service, "juliet", mechanism="SCRAM-SHA-1").login()
        await juliet.leave()
    run(test())


# Roster and presence.

async def befriend(romeo, juliet):
    """Both see each other afterwards."""
    for asks, answers in ((romeo, juliet), (juliet, romeo)):
        asks.send_presence_subscription(answers.boundjid.bare)
        request = await answers.next_presence("subscribe")
        assert request["from"] == asks.boundjid.bare
        answers.send_presence_subscription(asks.boundjid.bare, ptype="subscribed")
        assert (await asks.next_presence("subscribed"))["from"] == answers.boundjid.bare
        assert (await asks.next_presence("available"))["from"] == answers.boundjid
    for client in (romeo, juliet):
        await client.barrier()
        while not client.pushes.empty():
            client.pushes.get_nowait()


def test_subscriptions_both_ways(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        juliet = await Client(service, "juliet", "balcony").online()

        romeo.send_presence_subscription(JULIET)
        assert (await romeo.next_push(JULIET))["ask"] == "subscribe"
        assert (await juliet.next_presence("subscribe"))["from"] == ROMEO
        juliet.send_presence_subscription(ROMEO, ptype="subscribed")
        assert (await juliet.next_push(ROMEO))["subscription"] == "from"
        assert (await romeo.next_presence("subscribed"))["from"] == JULIET
        item = await romeo.next_push(JULIET)
        assert (item["subscription"], item["ask"]) == ("to", "")
        assert (await romeo.next_presence("available"))["from"] == f"{JULIET}/balcony"

        juliet.send_presence_subscription(ROMEO)
        assert (await juliet.next_push(ROMEO))["ask"] == "subscribe"
        assert (await romeo.next_presence("subscribe"))["from"] == JULIET
        romeo.send_presence_subscription(JULIET, ptype="subscribed")
        assert (await romeo.next_push(JULIET))["subscription"] == "both"
        assert (await juliet.next_presence("subscribed"))["from"] == ROMEO
        assert (await juliet.next_push(ROMEO))["subscription"] == "both"
        assert (await juliet.next_presence("available"))["from"] == f"{ROMEO}/orchard"

        juliet.send_presence(pshow="dnd", pstatus="busy")
        presence = await romeo.next_presence("dnd")
        assert presence["status"] == "busy"
        await juliet.leave()
        assert (await romeo.next_presence("unavailable"))["from"] == f"{JULIET}/balcony"

        # Back again: both learn of each other without asking.
        juliet = await Client(service, "juliet", "balcony").online()
        assert (await romeo.next_presence("available"))["from"] == f"{JULIET}/balcony"
        assert (await juliet.next_presence("available"))["from"] == f"{ROMEO}/orchard"
        assert juliet.client_roster[ROMEO]["subscription"] == "both"
        await romeo.leave()
        await juliet.leave()
    run(test())


def test_denied_cancelled_and_removed(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        juliet = await Client(service, "juliet", "balcony").online()
        romeo.send_presence_subscription(JULIET)
        await romeo.next_push(JULIET)
        await juliet.next_presence("subscribe")
        juliet.send_presence_subscription(ROMEO, ptype="unsubscribed")
        assert (await romeo.next_presence("unsubscribed"))["from"] == JULIET
        item = await romeo.next_push(JULIET)
        assert (item["subscription"], item["ask"]) == ("none", "")

        await befriend(romeo, juliet)
        juliet.send_presence_subscription(ROMEO, ptype="unsubscribed")
        assert (await romeo.next_presence("unsubscribed"))["from"] == JULIET
        assert (await romeo.next_push(JULIET))["subscription"] == "from"
        assert (await romeo.next_presence("unavailable"))["from"] == f"{JULIET}/balcony"
        assert (await juliet.next_push(ROMEO))["subscription"] == "to"

        romeo.del_roster_item(JULIET)
        assert (await romeo.next_push(JULIET))["subscription"] == "remove"
        assert (await juliet.next_presence("unsubscribed"))["from"] == ROMEO
        assert (await juliet.next_push(ROMEO))["subscription"] == "none"
        await romeo.leave()
        await juliet.leave()
    run(test())


def test_request_waits_for_the_contact(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        romeo.send_presence_subscription(JULIET)
        await romeo.barrier()
        juliet = await Client(service, "juliet", "balcony").online()
        assert (await juliet.next_presence("subscribe"))["from"] == ROMEO
        await romeo.leave()
        await juliet.leave()
    run(test())


def test_names_and_groups(service):
    async def test():
        orchard = await Client(service, "romeo", "orchard").online()
        home = await Client(service, "romeo", "home").online()
        await within(orchard.update_roster(JULIET, name="Juliet & co", groups=["Verona", "Liebe ❤"]))
        for client in (orchard, home):
            item = await client.next_push(JULIET)
            assert item["name"] == "Juliet & co"
            assert set(item["groups"]) == {"Verona", "Liebe ❤"}
        await within(home.update_roster(JULIET, name="J", groups=[]))
        item = await orchard.next_push(JULIET)
        assert (item["name"], list(item["groups"])) == ("J", [])
        later = await Client(service, "romeo", "later").online()
        assert later.client_roster[JULIET]["name"] == "J"
        for client in (orchard, home, later):
            await client.leave()
    run(test())


def test_roster_version(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        await within(romeo.update_roster(JULIET, name="J"))
        await romeo.next_push(JULIET)
        version = romeo.client_roster.version
        assert version
        again = Client(service, "romeo", "again")
        again.client_roster.version = version
        await again.login()
        result = await within(again.get_roster())
        assert not result["roster"]["items"], "nothing changed: nothing is sent again"
        await romeo.leave()
        await again.leave()
    run(test())


# Messages.

def test_messages_to_bare_and_full_addresses(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        juliet = await Client(service, "juliet", "balcony").online()
        romeo.send_message(mto=JULIET, mbody="to the bare one: <&>'\" ☃", mtype="chat")
        message = await juliet.next_message()
        assert message["body"] == "to the bare one: <&>'\" ☃"
        assert message["from"] == f"{ROMEO}/orchard"
        message.reply("to the full one").send()
        message = await romeo.next_message()
        assert (message["body"], message["to"]) == ("to the full one", f"{ROMEO}/orchard")
        await romeo.leave()
        await juliet.leave()
    run(test())


def test_the_highest_priority_gets_it(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        desk = await Client(service, "juliet", "desk").online()
        negative = await Client(service, "juliet", "negative").login()
        desk.send_presence(ppriority=10)
        negative.send_presence(ppriority=-1)
        for client in (desk, negative):
            await client.barrier()
        romeo.send_message(mto=JULIET, mbody="x", mtype="chat")
        assert (await desk.next_message())["body"] == "x"
        await romeo.barrier()
        await negative.barrier()
        assert negative.messages.empty()
        for client in (romeo, desk, negative):
            await client.leave()
    run(test())


def test_offline_messages_in_order(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        for number in range(50):
            romeo.send_message(mto=JULIET, mbody=str(number), mtype="chat")
        await romeo.barrier()
        await romeo.leave()
        juliet = await Client(service, "juliet", "balcony").online()
        for number in range(50):
            message = await juliet.next_message()
            assert message["body"] == str(number)
            assert message["delay"]["stamp"] is not None
            assert message["stanza_id"]["id"]
        await juliet.barrier()
        assert juliet.messages.empty()
        await juliet.leave()
        again = await Client(service, "juliet", "balcony").online()
        await again.barrier()
        assert again.messages.empty(), "they come once"
        await again.leave()
    run(test())


def test_offline_messages_survive_a_crash(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        acknowledged = asyncio.Queue()
        romeo.add_event_handler("stanza_acked", acknowledged.put_nowait)
        for number in range(20):
            romeo.send_message(mto=JULIET, mbody=str(number), mtype="chat")
        done = 0
        while done < 20:
            romeo.plugin["xep_0198"].request_ack()
            try:
                done += (await asyncio.wait_for(acknowledged.get(), 0.1)).name == "message"
            except asyncio.TimeoutError:
                pass
        service.kill9()
        service.start()
        juliet = await Client(service, "juliet", "balcony").online()
        for number in range(20):
            assert (await juliet.next_message())["body"] == str(number)
        await juliet.leave()
    run(test())


# Stream management.

def test_resumption(service):
    async def test():
        async with Relay(service.host, service.c2s_port) as relay:
            romeo = await Client(service, "romeo", "orchard").online(through=relay)
            juliet = await Client(service, "juliet", "balcony").online()
            await befriend(romeo, juliet)
            bound = romeo.boundjid.full
            # Both send into a network that swallows everything; then it breaks.
            relay.swallow()
            for number in range(3):
                romeo.send_message(mto=JULIET, mbody=f"out {number}", mtype="chat")
                juliet.send_message(mto=ROMEO, mbody=f"in {number}", mtype="chat")
            await juliet.barrier()
            await asyncio.sleep(0.2)
            relay.cut()
            await romeo.expect_event("disconnected")
            juliet.send_message(mto=ROMEO, mbody="in 3", mtype="chat")
            await juliet.barrier()

            romeo.connect(relay.host, relay.port)
            await romeo.expect_event("session_resumed")
            assert romeo.boundjid.full == bound
            for number in range(4):
                assert (await romeo.next_message())["body"] == f"in {number}"
            for number in range(3):
                assert (await juliet.next_message())["body"] == f"out {number}"
            # It is the same session, and it goes on.
            juliet.send_message(mto=bound, mbody="still there?", mtype="chat")
            (await romeo.next_message()).reply("yes").send()
            assert (await juliet.next_message())["body"] == "yes"
            await romeo.barrier()
            await juliet.barrier()
            assert romeo.messages.empty() and juliet.messages.empty(), "everything once"
            while not juliet.presences.empty():
                assert juliet.presences.get_nowait()["type"] != "unavailable", "to juliet nothing happened"
            await romeo.leave()
            await juliet.leave()
    run(test())


def test_session_that_is_gone_is_not_resumed(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        romeo.cut()
        await romeo.expect_event("disconnected")
        service.kill9()
        service.start()
        romeo.connect(service.host, service.c2s_port)
        await romeo.expect_event("sm_failed")
        await romeo.expect_event("session_start")
        await romeo.barrier()
        await romeo.leave()
    run(test())


# Accounts (XEP-0077).

def test_password_change(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        await within(romeo.plugin["xep_0077"].change_password("new & better", jid=DOMAIN))
        await romeo.leave()
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"):
            with pytest.raises(Refused):
                await Client(service, "romeo", password=PASSWORD, mechanism=mechanism).login()
            romeo = await Client(service, "romeo", password="new & better", mechanism=mechanism).login()
            await romeo.leave()
    run(test())


def test_account_removal(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        try:
            await within(romeo.plugin["xep_0077"].cancel_registration(jid=DOMAIN))
        except asyncio.CancelledError:
            pass
        with pytest.raises(Refused):
            await romeo.expect_event("nothing")
        with pytest.raises(Refused):
            await Client(service, "romeo").login()
        listed = service.ctl("user", "list").stdout
        assert ROMEO not in listed and JULIET in listed
    run(test())


async def register(service, user, password):
    """Makes an account over the stream, as a client would."""
    client = Client(service, user, password=password, plugins=("xep_0004", "xep_0066", "xep_0077"))
    client.plugin["xep_0077"].create_account = True
    answer = asyncio.get_running_loop().create_future()

    async def on_register(_form):
        iq = client.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = user
        iq["register"]["password"] = password
        try:
            answer.set_result(await iq.send())
        except IqError as error:
            answer.set_exception(error)

    client.plugin["xep_0077"].force_registration = True
    client.add_event_handler("register", on_register)
    client.enable_direct_tls = False
    client.connect(service.host, service.c2s_port)
    try:
        return await within(answer, 5)
    finally:
        client.abort()


@pytest.mark.settings("registration.enabled=true", "registration.accounts_per_address_per_hour=2")
def test_registration(service):
    async def test():
        await register(service, "mercutio", "queen mab")
        mercutio = await Client(service, "mercutio", password="queen mab").online()
        await mercutio.leave()
        with pytest.raises(IqError) as refused:
            await register(service, "romeo", "stolen")
        assert refused.value.condition == "conflict"
        await register(service, "tybalt", "x")
        with pytest.raises(IqError) as refused:
            await register(service, "benvolio", "x")
        assert refused.value.condition in ("resource-constraint", "policy-violation", "not-allowed")
    run(test())


def test_no_registration_by_default(service):
    async def test():
        with pytest.raises((IqError, asyncio.TimeoutError)):
            await register(service, "mercutio", "queen mab")
        assert "mercutio" not in service.ctl("user", "list").stdout
    run(test())


# Queries.

def test_queries(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        info = await within(romeo.plugin["xep_0030"].get_info(DOMAIN))
        assert ("server", "im") in {identity[:2] for identity in info["disco_info"]["identities"]}
        features = info["disco_info"]["features"]
        for feature in ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "jabber:iq:version"):
            assert feature in features
        await within(romeo.plugin["xep_0030"].get_items(DOMAIN))
        account = await within(romeo.plugin["xep_0030"].get_info(ROMEO))
        assert ("account", "registered") in {i[:2] for i in account["disco_info"]["identities"]}
        version = await within(romeo.plugin["xep_0092"].get_version(DOMAIN))
        assert version["software_version"]["name"] and version["software_version"]["version"]
        assert await within(romeo.plugin["xep_0199"].ping(DOMAIN)) >= 0
        time = await within(romeo.plugin["xep_0202"].get_entity_time(DOMAIN))
        # Read here: slixmpp adds another Z before it reads it.
        utc = time.xml.findtext(".//{urn:xmpp:time}utc")
        datetime.datetime.fromisoformat(utc.replace("Z", "+00:00"))
        last = await within(romeo.plugin["xep_0012"].get_last_activity(DOMAIN))
        assert last["last_activity"]["seconds"] >= 0
        await romeo.leave()
    run(test())


def test_unknown_query(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        for to in (DOMAIN, ROMEO, JULIET, f"{JULIET}/gone", f"nobody@{DOMAIN}"):
            iq = romeo.make_iq_get(queryxmlns="urn:example:unknown", ito=to)
            with pytest.raises(IqError) as refused:
                await within(iq.send())
            assert refused.value.condition == "service-unavailable", to
        await romeo.leave()
    run(test())


def test_query_between_clients(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        juliet = await Client(service, "juliet", "balcony").online()
        info = await within(romeo.plugin["xep_0030"].get_info(f"{JULIET}/balcony"))
        assert info["from"] == f"{JULIET}/balcony"
        await romeo.leave()
        await juliet.leave()
    run(test())


# The operator's side.

def test_kick(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        listed = service.ctl("session", "list").stdout
        assert f"{ROMEO}/orchard" in listed
        assert service.ctl("session", "kick", f"{ROMEO}/orchard").returncode == 0
        with pytest.raises(Refused, match="stream_error|disconnected"):
            await romeo.expect_event("nothing")
    run(test())


def test_shutdown_is_announced(service):
    async def test():
        romeo = await Client(service, "romeo", "orchard").online()
        stopping = asyncio.get_running_loop().run_in_executor(None, service.stop)
        with pytest.raises(Refused) as told:
            await romeo.expect_event("nothing")
        assert "system-shutdown" in str(told.value)
        await within(stopping)
    run(test())
