//! Why a client is not let in, in the words that it gets.

use hubbub_plugin::prelude::*;

/// A refusal. No text holds anything of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    GuestsRefused,
    Malformed(&'static str),
    Signature(&'static str),
    /// When it ended, seconds since the Unix epoch.
    Expired {
        expired_s: i64,
    },
    NotYet,
    Issuer,
    Audience,
    Claims(String),
}

impl Refusal {
    /// What programs go by.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::GuestsRefused => "guests_refused",
            Self::Malformed(_) => "token_malformed",
            Self::Signature(_) => "token_signature",
            Self::Expired { .. } => "token_expired",
            Self::NotYet => "token_not_yet",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Claims(_) => "token_claims",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Missing => "a token is required".into(),
            Self::GuestsRefused => "guests are not let in: a token is required".into(),
            Self::Malformed(why) => format!("the token is malformed: {why}"),
            Self::Signature(why) => format!("the token's signature does not hold: {why}"),
            Self::Expired { .. } => "the token has expired".into(),
            Self::NotYet => "the token is not valid yet".into(),
            Self::Issuer => "the token is from another issuer".into(),
            Self::Audience => "the token is for another audience".into(),
            Self::Claims(why) => format!("the token's claims do not fit: {why}"),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        let no = reject(refusal.code(), refusal.message());
        match refusal {
            Refusal::Expired { expired_s } => no.data(&json!({ "expired_s": expired_s })).into(),
            _ => no.into(),
        }
    }
}
