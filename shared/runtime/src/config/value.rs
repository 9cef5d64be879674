//! Values of keys: how each type is read from the file and from text, and how it is shown.

use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Value as Toml;

/// A value as a source gives it.
#[derive(Debug, Clone)]
pub enum Raw {
    /// From the file: typed.
    Toml(Toml),
    /// From the environment or the command line: text.
    Text(String),
}

impl Raw {
    /// The value as its source wrote it, for messages.
    pub fn shown(&self) -> String {
        match self {
            Raw::Toml(value) => value.to_string(),
            Raw::Text(text) => text.clone(),
        }
    }

    /// The value as this type, if it is one.
    pub fn read<T: Value>(&self) -> Option<T> {
        match self {
            Raw::Toml(value) => T::from_toml(value),
            Raw::Text(text) => T::from_text(text.trim()),
        }
    }
}

/// A type that a key can have.
pub trait Value: Sized {
    /// What is allowed, to follow "expected".
    const EXPECTED: &'static str;
    /// Reads the file's value.
    fn from_toml(value: &Toml) -> Option<Self>;
    /// Reads text from the environment or the command line.
    fn from_text(text: &str) -> Option<Self>;
    /// The value as the file would have it.
    fn to_toml(&self) -> Toml;
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_toml(value: &Toml) -> Option<Self> {
        value.as_bool()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> Toml {
        Toml::Boolean(*self)
    }
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = "a whole number";

            fn from_toml(value: &Toml) -> Option<Self> {
                value.as_integer()?.try_into().ok()
            }

            fn from_text(text: &str) -> Option<Self> {
                text.replace('_', "").parse().ok()
            }

            fn to_toml(&self) -> Toml {
                Toml::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )+};
}

whole_numbers!(u32, u64, usize);

impl Value for String {
    const EXPECTED: &'static str = "text";

    fn from_toml(value: &Toml) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_toml(&self) -> Toml {
        Toml::String(self.clone())
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_toml(value: &Toml) -> Option<Self> {
        value.as_str().map(PathBuf::from)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(PathBuf::from(text))
    }

    fn to_toml(&self) -> Toml {
        Toml::String(self.to_string_lossy().into_owned())
    }
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address with a port, such as 127.0.0.1:5222 or [::]:5222";

    fn from_toml(value: &Toml) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> Toml {
        Toml::String(self.to_string())
    }
}

/// In the file an array; as text the same array, or its items separated by commas.
impl<T: Item> Value for Vec<T> {
    const EXPECTED: &'static str = T::LIST_EXPECTED;

    fn from_toml(value: &Toml) -> Option<Self> {
        value.as_array()?.iter().map(T::from_toml).collect()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.starts_with('[')
            && let Ok(table) = toml::from_str::<toml::Table>(&format!("list = {text}"))
        {
            return Self::from_toml(table.get("list")?);
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(T::from_text).collect()
    }

    fn to_toml(&self) -> Toml {
        Toml::Array(self.iter().map(T::to_toml).collect())
    }
}

/// A type that lists are made of.
pub trait Item: Value {
    /// What is allowed where a list of it is asked for.
    const LIST_EXPECTED: &'static str;
}

impl Item for String {
    const LIST_EXPECTED: &'static str = "a list of texts";
}

impl Item for SocketAddr {
    const LIST_EXPECTED: &'static str =
        "a list of addresses with ports, such as [\"127.0.0.1:5222\", \"[::]:5222\"]";
}

/// Makes an enum that is written as one of a few words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident { $first:ident = $first_word:literal, $($variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            #[doc = concat!("`", $first_word, "`")]
            $first,
            $(
                #[doc = concat!("`", $word, "`")]
                $variant,
            )+
        }

        impl $crate::config::value::Value for $name {
            const EXPECTED: &'static str = concat!($first_word $(, " or ", $word)+);

            fn from_toml(value: &toml::Value) -> Option<Self> {
                Self::from_text(value.as_str()?)
            }

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $first_word => Some($name::$first),
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }

            fn to_toml(&self) -> toml::Value {
                toml::Value::String(match self {
                    $name::$first => $first_word,
                    $($name::$variant => $word,)+
                }.to_owned())
            }
        }
    };
}

pub(crate) use words;
