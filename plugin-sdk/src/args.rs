//! The arguments of an event: what they are made of, and how they are read into types.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, IntoDeserializer, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::outcome::{Failure, Rejection, reject};

/// The code of a rejection of arguments that are not what the plugin expects.
pub const BAD_REQUEST: &str = "bad_request";

/// The arguments of an event, without its name: JSON values and binary attachments.
///
/// Wherever arguments are wanted, a single serializable value stands for one argument; `Args` is for none, for several,
/// for binary ones, and for passing on what came.
///
/// ```
/// use hubbub_plugin::Args;
/// use serde_json::json;
///
/// let args = Args::none().with(&json!({ "file": "cat.png" }))?.with_binary(vec![1, 2, 3]);
/// assert_eq!(args.json(), r#"[{"file":"cat.png"},{"_placeholder":true,"num":0}]"#);
/// assert_eq!(Args::list(&(1, "two"))?.json(), r#"[1,"two"]"#);
/// # Ok::<(), hubbub_plugin::Failure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    json: String,
    attachments: Vec<Vec<u8>>,
}

impl Args {
    /// No arguments.
    pub fn none() -> Self {
        Self { json: "[]".into(), attachments: Vec::new() }
    }

    /// One argument for each element of a tuple, array or other sequence. Fails for a value that is no sequence.
    pub fn list(values: &(impl Serialize + ?Sized)) -> Result<Self, Failure> {
        let json = to_json(values)?;
        match json.starts_with('[') {
            true => Ok(Self { json, attachments: Vec::new() }),
            false => Err(Failure::of(&serde_json::Error::custom("a list of arguments must be a sequence"))),
        }
    }

    /// Arguments as they are on the wire: a JSON array in which `{"_placeholder":true,"num":N}` stands for the Nth
    /// attachment. The hub checks the text when it is used; what is no JSON array is the plugin's failure.
    pub fn raw(json: impl Into<String>, attachments: Vec<Vec<u8>>) -> Self {
        Self { json: json.into(), attachments }
    }

    /// One more argument.
    pub fn with(mut self, value: &(impl Serialize + ?Sized)) -> Result<Self, Failure> {
        let value = to_json(value)?;
        self.push(&value);
        Ok(self)
    }

    /// One more argument, a binary one.
    pub fn with_binary(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let placeholder = format!(r#"{{"_placeholder":true,"num":{}}}"#, self.attachments.len());
        self.push(&placeholder);
        self.attachments.push(bytes.into());
        self
    }

    /// The JSON array.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The binary attachments, in the order of their numbers.
    pub fn attachments(&self) -> &[Vec<u8>] {
        &self.attachments
    }

    /// Reads one argument, counted from 0; what is read may borrow from these arguments. An `Option` may be missing.
    /// What does not fit is a rejection with the code `bad_request`.
    ///
    /// ```
    /// # use hubbub_plugin::prelude::*;
    /// #[derive(Deserialize)]
    /// struct Say<'a> {
    ///     text: &'a str,
    /// }
    ///
    /// let args = Args::raw(r#"[{"text":"hi"}]"#, vec![]);
    /// let say: Say = args.arg(0)?;
    /// assert_eq!(say.text, "hi");
    /// # Ok::<(), Rejection>(())
    /// ```
    pub fn arg<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, Rejection> {
        read_one(&self.json, index)
    }

    /// Reads all arguments, into a tuple or another sequence; what is read may borrow from these arguments. A tuple
    /// wants exactly as many as it has fields. What does not fit is a rejection with the code `bad_request`.
    pub fn all<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Rejection> {
        read_all(&self.json)
    }

    fn push(&mut self, value: &str) {
        let kept = self.json.trim_end().strip_suffix(']').unwrap_or("[").trim_end().len();
        let separator = if self.json[..kept].ends_with('[') { "" } else { "," };
        self.json.truncate(kept);
        self.json.push_str(separator);
        self.json.push_str(value);
        self.json.push(']');
    }
}

/// What can be the arguments of an event: one serializable value, or [`Args`].
pub trait IntoArgs {
    /// The arguments. Fails for a value that cannot be JSON, like a map with keys that are no text.
    fn into_args(self) -> Result<Args, Failure>;
}

impl IntoArgs for Args {
    fn into_args(self) -> Result<Args, Failure> {
        Ok(self)
    }
}

impl<T: Serialize> IntoArgs for T {
    fn into_args(self) -> Result<Args, Failure> {
        let mut json = Vec::with_capacity(128);
        json.push(b'[');
        serde_json::to_writer(&mut json, &self).map_err(|e| Failure::of(&e))?;
        json.push(b']');
        let json = String::from_utf8(json).map_err(|e| Failure::of(&e))?;
        Ok(Args { json, attachments: Vec::new() })
    }
}

fn to_json(value: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|e| Failure::of(&e))
}

/// Reads all arguments into a tuple or sequence.
pub(crate) fn read_all<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Rejection> {
    serde_json::from_str(json).map_err(|_| explain::<T>("arguments", json))
}

/// Reads one argument. A missing one is like `null`, so an `Option` may be missing.
pub(crate) fn read_one<'a, T: Deserialize<'a>>(json: &'a str, index: usize) -> Result<T, Rejection> {
    match nth(json, index) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => {
            let null: Result<T, serde::de::value::Error> = T::deserialize(().into_deserializer());
            null.map_err(|_| reject(BAD_REQUEST, format!("argument {} is missing", index + 1)))
        }
        Err(_) => {
            let raw = nth::<&RawValue>(json, index).ok().flatten();
            Err(explain::<T>(&format!("argument {}", index + 1), raw.map_or("", RawValue::get)))
        }
    }
}

fn nth<'a, T: Deserialize<'a>>(json: &'a str, index: usize) -> Result<Option<T>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = Nth { index, of: PhantomData }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads once more, slowly, for the place of the fault.
#[cold]
fn explain<'a, T: Deserialize<'a>>(what: &str, json: &'a str) -> Rejection {
    let mut reader = serde_json::Deserializer::from_str(json);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => bad_request(what, ".", "cannot be read"),
        Err(error) => match error.inner().to_string() {
            fault if fault.starts_with("trailing characters") => bad_request(what, ".", "too many of them"),
            fault => bad_request(what, &error.path().to_string(), &fault),
        },
    }
}

fn bad_request(what: &str, path: &str, fault: &str) -> Rejection {
    reject(BAD_REQUEST, format!("{what}: {}", at_path(path, fault)))
}

/// `path: fault`, without what serde_json says of lines and columns.
pub(crate) fn at_path(path: &str, fault: &str) -> String {
    let fault = fault.rfind(" at line ").map_or(fault, |end| &fault[..end]);
    if path == "." { fault.to_owned() } else { format!("`{path}`: {fault}") }
}

/// Takes one element of a sequence, skips the others unread.
struct Nth<T> {
    index: usize,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Nth<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Nth<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let value = seq.next_element()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Join {
        room: String,
    }

    #[track_caller]
    fn check_refused<T: serde::de::DeserializeOwned + fmt::Debug>(json: &str, index: usize, text: &str) {
        let no = read_one::<T>(json, index).expect_err("must be refused");
        assert_eq!((no.code(), no.message()), (BAD_REQUEST, text));
    }

    #[test]
    fn one_argument_is_read_and_the_others_are_skipped() {
        let json = r#"[{"deep":[[1,{"x":null}]]}, {"room":"lobby"}, 7]"#;
        assert_eq!(read_one::<Join>(json, 1), Ok(Join { room: "lobby".into() }));
        assert_eq!(read_one::<u32>(json, 2), Ok(7));
        assert_eq!(read_one::<Option<u32>>(json, 3), Ok(None));
    }

    #[test]
    fn a_malformed_argument_is_refused_with_what_was_expected() {
        check_refused::<Join>("[]", 0, "argument 1 is missing");
        check_refused::<Join>(r#"[{"room":7}]"#, 0, "argument 1: `room`: invalid type: integer `7`, expected a string");
        check_refused::<Join>("[1,{}]", 1, "argument 2: missing field `room`");
        check_refused::<Join>(r#"["x"]"#, 0, r#"argument 1: invalid type: string "x", expected struct Join"#);
        check_refused::<Vec<u8>>("[[1,300]]", 0, "argument 1: `[1]`: invalid value: integer `300`, expected u8");
    }

    #[test]
    fn all_arguments_are_read_into_a_tuple() {
        assert_eq!(read_all::<(u8, String)>(r#"[1,"x"]"#), Ok((1, "x".into())));
        let no = read_all::<(Join,)>(r#"[{"room":null}]"#).unwrap_err();
        assert_eq!(no.message(), "arguments: `[0].room`: invalid type: null, expected a string");
        let no = read_all::<(u8,)>("[1,2]").unwrap_err();
        assert_eq!(no.message(), "arguments: too many of them");
        let no = read_all::<(u8, u8)>("[1]").unwrap_err();
        assert_eq!(no.message(), "arguments: invalid length 1, expected a tuple of size 2");
    }

    #[test]
    fn arguments_grow_by_values_and_binaries() {
        let args = Args::raw(" [ 1 ] ", vec![]).with("x").unwrap().with_binary([1]).with_binary([2]);
        assert_eq!(
            args.json().replace(' ', ""),
            r#"[1,"x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
        );
        assert_eq!(json!({ "a": 1 }).into_args().unwrap().json(), r#"[{"a":1}]"#);
        assert!(Args::list("text").is_err());
    }
}
