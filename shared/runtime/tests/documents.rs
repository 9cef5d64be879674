//! `docs/configuration.md` and `deploy/config.example.toml` name every key and no other: they are
//! written from the sections' declarations. `UPDATE=1 cargo test -p runtime --test documents`
//! writes them anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runtime::config::{Config, Sources};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
# Configuration

Everything has a default: no file is needed. Three sources are laid over the defaults, each winning
over the one before it:

1. a file, `--config FILE` (TOML; `deploy/config.example.toml` has every key at its default);
2. the environment, `WAYSTATION__SECTION__KEY`, such as `WAYSTATION__C2S__ALLOW_PLAINTEXT=true`;
3. the command line, `--set section.key=value`. `--node-name`, `--data-dir` and `--role` stand for
   `node.name`, `node.data_dir` and `node.roles`.

As text, in the environment and on the command line, a list is an array as in the file or its items
with commas between them. A key that does not exist, a value that is not allowed and a port in use
stop the start with one line that says what would be allowed; `waystation check-config` tells before.

SIGHUP reads everything again. Certificates and the log level take effect at once; the log names
other keys that have changed and wait for the next start.

Names end in the unit where there is one.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for (section, help, keys) in Config::SECTIONS {
        write!(text, "\n## `[{section}]`\n\n{}\n\n", help.trim()).unwrap();
        text.push_str("| Key | Default | Allowed | Meaning |\n|---|---|---|---|\n");
        for key in *keys {
            let default = Config::default().get(section, key.name).unwrap();
            let (help, expected) = (key.help.trim(), (key.expected)());
            writeln!(text, "| `{}` | `{default}` | {expected} | {help} |", key.name).unwrap();
        }
    }
    text
}

fn example() -> String {
    let mut text = "# Every key at its default. See docs/configuration.md.\n".to_owned();
    for (section, help, keys) in Config::SECTIONS {
        write!(text, "\n# {}\n[{section}]\n", help.trim()).unwrap();
        for key in *keys {
            let default = Config::default().get(section, key.name).unwrap();
            for line in wrapped(key.help.trim(), 98) {
                writeln!(text, "# {line}").unwrap();
            }
            writeln!(text, "{} = {default}", key.name).unwrap();
        }
    }
    text
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().unwrap();
        if !last.is_empty() && last.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            let gap = if last.is_empty() { "" } else { " " };
            last.push_str(gap);
            last.push_str(word);
        }
    }
    lines
}

#[test]
fn the_documents_name_every_key_and_no_other() {
    for (file, expected) in [("docs/configuration.md", markdown()), ("deploy/config.example.toml", example())]
    {
        let path = root().join(file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{file} is not what the sections declare; UPDATE=1 cargo test -p runtime --test documents"
        );
    }

    // And the example is a configuration that changes nothing.
    let load = |file| Config::load(&Sources { file, ..Sources::default() }).unwrap().0;
    assert_eq!(load(Some(root().join("deploy/config.example.toml"))), load(None));
}
