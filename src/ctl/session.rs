//! `waystation ctl session`

use super::Connection;
use super::output::Output;
use crate::cli::SessionCommand;
use api::v1::{KickRequest, ListSessionsRequest, Session};
use runtime::Clock;
use serde_json::{Value, json};

const HEAD: [&str; 5] = ["SESSION", "CLIENT", "STATE", "TLS", "NODE"];

/// Runs one command.
pub async fn run(command: &SessionCommand, connection: Connection, output: Output) -> anyhow::Result<()> {
    match command {
        SessionCommand::List { jid } => list(jid.as_deref(), connection, output).await?,
        SessionCommand::Kick { jid } => {
            let kicked = connection.sessions().await?.kick(KickRequest { jid: jid.clone() }).await;
            let count = kicked.map_err(|status| connection.explain(status))?.into_inner().sessions;
            let text = format!("ended {count} {}", if count == 1 { "session" } else { "sessions" });
            output.done(&text, json!({ "sessions": count }))?;
        }
    }
    Ok(())
}

async fn list(jid: Option<&str>, connection: Connection, output: Output) -> anyhow::Result<()> {
    let mut client = connection.sessions().await?;
    let mut request = ListSessionsRequest { jid: jid.unwrap_or_default().to_owned(), ..Default::default() };
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    let now_ms = Clock::System.now_ms();
    loop {
        let page = client.list(request.clone()).await;
        let page = page.map_err(|status| connection.explain(status))?.into_inner();
        for session in &page.sessions {
            rows.push(row(session, now_ms));
            entries.push(entry(session));
        }
        if page.next.is_empty() {
            break;
        }
        request.after = page.next;
    }
    output.table(&HEAD, &rows, entries)?;
    Ok(())
}

fn row(session: &Session, now_ms: u64) -> Vec<String> {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let state = match session.connected {
        true => "connected".to_owned(),
        false => format!("detached {}", super::node::age(now_ms, session.detached_ms)),
    };
    vec![
        session.jid.clone(),
        or_dash(&session.address),
        state,
        if session.encrypted { "yes" } else { "no" }.to_owned(),
        or_dash(&session.node),
    ]
}

fn entry(session: &Session) -> Value {
    json!({
        "jid": session.jid,
        "address": session.address,
        "connected": session.connected,
        "detached_ms": session.detached_ms,
        "encrypted": session.encrypted,
        "node": session.node,
    })
}
