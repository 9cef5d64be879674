//! CPU of the message log per message.

fn main() {}
