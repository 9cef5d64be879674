//! What a section is, and the macro that declares one: each key is written once, with its
//! meaning, type, default and limits, and everything else (reading, messages, the documentation's
//! tests) follows from that.

use super::value::Raw;

/// A key of a section.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name, without the section.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// What it may be, to follow "expected".
    pub expected: fn() -> String,
}

/// A section of the configuration.
pub trait Section {
    /// Its name in the file.
    const NAME: &'static str;
    /// What it is about.
    const HELP: &'static str;
    /// Its keys, in the order of the documentation.
    const KEYS: &'static [Key];

    /// Sets one of [`Section::KEYS`].
    ///
    /// # Errors
    /// What would have been allowed.
    fn set(&mut self, key: &str, raw: &Raw) -> Result<(), String>;

    /// The value of one of [`Section::KEYS`].
    fn get(&self, key: &str) -> Option<toml::Value>;
}

/// Declares a section: the struct, its defaults and its [`Section`].
macro_rules! section {
    (
        $(#[doc = $help:literal])+
        $name:ident $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $type:ty = $default:expr $(, $range:expr)?;
            )+
        }
    ) => {
        $(#[doc = $help])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                pub $key: $type,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($key: $default,)+ }
            }
        }

        impl $crate::config::section::Section for $name {
            const NAME: &'static str = $section;
            const HELP: &'static str = concat!($($help),+);
            const KEYS: &'static [$crate::config::section::Key] = &[
                $($crate::config::section::Key {
                    name: stringify!($key),
                    help: concat!($($doc),+),
                    expected: || {
                        let expected = <$type as $crate::config::value::Value>::EXPECTED.to_owned();
                        $(
                            let range: std::ops::RangeInclusive<$type> = $range;
                            let expected = format!("{expected} from {} to {}", range.start(), range.end());
                        )?
                        expected
                    },
                },)+
            ];

            fn set(&mut self, key: &str, raw: &$crate::config::value::Raw) -> Result<(), String> {
                match key {
                    $(
                        stringify!($key) => {
                            let value = raw.read::<$type>();
                            $(let value = value.filter(|value| ($range).contains(value));)?
                            self.$key = value.ok_or_else(|| {
                                let key = Self::KEYS.iter().find(|key| key.name == stringify!($key));
                                key.map_or_else(String::new, |key| (key.expected)())
                            })?;
                        }
                    )+
                    _ => return Err("a key of this section".to_owned()),
                }
                Ok(())
            }

            fn get(&self, key: &str) -> Option<toml::Value> {
                match key {
                    $(stringify!($key) => Some($crate::config::value::Value::to_toml(&self.$key)),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use section;
