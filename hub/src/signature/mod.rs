//! Who vouches for a plugin's file: signatures in the format of [minisign](https://jedisct1.github.io/minisign/), and the
//! keys that an operator trusts. Keys and signatures are made in [`making`].

pub mod making;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minisign_verify::{Error, PublicKey, Signature};

/// How long the text of a signature may be. Its two comments are most of it; minisign's own have at most 9 kB.
pub const SIGNATURE_MAX_BYTES: usize = 16 << 10;
/// What a signature's file is called, behind the whole name of what it signs.
const SUFFIX: &str = ".minisig";
/// The base64 text of a public key.
const PUBLIC_KEY_CHARS: usize = 56;
/// A secret key in its bytes: algorithms, salt, limits, id, key and checksum.
const SECRET_KEY_BYTES: usize = 158;

/// The number of a key, as minisign prints it: 16 hex digits. Not secret; two keys may have the same by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(u64);

impl KeyId {
    /// The id in the bytes of a key or a signature, where it stands behind the algorithm.
    fn within(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// A public key that an operator trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    text: String,
    id: KeyId,
    key: PublicKey,
}

/// A text that is no public key. What it says never repeats a secret key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "expected a public key, the second line of a .pub file of `hubbub plugin keygen` or minisign, which has {PUBLIC_KEY_CHARS} characters and begins with \"RW\""
    )]
    NotAKey,
    #[error(
        "expected a public key, found a SECRET one: take it out of here, and write the second line of its .pub file"
    )]
    Secret,
    #[error("expected the key itself, the second line of the .pub file, found the name of a file")]
    FileName,
}

impl TrustedKey {
    /// Reads the one line that stands in a `.pub` file below its comment.
    ///
    /// # Errors
    /// With what would be right.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).unwrap_or_default();
        if bytes.len() == SECRET_KEY_BYTES {
            return Err(KeyError::Secret);
        }
        if [".pub", ".key"].iter().any(|extension| text.ends_with(extension)) {
            return Err(KeyError::FileName);
        }
        let id = KeyId::within(&bytes).filter(|_| text.len() == PUBLIC_KEY_CHARS).ok_or(KeyError::NotAKey)?;
        let key = PublicKey::from_base64(text).map_err(|_| KeyError::NotAKey)?;
        Ok(Self { text: text.to_owned(), id, key })
    }

    /// The line that it was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its number.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

/// The keys whose signatures count. Without any, no signature is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys {
    keys: Vec<TrustedKey>,
}

/// Why a file is not loaded where signatures are demanded. Each text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error(
        "not signed, and this hub loads only what one of its trusted keys has signed ({trusted}): sign it with `hubbub plugin sign FILE --key KEYFILE`"
    )]
    Unsigned { trusted: String },
    #[error("the signature is damaged: {reason}; sign the file again")]
    Damaged { reason: String },
    #[error(
        "signed by key {key}, which this hub does not trust (it trusts {trusted}): add its public key to signatures.trusted_keys if you do"
    )]
    Foreign { key: KeyId, trusted: String },
    #[error("the file is not what key {key} has signed: file or signature were altered; build and sign it again")]
    Altered { key: KeyId },
    #[error(
        "signed by key {key} in minisign's legacy format: sign it again, without `-l`, with a minisign of today or `hubbub plugin sign`"
    )]
    Legacy { key: KeyId },
}

impl TrustedKeys {
    /// These keys; none: everything is let through.
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self { keys }
    }

    /// Whether only signed files are let through.
    pub fn demanded(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter()
    }

    /// Whether a file may be loaded: with no trusted keys always, else when one of them has signed these very bytes.
    /// `signature` is the text of a `.minisig` file.
    ///
    /// # Errors
    /// With the key that has signed, and what would be right.
    pub fn check(&self, bytes: &[u8], signature: Option<&str>) -> Result<(), SignatureError> {
        if !self.demanded() {
            return Ok(());
        }
        let text = signature.ok_or_else(|| SignatureError::Unsigned { trusted: self.ids() })?;
        let (key, signature) = read(text)?;
        let mut known = self.keys.iter().filter(|trusted| trusted.id == key).peekable();
        if known.peek().is_none() {
            return Err(SignatureError::Foreign { key, trusted: self.ids() });
        }
        let mut refused = SignatureError::Altered { key };
        for trusted in known {
            match trusted.key.verify(bytes, &signature, false) {
                Ok(()) => return Ok(()),
                Err(Error::UnexpectedAlgorithm | Error::UnsupportedLegacyMode) => {
                    refused = SignatureError::Legacy { key };
                }
                Err(_) => {}
            }
        }
        Err(refused)
    }

    fn ids(&self) -> String {
        let word = if self.keys.len() == 1 { "key" } else { "keys" };
        let ids: Vec<_> = self.keys.iter().map(|key| key.id.to_string()).collect();
        format!("{word} {}", ids.join(", "))
    }
}

/// Which key a signature says it is of. Whether that is so, only [`TrustedKeys::check`] tells.
///
/// # Errors
/// When the text is no signature.
pub fn key_of(signature: &str) -> Result<KeyId, SignatureError> {
    read(signature).map(|(key, _)| key)
}

/// The key's id and the signature.
fn read(text: &str) -> Result<(KeyId, Signature), SignatureError> {
    let damaged = |reason: String| SignatureError::Damaged { reason };
    if text.len() > SIGNATURE_MAX_BYTES {
        return Err(damaged(format!("it has {} bytes, allowed are {SIGNATURE_MAX_BYTES}", text.len())));
    }
    let signature = Signature::decode(text)
        .map_err(|_| damaged("it is not the text of a .minisig file, four lines of comments and base64".to_owned()))?;
    let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line).ok()).unwrap_or_default();
    let key = KeyId::within(&bytes).ok_or_else(|| damaged("it names no key".to_owned()))?;
    Ok((key, signature))
}

/// Where the signature of a file stands: beside it, as `FILE.minisig`.
pub fn path_of(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SUFFIX);
    path.into()
}

/// The signature that stands beside a file; `None` when there is none.
///
/// # Errors
/// When there is one and it cannot be read, or is too long to be one.
pub fn read_beside(file: &Path) -> io::Result<Option<String>> {
    let found = match File::open(path_of(file)) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    found.take(SIGNATURE_MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    if text.len() > SIGNATURE_MAX_BYTES {
        let text = format!("it has more than the {SIGNATURE_MAX_BYTES} bytes that a signature may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some(text))
}
