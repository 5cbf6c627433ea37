//! The rooms that a client can be shown: its own, and public ones in which somebody is.
//!
//! Public rooms are a sorted set by the time of their last join, of which the newest stay: one value, however many rooms
//! there are. Rooms in which nobody is any more are left out when it is read.

use hubbub_plugin::prelude::*;

use super::{Front, body};
use crate::{
    config::days,
    wire::{Listing, PublicRoom, who},
};

const PUBLIC: &str = "public";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomsBody {
    #[serde(default)]
    public: bool,
}

impl Front<'_> {
    /// Notes that somebody joins an open room.
    pub(super) fn list(&self, room: &str) -> Result<(), Failure> {
        let max = self.config.rooms_listed_max;
        if max > 0 && self.is_open(room)? {
            self.event.store().add(PUBLIC, room, self.event.received_ms(), max)?;
        }
        Ok(())
    }

    /// A room of that name has become private.
    pub(super) fn unlist(&self, room: &str) -> Result<(), Failure> {
        match self.config.rooms_listed_max {
            0 => Ok(()),
            _ => self.event.store().remove(PUBLIC, room),
        }
    }

    /// Hands on to the archive, which knows what was said there and read.
    pub(super) fn rooms(&self, event: &MessageEvent) -> Outcome {
        let RoomsBody { public } = body(event)?;
        let public = public.then(|| self.public_rooms()).transpose()?;
        event.set_args(Listing { rooms: event.rooms().mine(), public, who: who(event) })?;
        event.retarget(To::sender());
        Ok(Pass)
    }

    /// Those with the most members first.
    fn public_rooms(&self) -> Result<Vec<PublicRoom>, Failure> {
        let (store, now_ms) = (self.event.store(), self.event.received_ms());
        let since =
            now_ms.saturating_sub(u64::try_from(days(self.config.room_ttl_days).as_millis()).unwrap_or(u64::MAX));
        let mut public = Vec::new();
        for (_, room) in store.members::<String>(PUBLIC, since..u64::MAX, self.config.rooms_listed_max)? {
            let members_count = self.event.rooms().size(&room);
            if members_count > 0 && self.is_open(&room)? {
                public.push(PublicRoom { room, members_count, topic: None });
            }
        }
        public.sort_by_key(|room| std::cmp::Reverse(room.members_count));
        Ok(public)
    }
}
