//! `waystation ctl node`

use super::Connection;
use super::output::Output;
use crate::cli::NodeCommand;
use api::v1::{ListNodesRequest, Node};
use runtime::Clock;
use serde_json::{Value, json};

const HEAD: [&str; 6] = ["NODE", "ROLES", "VERSION", "AGE", "SESSIONS", "INCARNATION"];

/// Runs one command.
pub async fn run(command: &NodeCommand, connection: Connection, output: Output) -> anyhow::Result<()> {
    let NodeCommand::List = command;
    let answer = connection.nodes().await?.list(ListNodesRequest {}).await;
    let nodes = answer.map_err(|status| connection.explain(status))?.into_inner().nodes;
    let now_ms = Clock::System.now_ms();
    let rows: Vec<Vec<String>> = nodes.iter().map(|node| row(node, now_ms)).collect();
    output.table(&HEAD, &rows, nodes.iter().map(entry).collect())?;
    Ok(())
}

fn row(node: &Node, now_ms: u64) -> Vec<String> {
    vec![
        node.name.clone(),
        node.roles.join(","),
        node.version.clone(),
        age(now_ms, node.started_ms),
        node.sessions.to_string(),
        node.incarnation.clone(),
    ]
}

fn entry(node: &Node) -> Value {
    json!({
        "name": node.name,
        "roles": node.roles,
        "version": node.version,
        "started_ms": node.started_ms,
        "sessions": node.sessions,
        "incarnation": node.incarnation,
    })
}

/// How long ago something was, in its two largest units.
pub fn age(now_ms: u64, since_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, ..) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ages_have_two_units() {
        let age = |seconds: u64| super::age(1_000 * seconds, 0);
        assert_eq!([age(5), age(65), age(3_660), age(90_000)], ["5s", "1m5s", "1h1m", "1d1h"]);
    }
}
