//! Names that a plugin makes, of rooms, users, roles and events: checked here, once.

use wasmtime::Result;

use super::{
    abi::imports::types,
    limiter::{LimitError, Misuse},
};
use crate::event::{Audience, SocketId, Target, Text};

/// How long names may be, and how many roles a user may have: the same for all plugins of a hub. What passes one of them
/// ends the call with a failure that names limit, used and allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    pub event_name_max_bytes: usize,
    pub room_name_max_bytes: usize,
    pub user_id_max_bytes: usize,
    pub role_name_max_bytes: usize,
    pub roles_max: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            event_name_max_bytes: 256,
            room_name_max_bytes: 256,
            user_id_max_bytes: 256,
            role_name_max_bytes: 256,
            roles_max: 64,
        }
    }
}

impl Names {
    pub fn event(&self, name: String) -> Result<Text> {
        checked("an event name", name, "event_name_max_bytes", self.event_name_max_bytes)
    }

    pub fn room(&self, name: String) -> Result<Text> {
        checked("a room", name, "room_name_max_bytes", self.room_name_max_bytes)
    }

    pub fn user(&self, id: String) -> Result<Text> {
        checked("a user", id, "user_id_max_bytes", self.user_id_max_bytes)
    }

    pub fn roles(&self, roles: Vec<String>) -> Result<Vec<Text>> {
        if roles.len() > self.roles_max {
            return Err(LimitError::new("roles_max", roles.len(), self.roles_max).into());
        }
        let role = |name| checked("a role", name, "role_name_max_bytes", self.role_name_max_bytes);
        roles.into_iter().map(role).collect()
    }

    /// An unknown socket id is nobody's: it becomes `None`, a target that reaches no one.
    pub fn target(&self, target: types::Target) -> Result<Option<Target>> {
        Ok(Some(match target {
            types::Target::Sender => Target::Sender,
            types::Target::EventRoom => Target::EventRoom,
            types::Target::Room(room) => Target::Room(self.room(room)?),
            types::Target::Socket(id) => return Ok(SocketId::parse(&id).map(Target::Socket)),
            types::Target::User(user) => Target::User(self.user(user)?),
            types::Target::Everyone => Target::Everyone,
        }))
    }

    pub fn audience(&self, to: Vec<types::Target>, except: Vec<String>) -> Result<Audience> {
        let to = to.into_iter().filter_map(|t| self.target(t).transpose()).collect::<Result<Vec<_>>>()?;
        Ok(Audience { to, except: except.iter().filter_map(|id| SocketId::parse(id)).collect() })
    }
}

fn checked(what: &str, name: String, limit: &'static str, max: usize) -> Result<Text> {
    match name.len() {
        0 => Err(Misuse(format!("gave {what} of 0 bytes: 1 to {max} are allowed")).into()),
        len if len > max => Err(LimitError::new(limit, len, max).into()),
        _ => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names {
        event_name_max_bytes: 1,
        room_name_max_bytes: 2,
        user_id_max_bytes: 3,
        role_name_max_bytes: 4,
        roles_max: 5,
    };

    #[track_caller]
    fn check<T>(result: Result<T>, expected: Option<&str>) {
        assert_eq!(result.err().map(|error| error.to_string()).as_deref(), expected);
    }

    #[test]
    fn each_name_has_its_own_limit() {
        let name = |len: usize| "n".repeat(len);
        let role = |len: usize| vec![name(len)];
        check(NAMES.event(name(1)), None);
        check(NAMES.event(name(2)), Some("event_name_max_bytes exceeded: used 2, allowed 1"));
        check(NAMES.room(name(2)), None);
        check(NAMES.room("ää".into()), Some("room_name_max_bytes exceeded: used 4, allowed 2"));
        check(NAMES.user(name(3)), None);
        check(NAMES.user(name(4)), Some("user_id_max_bytes exceeded: used 4, allowed 3"));
        check(NAMES.roles(role(4)), None);
        check(NAMES.roles(role(5)), Some("role_name_max_bytes exceeded: used 5, allowed 4"));
        check(NAMES.roles(vec![name(1); 5]), None);
        check(NAMES.roles(vec![name(1); 6]), Some("roles_max exceeded: used 6, allowed 5"));
    }

    #[test]
    fn an_empty_name_is_a_misuse() {
        check(NAMES.event(String::new()), Some("gave an event name of 0 bytes: 1 to 1 are allowed"));
        check(NAMES.roles(vec![String::new()]), Some("gave a role of 0 bytes: 1 to 4 are allowed"));
    }

    #[test]
    fn targets_are_names_too() {
        check(NAMES.target(types::Target::Room("abc".into())), Some("room_name_max_bytes exceeded: used 3, allowed 2"));
        let long = vec![types::Target::Sender, types::Target::User("abcd".into())];
        check(NAMES.audience(long, Vec::new()), Some("user_id_max_bytes exceeded: used 4, allowed 3"));
        assert_eq!(NAMES.target(types::Target::Socket("nobody's".into())).unwrap(), None);
    }
}
