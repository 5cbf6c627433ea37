//! One rule: what it fits, and where that goes.

use hubbub_plugin::prelude::*;
use serde::Deserializer;

/// A checked rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    when: When,
    to: Destinations,
}

/// What a rule fits.
#[derive(Deserialize)]
#[serde(try_from = "WhenKeys")]
struct When {
    event: Option<String>,
    field: Option<(Path, Condition)>,
}

enum Condition {
    Equals(Value),
    Contains(String),
    StartsWith(String),
    Exists(bool),
}

/// Keys in keys, outermost first.
struct Path(Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhenKeys {
    event: Option<String>,
    field: Option<String>,
    #[serde(default, deserialize_with = "some_even_null")]
    equals: Option<Value>,
    contains: Option<String>,
    starts_with: Option<String>,
    exists: Option<bool>,
}

fn some_even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(try_from = "Vec<Destination>")]
struct Destinations(Vec<Destination>);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Destination {
    Room(String),
    User(String),
    RoomField(Path),
    UserField(Path),
    SocketField(Path),
    Keep,
    Sender,
    Everyone,
}

impl TryFrom<WhenKeys> for When {
    type Error = String;

    fn try_from(keys: WhenKeys) -> Result<Self, String> {
        let mut conditions: Vec<Condition> = Vec::new();
        conditions.extend(keys.equals.map(Condition::Equals));
        conditions.extend(keys.contains.map(Condition::Contains));
        conditions.extend(keys.starts_with.map(Condition::StartsWith));
        conditions.extend(keys.exists.map(Condition::Exists));
        let field = match (keys.field, conditions.pop()) {
            (Some(field), Some(condition)) if conditions.is_empty() => Some((Path::try_from(field)?, condition)),
            (None, None) if keys.event.is_some() => None,
            (None, None) => return Err("must have `event` or `field`".into()),
            _ => return Err("`field` needs exactly one of `equals`, `contains`, `starts_with`, `exists`".into()),
        };
        Ok(Self { event: keys.event, field })
    }
}

impl TryFrom<Vec<Destination>> for Destinations {
    type Error = String;

    fn try_from(list: Vec<Destination>) -> Result<Self, String> {
        if list.is_empty() { Err("must have at least one destination".into()) } else { Ok(Self(list)) }
    }
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        let keys: Vec<String> = path.split('.').map(String::from).collect();
        match keys.iter().any(String::is_empty) {
            true => Err(format!("`{path}` is no path of fields like `text` or `order.state`")),
            false => Ok(Self(keys)),
        }
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Path {
    fn find<'a>(&self, body: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(body, |value, key| value.get(key))
    }

    fn text<'a>(&self, body: &'a Value) -> Option<&'a str> {
        self.find(body)?.as_str().filter(|text| !text.is_empty())
    }
}

impl Condition {
    fn holds(&self, value: Option<&Value>) -> bool {
        let text = value.and_then(Value::as_str);
        match self {
            Condition::Equals(wanted) => value == Some(wanted),
            Condition::Contains(part) => text.is_some_and(|text| text.contains(part)),
            Condition::StartsWith(start) => text.is_some_and(|text| text.starts_with(start)),
            Condition::Exists(wanted) => value.is_some() == *wanted,
        }
    }
}

impl Rule {
    /// Whether it may fit messages of this name.
    pub(crate) fn concerns(&self, event: &str) -> bool {
        self.when.event.as_ref().is_none_or(|wanted| wanted == event)
    }

    /// Where a message that it fits goes; `None` when it does not fit.
    pub(crate) fn route(&self, body: &Value, now: impl Fn() -> Vec<Target>) -> Option<To> {
        if let Some((path, condition)) = &self.when.field
            && !condition.holds(path.find(body))
        {
            return None;
        }
        let mut to = To::default();
        for destination in &self.to.0 {
            to = to.and(match destination {
                Destination::Room(room) => To::room(room),
                Destination::User(user) => To::user(user),
                Destination::RoomField(path) => To::room(path.text(body)?),
                Destination::UserField(path) => To::user(path.text(body)?),
                Destination::SocketField(path) => To::socket(path.text(body)?),
                Destination::Keep => now().into_iter().fold(To::default(), |to, target| to.and(target.into())),
                Destination::Sender => To::sender(),
                Destination::Everyone => To::everyone(),
            });
        }
        Some(to)
    }
}
