//! Makes cargo notice a new migration: `migrate!` embeds the folder without telling cargo.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
