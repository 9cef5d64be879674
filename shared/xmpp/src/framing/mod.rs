//! From a byte stream to frames and back.
//!
//! - [`reader`]: the strict streaming reader; what it lets through is forwarded verbatim.
//! - [`writer`]: stream headers, errors and features.
//! - [`limits`]: what a stream may cost its reader.

mod chars;
mod fault;
pub mod limits;
mod parser;
mod prolog;
pub mod reader;
mod scope;
pub(crate) mod span;
mod tag;
pub mod writer;

pub use limits::{Content, Limits, StreamNamespaces};
pub use reader::{Frame, Reader, StreamHeader, parse_frame};
