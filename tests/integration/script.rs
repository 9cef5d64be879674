//! Scenarios written as scripts: who sends what, and what the others receive.
//!
//! A script is a list of statements, one a line; indented lines go on with the one before. `#`
//! starts a comment line. Sessions are named `user/resource`; accounts are made when first named.
//!
//! ```text
//! set session.resume_seconds_max=5      a setting of the server; at the top only
//! account juliet                        an account that does not log in (yet)
//! romeo/orchard connects                logs in, binds the resource, sends nothing else
//! romeo/orchard authenticates           logs in without binding
//! romeo/orchard is available            connects, sends presence, reads it back
//! romeo/orchard has its roster          connects, asks for the roster, is available then
//! romeo/orchard sends XML               {name} is replaced by what was caught before
//! romeo/orchard receives XML...         these, in this order (see pattern::matches)
//! romeo/orchard receives in any order XML...
//! romeo/orchard receives nothing        nothing at all, once everyone's words are worked off
//! romeo/orchard syncs                   waits until its words are worked off
//! romeo/orchard is acknowledged N       XEP-0198: the server has N of its stanzas, not more
//! romeo/orchard closes                  ends its stream in peace
//! romeo/orchard is closed CONDITION     a stream error
//! romeo/orchard cuts                    loses its connection
//! server restarts                       in peace
//! server crashes                        kill -9, and starts again
//! ```

use crate::client::Client;
use crate::pattern::Captures;
use crate::server::Server;
use crate::xml::{self, Piece};
use std::collections::BTreeMap;

/// Runs a script against a server of its own; panics where it is not followed.
pub fn run(script: &str) {
    let statements = parse(script);
    let settings: Vec<&str> = statements.iter().filter_map(|s| s.text.strip_prefix("set ")).collect();
    let mut stage = Stage {
        server: Server::start(&settings),
        accounts: Vec::new(),
        clients: BTreeMap::new(),
        captures: Captures::new(),
    };
    for statement in &statements {
        let step = std::panic::AssertUnwindSafe(|| stage.perform(&statement.text));
        if let Err(panic) = std::panic::catch_unwind(step) {
            eprintln!("line {}: {}", statement.line, statement.text);
            std::panic::resume_unwind(panic);
        }
    }
}

struct Statement {
    line: usize,
    text: String,
}

fn parse(script: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match statements.last_mut() {
            Some(last) if line.starts_with(' ') => {
                last.text.push(' ');
                last.text.push_str(line.trim());
            }
            _ => statements.push(Statement { line: index + 1, text: line.trim().to_owned() }),
        }
    }
    statements
}

struct Stage {
    server: Server,
    accounts: Vec<String>,
    clients: BTreeMap<String, Client>,
    captures: Captures,
}

impl Stage {
    fn perform(&mut self, statement: &str) {
        match statement.split_once(' ') {
            Some(("set", _)) => {}
            Some(("account", user)) => self.account(user),
            Some(("server", end)) => {
                match end {
                    "restarts" => self.server.stop(),
                    "crashes" => self.server.kill9(),
                    _ => panic!("no such end"),
                }
                self.clients.clear();
                self.server.restart();
            }
            Some((name, action)) if name.contains('/') => self.act(name, action),
            _ => panic!("no such statement"),
        }
    }

    fn account(&mut self, user: &str) {
        if !self.accounts.iter().any(|known| known == user) {
            self.server.add_user(user);
            self.accounts.push(user.to_owned());
        }
    }

    fn act(&mut self, name: &str, action: &str) {
        let (user, resource) = name.split_once('/').expect("user/resource");
        if let "connects" | "authenticates" | "is available" | "has its roster" = action {
            self.account(user);
            let client = match action {
                "connects" => self.server.login(user, resource),
                "is available" => self.server.online(user, resource),
                "has its roster" => {
                    let mut client = self.server.login(user, resource);
                    client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
                    client.expect("<iq type='result' id='roster'/>");
                    client.send("<presence/>");
                    client.expect("<presence from='{self}'/>");
                    client
                }
                _ => {
                    let mut client = Client::connect(self.server.c2s);
                    client.authenticate(user, crate::client::PASSWORD);
                    client
                }
            };
            self.clients.insert(name.to_owned(), client);
            return;
        }
        if action == "closes" {
            return self.take(name).close();
        }
        if action == "receives nothing" {
            // Those without a resource of this script's knowing cannot ask; they have sent nothing.
            let others =
                self.clients.iter_mut().filter(|(n, c)| *n != name && !c.jid.is_empty() && !c.is_gone());
            others.for_each(|(_, client)| client.sync());
            return self.client(name).expect_nothing();
        }
        let captures = std::mem::take(&mut self.captures);
        let client = self.client(name);
        client.captures.extend(captures);
        match action.split_once(' ').unwrap_or((action, "")) {
            ("sends", xml) => client.send_filled(xml),
            ("receives", xml) => match xml.strip_prefix("in any order ") {
                Some(xml) => {
                    let patterns = elements(xml);
                    client.expect_any_order(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
                }
                None => elements(xml).iter().for_each(|pattern| drop(client.expect(pattern))),
            },
            ("syncs", "") => client.sync(),
            ("cuts", "") => client.cut(),
            ("is", state) => match state.split_once(' ') {
                Some(("closed", condition)) => client.expect_stream_error(condition),
                Some(("acknowledged", count)) => client.expect_acknowledged(count.parse().expect("a number")),
                _ => panic!("no such state"),
            },
            _ => panic!("no such action"),
        }
        self.captures = client.captures.clone();
        // Each client's own name for itself is no news for the others.
        self.captures.remove("self");
    }

    fn client(&mut self, name: &str) -> &mut Client {
        self.clients.get_mut(name).unwrap_or_else(|| panic!("{name} is not connected"))
    }

    fn take(&mut self, name: &str) -> Client {
        self.clients.remove(name).unwrap_or_else(|| panic!("{name} is not connected"))
    }
}

/// Cuts a text into its elements.
fn elements(text: &str) -> Vec<String> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        match xml::next_piece(rest.as_bytes()) {
            Ok(Some((Piece::Child(_), used))) => {
                found.push(rest[..used].to_owned());
                rest = &rest[used..];
            }
            Ok(Some((Piece::Space, used))) => rest = &rest[used..],
            other => panic!("not XML: {rest}: {other:?}"),
        }
    }
    assert!(!found.is_empty(), "what is to be received?");
    found
}
