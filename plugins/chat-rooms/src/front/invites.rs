//! Invitations: of a user, for as long as they hold, or by a secret, for one join.
//!
//! A room's are one value, so that of two who come with one secret at once one is handled again and finds it used up.
//! Neither users nor secrets stand in it, only their digests.

use hubbub_plugin::prelude::*;

use super::{Front, access::random, body, not_allowed, ok};
use crate::{
    config::hours,
    keys::{digest, key},
};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invite {
    whom: Whom,
    ends_ms: u64,
}

/// Digests of what they name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Whom {
    User(String),
    Bearer(String),
}

/// What [`Front::invites`] found: as it is kept, and what of it holds.
struct Invites {
    kept: Option<Vec<Invite>>,
    live: Vec<Invite>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    room: String,
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UninviteBody {
    room: String,
    user: Option<String>,
    invite: Option<String>,
}

fn invites_key(room: &str) -> String {
    key("invites", &[room])
}

impl Whom {
    fn user(user: &str) -> Self {
        Self::User(digest(user))
    }

    fn bearer(secret: &str) -> Self {
        Self::Bearer(digest(secret))
    }
}

impl Front<'_> {
    fn invites(&self, room: &str) -> Result<Invites, Failure> {
        let kept: Option<Vec<Invite>> = self.event.store().get(&invites_key(room))?;
        let mut live = kept.clone().unwrap_or_default();
        live.retain(|invite| invite.ends_ms > self.event.received_ms());
        Ok(Invites { kept, live })
    }

    fn keep_invites(&self, room: &str, invites: Invites) -> Result<bool, Failure> {
        let ttl = hours(self.config.invite_ttl_hours);
        let new = (!invites.live.is_empty()).then_some(invites.live);
        self.event.store().compare_and_set(&invites_key(room), invites.kept.as_ref(), new.as_ref(), Some(ttl))
    }

    /// A created room that the event's socket is in and may invite to.
    fn check_host(&self, room: &str) -> Result<(), Stop> {
        self.check_member(room)?;
        match self.is_host(room)? {
            None => Err(reject("not_private", format!("{room} needs no invite")).into()),
            Some(false) => Err(not_allowed("invite to this room")),
            Some(true) => Ok(()),
        }
    }

    pub(super) fn invite(&self, event: &MessageEvent) -> Outcome {
        let InviteBody { room, user } = body(event)?;
        self.check_host(&room)?;
        if let Some(user) = &user {
            self.config.check_user(user)?;
        }
        let secret = random()?;
        let whom = user.as_deref().map_or_else(|| Whom::bearer(&secret), Whom::user);
        let mut invites = self.invites(&room)?;
        invites.live.retain(|invite| invite.whom != whom);
        let max = self.config.invites_max;
        if invites.live.len() >= max {
            return Err(reject("too_many_invites", format!("a room may have {max} invites that nobody used")).into());
        }
        let ttl_ms = u64::try_from(hours(self.config.invite_ttl_hours).as_millis()).unwrap_or(u64::MAX);
        invites.live.push(Invite { whom, ends_ms: event.received_ms().saturating_add(ttl_ms) });
        self.keep_invites(&room, invites)?;
        match user {
            Some(user) => {
                let by = self.speaker(&room)?;
                event.set_name("invited");
                event.set_args(json!({ "room": room, "by": by }))?;
                event.retarget(To::user(user));
                ok(event)
            }
            None => {
                event.ack(json!({ "ok": true, "invite": secret }))?;
                Ok(Pass)
            }
        }
    }

    /// Takes one invite back, or all of the room's.
    pub(super) fn uninvite(&self, event: &MessageEvent) -> Outcome {
        let UninviteBody { room, user, invite } = body(event)?;
        self.check_host(&room)?;
        let mut invites = self.invites(&room)?;
        let before = invites.live.len();
        match (&user, &invite) {
            (Some(user), None) => invites.live.retain(|i| i.whom != Whom::user(user)),
            (None, Some(secret)) => invites.live.retain(|i| i.whom != Whom::bearer(secret)),
            (None, None) => invites.live.clear(),
            (Some(_), Some(_)) => {
                let text = "either `user` or `invite` may be given";
                return Err(reject(hubbub_plugin::BAD_REQUEST, text).into());
            }
        }
        let count = before - invites.live.len();
        if count > 0 {
            self.keep_invites(&room, invites)?;
        }
        event.ack(json!({ "ok": true, "count": count }))?;
        Ok(Pass)
    }

    pub(super) fn is_invited(&self, room: &str, user: &str) -> Result<bool, Failure> {
        let whom = Whom::user(user);
        Ok(self.invites(room)?.live.iter().any(|invite| invite.whom == whom))
    }

    /// Whether the secret was one of the room's; it is no more.
    pub(super) fn use_up(&self, room: &str, secret: &str) -> Result<bool, Failure> {
        let (mut invites, whom) = (self.invites(room)?, Whom::bearer(secret));
        let before = invites.live.len();
        invites.live.retain(|invite| invite.whom != whom);
        Ok(invites.live.len() < before && self.keep_invites(room, invites)?)
    }
}
