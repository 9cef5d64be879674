//! What `ctl` prints: text for people, JSON for programs.

use serde_json::Value;
use std::io::{self, Write};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// As JSON or as text.
    pub fn new(json: bool) -> Output {
        Output { json }
    }

    /// Says what was done.
    pub fn done(self, text: &str, json: Value) -> io::Result<()> {
        match self.json {
            true => print(&json.to_string()),
            false => print(text),
        }
    }

    /// Prints a table: in JSON a list of `entries`, as text its columns. An empty one has no head.
    pub fn table(self, head: &[&str], rows: &[Vec<String>], entries: Vec<Value>) -> io::Result<()> {
        if self.json {
            return print(&Value::Array(entries).to_string());
        }
        if rows.is_empty() {
            return Ok(());
        }
        let columns = 0..head.len();
        let cell_width = |row: &Vec<String>, column: usize| row[column].chars().count();
        let width = |column: usize| {
            let rows = rows.iter().map(|row| cell_width(row, column));
            rows.max().unwrap_or(0).max(head[column].len())
        };
        let widths: Vec<usize> = columns.map(width).collect();
        let line = |cells: Vec<&str>| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        print(&line(head.to_vec()))?;
        rows.iter().try_for_each(|row| print(&line(row.iter().map(String::as_str).collect())))
    }
}

fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
