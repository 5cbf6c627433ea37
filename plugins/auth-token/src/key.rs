//! Keys and what they verify.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hubbub_plugin::prelude::*;
use jsonwebtoken::{DecodingKey, Validation, crypto};
use thiserror::Error;

use crate::token::Claims;

/// The shortest RSA key that is still safe.
const RSA_MIN_BITS: usize = 2048;
/// The longest one that is surely verified within the CPU budget of a call: one of 4096 bits takes 7 ms and more.
const RSA_MAX_BITS: usize = 3072;
/// What a PEM with a public key begins with. Certificates are not taken: nobody here would look at what they say.
const PEM_BEGINS: &str = "-----BEGIN PUBLIC KEY-----";
const ED25519_BYTES: usize = 32;

/// How a token is signed. There is no `none`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) enum Algorithm {
    HS256,
    HS384,
    HS512,
    ES256,
    EdDSA,
    RS256,
}

impl Algorithm {
    /// What a token calls it in `alg`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
        }
    }

    /// A secret shorter than the hash weakens it (RFC 7518, 3.2). `None`: it has no secret.
    fn secret_min_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            Self::ES256 | Self::EdDSA | Self::RS256 => None,
        }
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HS256 => Self::HS256,
            Algorithm::HS384 => Self::HS384,
            Algorithm::HS512 => Self::HS512,
            Algorithm::ES256 => Self::ES256,
            Algorithm::EdDSA => Self::EdDSA,
            Algorithm::RS256 => Self::RS256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key as the operator wrote it. It is never printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    kid: Option<String>,
    algorithm: Algorithm,
    secret: Option<Secret>,
    secret_base64: Option<Secret>,
    public_key: Option<String>,
}

/// A text whose value no error shows.
struct Secret(String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer) {
            Ok(Value::String(text)) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("must be a text in quotes")),
        }
    }
}

/// A key that is ready.
pub(crate) struct Key {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    key: DecodingKey,
    /// Nothing but the key's own algorithm is taken.
    rules: Validation,
}

/// What is wrong with a key. The text goes behind the key's path, as in `keys[0].`: the rest of the path, and what
/// would be right.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum KeyError {
    #[error("kid`: must not be empty")]
    KidEmpty,
    #[error("algorithm`: {0} needs either `secret` (text) or `secret_base64`, and no `public_key`")]
    NeedsSecret(Algorithm),
    #[error("algorithm`: {0} needs `public_key`, a PEM, and no secret")]
    NeedsPublicKey(Algorithm),
    #[error("secret_base64`: must be standard base64 with padding")]
    NotBase64,
    #[error("{key}`: {algorithm} needs at least {min} bytes, there are {found}")]
    SecretShort { key: &'static str, algorithm: Algorithm, min: usize, found: usize },
    #[error("public_key`: is a private key; write here what `openssl pkey -pubout` makes of it, and nothing else")]
    PrivateKey,
    #[error("public_key`: must be a PEM `BEGIN PUBLIC KEY` for {0}, as `openssl pkey -pubout` writes it")]
    NotPublicKey(Algorithm),
    #[error("public_key`: has {0} bits, which is not in {RSA_MIN_BITS}..={RSA_MAX_BITS}; ES256 and EdDSA cost less")]
    RsaBits(usize),
}

impl TryFrom<KeyFile> for Key {
    type Error = KeyError;

    fn try_from(file: KeyFile) -> Result<Self, KeyError> {
        if file.kid.as_deref() == Some("") {
            return Err(KeyError::KidEmpty);
        }
        let algorithm = file.algorithm;
        let key = match algorithm.secret_min_bytes() {
            Some(min) => DecodingKey::from_secret(&secret(&file, min)?),
            None => match (&file.public_key, &file.secret, &file.secret_base64) {
                (Some(pem), None, None) => with_public_key(algorithm, pem.trim())?,
                _ => return Err(KeyError::NeedsPublicKey(algorithm)),
            },
        };
        Ok(Self { kid: file.kid, algorithm, key, rules: rules(algorithm) })
    }
}

fn secret(file: &KeyFile, min: usize) -> Result<Vec<u8>, KeyError> {
    let (key, bytes) = match (&file.secret, &file.secret_base64, &file.public_key) {
        (Some(text), None, None) => ("secret", text.0.clone().into_bytes()),
        (None, Some(text), None) => ("secret_base64", STANDARD.decode(text.0.trim()).map_err(|_| KeyError::NotBase64)?),
        _ => return Err(KeyError::NeedsSecret(file.algorithm)),
    };
    if bytes.len() < min {
        return Err(KeyError::SecretShort { key, algorithm: file.algorithm, min, found: bytes.len() });
    }
    Ok(bytes)
}

fn with_public_key(algorithm: Algorithm, pem: &str) -> Result<DecodingKey, KeyError> {
    if pem.contains("PRIVATE KEY") {
        return Err(KeyError::PrivateKey);
    }
    let wrong = || KeyError::NotPublicKey(algorithm);
    if !pem.starts_with(PEM_BEGINS) {
        return Err(wrong());
    }
    let key = match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem.as_bytes()),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem.as_bytes()),
        _ => DecodingKey::from_rsa_pem(pem.as_bytes()),
    };
    let key = key.map_err(|_| wrong())?;
    let bytes = key.try_get_as_bytes().map_err(|_| wrong())?;
    match algorithm {
        Algorithm::RS256 => match rsa_bits(bytes).ok_or_else(wrong)? {
            RSA_MIN_BITS..=RSA_MAX_BITS => {}
            bits => return Err(KeyError::RsaBits(bits)),
        },
        Algorithm::EdDSA if bytes.len() != ED25519_BYTES => return Err(wrong()),
        _ => {}
    }
    // a key on another curve is found out only when something is verified
    crypto::verify("", b"", &key, algorithm.into()).map(|_| key).map_err(|_| wrong())
}

/// The length of an RSA public key's modulus; `None` if it is no such key.
fn rsa_bits(der: &[u8]) -> Option<usize> {
    let parts = crypto::rust_crypto::DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
    let (modulus, _) = parts(der).ok()?;
    let first = modulus.first()?;
    Some(modulus.len() * 8 - first.leading_zeros() as usize)
}

/// The signature alone: claims are checked in `claims`, by the event's clock and with the refusals' own words.
fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm.into());
    rules.required_spec_claims.clear();
    (rules.validate_exp, rules.validate_nbf, rules.validate_aud) = (false, false, false);
    rules
}

impl Key {
    /// The claims of a token that was signed with this key by its algorithm.
    pub(crate) fn decode(&self, token: &str) -> jsonwebtoken::errors::Result<Claims> {
        jsonwebtoken::decode(token, &self.key, &self.rules).map(|token| token.claims)
    }
}
