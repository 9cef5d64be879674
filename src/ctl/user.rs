//! `waystation ctl user`

use super::output::Output;
use super::{Connection, password};
use crate::cli::UserCommand;
use api::v1::{AddUserRequest, DeleteUserRequest, ListUsersRequest, SetPasswordRequest};
use serde_json::json;

/// Runs one command.
pub async fn run(command: &UserCommand, connection: Connection, output: Output) -> anyhow::Result<()> {
    match command {
        UserCommand::Add(arguments) => {
            let request = AddUserRequest { jid: arguments.jid.clone(), password: password::read(arguments)? };
            let added = connection.users().await?.add(request).await;
            let jid = added.map_err(|status| connection.explain(status))?.into_inner().jid;
            output.done(&format!("added {jid}"), json!({ "jid": jid }))?;
        }
        UserCommand::Passwd(arguments) => {
            let jid = arguments.jid.clone();
            let request = SetPasswordRequest { jid, password: password::read(arguments)? };
            let set = connection.users().await?.set_password(request).await;
            set.map_err(|status| connection.explain(status))?;
            let text = format!("set the password of {}", arguments.jid);
            output.done(&text, json!({ "jid": arguments.jid }))?;
        }
        UserCommand::Delete { jid } => {
            let request = DeleteUserRequest { jid: jid.clone() };
            let deleted = connection.users().await?.delete(request).await;
            deleted.map_err(|status| connection.explain(status))?;
            output.done(&format!("deleted {jid}"), json!({ "jid": jid }))?;
        }
        UserCommand::List { domain } => list(domain.as_deref(), connection, output).await?,
    }
    Ok(())
}

async fn list(domain: Option<&str>, connection: Connection, output: Output) -> anyhow::Result<()> {
    let mut client = connection.users().await?;
    let mut request =
        ListUsersRequest { domain: domain.unwrap_or_default().to_owned(), ..Default::default() };
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    loop {
        let page = client.list(request.clone()).await;
        let page = page.map_err(|status| connection.explain(status))?.into_inner();
        for user in page.users {
            entries.push(json!({ "jid": user.jid }));
            rows.push(vec![user.jid]);
        }
        if page.next.is_empty() {
            break;
        }
        request.after = page.next;
    }
    output.table(&["ADDRESS"], &rows, entries)?;
    Ok(())
}
