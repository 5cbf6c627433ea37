//! What messages ask the probe for.

use hubbub_plugin::{Event, prelude::*};

/// A target as JSON says it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    Sender,
    EventRoom,
    Everyone,
    Room(String),
    Socket(String),
    User(String),
}

impl From<Reach> for Target {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Sender => Target::Sender,
            Reach::EventRoom => Target::EventRoom,
            Reach::Everyone => Target::Everyone,
            Reach::Room(room) => Target::Room(room),
            Reach::Socket(id) => Target::Socket(id),
            Reach::User(user) => Target::User(user),
        }
    }
}

impl From<Target> for Reach {
    fn from(target: Target) -> Self {
        match target {
            Target::Sender => Reach::Sender,
            Target::EventRoom => Reach::EventRoom,
            Target::Everyone => Reach::Everyone,
            Target::Room(room) => Reach::Room(room),
            Target::Socket(id) => Reach::Socket(id),
            Target::User(user) => Reach::User(user),
        }
    }
}

pub(crate) fn to(reaches: Vec<Reach>, except: Vec<String>) -> To {
    let to = reaches.into_iter().fold(To::default(), |to, reach| to.and(Target::from(reach).into()));
    except.into_iter().fold(to, To::except)
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    pub header: String,
    pub query: String,
}

#[derive(Deserialize)]
pub(crate) struct Rooms {
    pub room: String,
    #[serde(default = "ten")]
    pub limit: u32,
}

fn ten() -> u32 {
    10
}

#[derive(Deserialize)]
pub(crate) struct Emit {
    pub to: Vec<Reach>,
    #[serde(default)]
    pub except: Vec<String>,
    pub name: String,
    #[serde(default)]
    pub args: Vec<Value>,
    #[serde(default)]
    pub volatile: bool,
}

#[derive(Deserialize)]
pub(crate) struct Raise {
    pub name: String,
    #[serde(default)]
    pub args: Vec<Value>,
    pub to: Option<Vec<Reach>>,
}

/// A room, a reason, or both.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct Membership {
    pub room: String,
    pub reason: String,
}

#[derive(Deserialize)]
pub(crate) struct Change {
    pub name: Option<String>,
    pub args: Option<Vec<Value>>,
    pub to: Option<Vec<Reach>>,
}

#[derive(Deserialize)]
pub(crate) struct Ask {
    pub socket: Option<String>,
    pub name: String,
    #[serde(default)]
    pub args: Vec<Value>,
    pub timeout_ms: u64,
    pub tag: String,
}

#[derive(Deserialize)]
pub(crate) struct Order {
    pub of: Reach,
    pub act: OrderAct,
    #[serde(flatten)]
    pub membership: Membership,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderAct {
    Join,
    Leave,
    Disconnect,
}

#[derive(Deserialize)]
pub(crate) struct Reject {
    code: String,
    message: String,
    data: Option<Value>,
    notice: Option<String>,
}

impl Reject {
    /// Emits the notice, if any, and rejects.
    pub(crate) fn perform(self, event: &Event) -> Outcome {
        if let Some(notice) = &self.notice {
            event.emit(To::everyone(), notice, &self.code)?;
        }
        let no = reject(self.code, self.message);
        Err(match self.data {
            Some(data) => no.data(&data),
            None => no,
        }
        .into())
    }
}

#[derive(Deserialize)]
pub(crate) struct Log {
    pub level: String,
    pub text: String,
}
