//! Where a password comes from: the command line, the standard input, or a question.

use crate::cli::WithPassword;
use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// The password of a command.
pub fn read(arguments: &WithPassword) -> anyhow::Result<String> {
    let password = match &arguments.password {
        Some(password) => password.clone(),
        None if arguments.password_stdin => line()?,
        None if io::stdin().is_terminal() => ask_twice(&arguments.jid)?,
        None => bail!("no password: give it as an argument or with --password-stdin"),
    };
    if password.is_empty() {
        bail!("the password is empty");
    }
    Ok(password)
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask_twice(jid: &str) -> anyhow::Result<String> {
    let silence = Silence::begin()?;
    let first = ask(&format!("Password of {jid}: "))?;
    let second = ask("Again: ")?;
    drop(silence);
    if first != second {
        bail!("the two passwords differ");
    }
    Ok(first)
}

fn ask(question: &str) -> anyhow::Result<String> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let answer = line();
    writeln!(terminal)?;
    answer
}

/// Turns the terminal's echo off for as long as it lives.
struct Silence(Termios);

impl Silence {
    fn begin() -> anyhow::Result<Silence> {
        let before = tcgetattr(io::stdin()).context("cannot turn the terminal's echo off")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)
            .context("cannot turn the terminal's echo off")?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
