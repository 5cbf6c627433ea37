//! What the operator says of tokens and guests.

use hubbub_plugin::prelude::*;

use crate::{
    guest,
    key::{Key, KeyFile},
    person::{USER_MAX_BYTES, check_id, check_roles},
    token::Claims,
};

const LEEWAY_MAX_S: u64 = 300;
const JWT_MIN_BYTES: usize = 64;
const JWT_MAX_BYTES: usize = 64 * 1024;
const NAME_MAX_CHARS: usize = 256;
const KEYS_MAX: usize = 64;

/// The config as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    keys: Vec<KeyFile>,
    issuer: Option<String>,
    audience: Option<String>,
    #[serde(default = "leeway_s")]
    leeway_s: u64,
    lifetime_max_s: Option<u64>,
    #[serde(default = "yes")]
    expiry_required: bool,
    #[serde(default = "jwt_max_bytes")]
    jwt_max_bytes: usize,
    #[serde(default = "name_max_chars")]
    name_max_chars: usize,
    header: Option<String>,
    query: Option<String>,
    #[serde(default)]
    claims: ClaimNames,
    guests: Option<Guests>,
}

fn leeway_s() -> u64 {
    30
}

fn yes() -> bool {
    true
}

fn jwt_max_bytes() -> usize {
    4096
}

fn name_max_chars() -> usize {
    64
}

/// The plugin's config, checked.
#[derive(Deserialize)]
#[serde(try_from = "ConfigFile")]
pub(crate) struct Config {
    /// Each with a `kid` of its own when there are several.
    keys: Vec<Key>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub leeway_s: f64,
    pub lifetime_max_s: Option<f64>,
    pub expiry_required: bool,
    pub jwt_max_bytes: usize,
    pub name_max_chars: usize,
    /// In lower case, as the hub knows it.
    pub header: Option<String>,
    pub query: Option<String>,
    pub claims: ClaimNames,
    pub guests: Option<Guests>,
}

/// Where the claims stand that are not the same everywhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClaimNames {
    pub user: ClaimName,
    pub name: ClaimName,
    pub roles: ClaimName,
}

impl Default for ClaimNames {
    fn default() -> Self {
        let name = |text: &str| ClaimName(text.into());
        Self { user: name("sub"), name: name("name"), roles: name("roles") }
    }
}

/// A claim's name, or with `/` before it a JSON pointer.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct ClaimName(String);

impl ClaimName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The claim's value; `null` is none.
    pub(crate) fn of<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let value = match self.0.strip_prefix('/') {
            None => claims.get(&self.0),
            Some(path) => {
                let (first, rest) = path.split_once('/').unwrap_or((path, ""));
                let value = claims.get(&first.replace("~1", "/").replace("~0", "~"));
                if rest.is_empty() { value } else { value.and_then(|v| v.pointer(&format!("/{rest}"))) }
            }
        };
        value.filter(|value| !value.is_null())
    }
}

/// What clients without a token are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guests {
    pub allow: bool,
    /// What the user ids of guests begin with.
    #[serde(default = "prefix")]
    pub prefix: String,
    #[serde(default)]
    pub roles: Vec<String>,
}

fn prefix() -> String {
    "guest-".into()
}

impl Config {
    /// The key that a token names. One that names none is looked at with the only key that there is.
    pub(crate) fn key(&self, kid: Option<&str>) -> Option<&Key> {
        match (&self.keys[..], kid) {
            ([only], None) => Some(only),
            ([only], Some(_)) if only.kid.is_none() => Some(only),
            (keys, Some(kid)) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            (_, None) => None,
        }
    }
}

impl TryFrom<ConfigFile> for Config {
    type Error = String;

    fn try_from(file: ConfigFile) -> Result<Self, String> {
        in_range("leeway_s", file.leeway_s, 0, LEEWAY_MAX_S)?;
        in_range("jwt_max_bytes", file.jwt_max_bytes, JWT_MIN_BYTES, JWT_MAX_BYTES)?;
        in_range("name_max_chars", file.name_max_chars, 1, NAME_MAX_CHARS)?;
        if file.lifetime_max_s == Some(0) {
            return Err("`lifetime_max_s`: must be at least 1; leave it out to allow any".into());
        }
        for (key, value) in [
            ("issuer", &file.issuer),
            ("audience", &file.audience),
            ("header", &file.header),
            ("query", &file.query),
            ("claims.user", &Some(file.claims.user.0.clone())),
            ("claims.name", &Some(file.claims.name.0.clone())),
            ("claims.roles", &Some(file.claims.roles.0.clone())),
        ] {
            if value.as_deref() == Some("") {
                return Err(format!("`{key}`: must not be empty; leave it out for the default"));
            }
        }
        if let Some(guests) = &file.guests {
            check_id(&guests.prefix, USER_MAX_BYTES - guest::ID_BYTES)
                .map_err(|fault| format!("`guests.prefix`: {fault}"))?;
            check_roles(&guests.roles).map_err(|fault| format!("`guests.roles`: {fault}"))?;
        }
        Ok(Self {
            keys: keys(file.keys)?,
            issuer: file.issuer,
            audience: file.audience,
            leeway_s: file.leeway_s as f64,
            lifetime_max_s: file.lifetime_max_s.map(|s| s as f64),
            expiry_required: file.expiry_required,
            jwt_max_bytes: file.jwt_max_bytes,
            name_max_chars: file.name_max_chars,
            header: file.header.map(|name| name.to_ascii_lowercase()),
            query: file.query,
            claims: file.claims,
            guests: file.guests,
        })
    }
}

fn keys(files: Vec<KeyFile>) -> Result<Vec<Key>, String> {
    in_range("keys", files.len(), 1, KEYS_MAX)?;
    let mut keys: Vec<Key> = Vec::with_capacity(files.len());
    let several = files.len() > 1;
    for (n, file) in files.into_iter().enumerate() {
        let key = Key::try_from(file).map_err(|error| format!("`keys[{n}].{error}"))?;
        if several && key.kid.is_none() {
            return Err(format!("`keys[{n}].kid`: is needed when there are several keys"));
        }
        if several && keys.iter().any(|other| other.kid == key.kid) {
            return Err(format!("`keys[{n}].kid`: another key has it already"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn in_range<T: PartialOrd + std::fmt::Display>(key: &str, value: T, min: T, max: T) -> Result<(), String> {
    if value < min || value > max { Err(format!("`{key}`: {value} is not in {min}..={max}")) } else { Ok(()) }
}
