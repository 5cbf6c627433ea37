//! Making keys and signatures, in files that minisign reads and writes too.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minisign::{ErrorKind, KeyPair, PError, PublicKey, SecretKey, SecretKeyBox};

use super::{KeyId, PUBLIC_KEY_CHARS, SECRET_KEY_BYTES, TrustedKey, TrustedKeys};

/// Where the checksum of a secret key begins.
const CHECKSUM_AT: usize = 126;

/// What protects a secret key in its file.
pub enum Password {
    /// Nothing: who reads the file can sign.
    None,
    Known(String),
    /// Whatever is typed at the terminal.
    Ask,
}

/// Why no key or signature was made.
#[derive(Debug, thiserror::Error)]
pub enum MakingError {
    #[error("expected a secret key, as `hubbub plugin keygen` or `minisign -G` writes it")]
    NotAKey,
    #[error("expected a secret key, found a public one")]
    Public,
    #[error("the secret key is damaged")]
    Damaged,
    #[error("the password is wrong, or the secret key is damaged")]
    WrongPassword,
    #[error("the password was not read: {0}")]
    Unread(String),
    #[error("not made: {0}")]
    Failed(String),
}

/// A key pair as it stands in files.
pub struct NewKey {
    pub id: KeyId,
    /// The text of the `.pub` file.
    pub public_file: String,
    /// Its one line that counts, for `signatures.trusted_keys`.
    pub public: String,
    /// The text of the secret key's file.
    pub secret_file: String,
}

impl NewKey {
    /// Makes a key pair.
    ///
    /// # Errors
    /// When no password can be read, or the system gives no random bytes.
    pub fn make(password: Password) -> Result<Self, MakingError> {
        let (pair, comment) = match password {
            Password::None => (KeyPair::generate_unencrypted_keypair(), "minisign secret key"),
            Password::Known(text) => (KeyPair::generate_encrypted_keypair(Some(text)), "minisign encrypted secret key"),
            Password::Ask => (KeyPair::generate_encrypted_keypair(None), "minisign encrypted secret key"),
        };
        let KeyPair { pk, sk } = pair.map_err(failed)?;
        Ok(Self {
            id: KeyId::within(&pk.to_bytes()).ok_or(MakingError::Damaged)?,
            public_file: pk.to_box().map_err(failed)?.into_string(),
            public: pk.to_base64(),
            secret_file: sk.to_box(Some(comment)).map_err(failed)?.into_string(),
        })
    }
}

/// A secret key's file. What it holds is shown nowhere.
pub struct SecretKeyFile {
    text: String,
    bytes: Vec<u8>,
}

impl SecretKeyFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is no secret key.
    pub fn parse(text: String) -> Result<Self, MakingError> {
        let line = text.lines().nth(1).unwrap_or_default().trim();
        let bytes = STANDARD.decode(line).map_err(|_| MakingError::NotAKey)?;
        match bytes.len() {
            SECRET_KEY_BYTES => Ok(Self { text, bytes }),
            _ if line.len() == PUBLIC_KEY_CHARS => Err(MakingError::Public),
            _ => Err(MakingError::NotAKey),
        }
    }

    /// Whether a password is needed to sign.
    pub fn has_password(&self) -> bool {
        self.bytes[2..4] != [0, 0]
    }

    /// The key itself. The password is not looked at when there is none.
    ///
    /// # Errors
    /// When the password is wrong or the key damaged.
    pub fn open(&self, password: Password) -> Result<SigningKey, MakingError> {
        let secret = self.decrypt(password)?;
        let public = PublicKey::from_secret_key(&secret).map_err(failed)?;
        let trusted = TrustedKey::parse(&public.to_base64()).map_err(|_| MakingError::Damaged)?;
        Ok(SigningKey { secret, trusted })
    }

    fn decrypt(&self, password: Password) -> Result<SecretKey, MakingError> {
        let boxed = SecretKeyBox::from(self.text.clone());
        if !self.has_password() {
            // minisign leaves the checksum of such keys empty, which its crate takes for damage
            let opened = match self.bytes[CHECKSUM_AT..].iter().all(|byte| *byte == 0) {
                true => SecretKey::from_bytes(&self.bytes),
                false => boxed.into_unencrypted_secret_key(),
            };
            return opened.map_err(|_| MakingError::Damaged);
        }
        let password = match password {
            Password::Known(text) => Some(text),
            Password::Ask => None,
            Password::None => return Err(MakingError::Unread("this key has one, and none was given".into())),
        };
        let asks = password.is_none();
        boxed.into_secret_key(password).map_err(|error| match error.kind() {
            ErrorKind::Verify => MakingError::WrongPassword,
            ErrorKind::Io if !asks => MakingError::Failed(error.to_string()),
            _ => failed(error),
        })
    }
}

/// A secret key that can sign. What it holds is shown nowhere.
pub struct SigningKey {
    secret: SecretKey,
    trusted: TrustedKey,
}

impl SigningKey {
    /// Its number.
    pub fn id(&self) -> KeyId {
        self.trusted.id()
    }

    /// Signs a file's bytes; gives the text of the `.minisig` file. `comment` is signed too.
    ///
    /// # Errors
    /// When the signature does not hold, because the key is damaged.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<String, MakingError> {
        let untrusted = "signature from minisign secret key";
        let signed = minisign::sign(None, &self.secret, Cursor::new(bytes), Some(comment), Some(untrusted));
        let signature = signed.map_err(failed)?.into_string();
        // a key of minisign's without a password has no checksum: only this tells that it is whole
        let own = TrustedKeys::new(vec![self.trusted.clone()]);
        own.check(bytes, Some(&signature)).map_err(|_| MakingError::Damaged)?;
        Ok(signature)
    }
}

fn failed(error: PError) -> MakingError {
    match error.kind() {
        ErrorKind::Io => MakingError::Unread(error.to_string()),
        _ => MakingError::Failed(error.to_string()),
    }
}
