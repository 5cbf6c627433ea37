//! `hubbub socket|user|room`: who is connected, and how somebody is sent away.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure, Outcome, Remote,
    client::{Call, Client, segment},
    table::{cell, table},
};

/// How much of a list is wanted.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct Pages {
    /// How many at most [default: 100, or fewer if admin.page_max of the node allows fewer]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// All of them, however many they are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SocketCommand {
    /// Sockets: one client in one namespace each
    List {
        #[arg(long, value_name = "NS")]
        namespace: Option<String>,
        #[arg(long, value_name = "ROOM")]
        room: Option<String>,
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send a socket away, or all of a user
    Kick {
        /// The socket's id
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,

        /// All sockets of this user
        #[arg(long, value_name = "USER")]
        user: Option<String>,

        /// Only there
        #[arg(long, value_name = "NS", requires = "user")]
        namespace: Option<String>,

        /// What plugins are told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,

        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Users, as identity plugins named them
    List(GroupArgs),
    /// Send all sockets of a user away
    Kick {
        /// The user's id
        user: String,
        #[command(flatten)]
        kick: KickArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RoomCommand {
    /// Rooms that have members
    List(GroupArgs),
    /// Send all sockets in a room away
    Kick {
        /// The room's name
        name: String,
        #[command(flatten)]
        kick: KickArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GroupArgs {
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct KickArgs {
    /// Only there
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,

    /// What plugins are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    remote: Remote,
}

/// Runs `hubbub socket`.
pub(in crate::cli) fn run(command: SocketCommand) -> Outcome {
    match command {
        SocketCommand::List { namespace, room, user, pages, remote } => {
            let call = || {
                let call = Call::get("/v1/sockets").with("namespace", namespace.clone());
                call.with("room", room.clone()).with("user", user.clone())
            };
            let answer = pages.read(&remote.client()?, call)?;
            remote.show(&answer, |answer| {
                let row = |socket: &Value| {
                    let state = if socket["connected"] == true { "connected" } else { "suspended" };
                    let mut cells: Vec<String> =
                        ["id", "namespace", "user", "address"].iter().map(|key| cell(&socket[*key])).collect();
                    cells.extend([state.to_owned(), cell(&socket["rooms"])]);
                    cells
                };
                listed(answer, &["id", "namespace", "user", "address", "state", "rooms"], row)
            });
        }
        SocketCommand::Kick { id, user, namespace, reason, remote } => {
            let (kind, name) = match user {
                Some(user) => ("users", user),
                None => ("sockets", id.unwrap_or_default()),
            };
            kick(kind, &name, KickArgs { namespace, reason, remote })?;
        }
    }
    Ok(())
}

/// Runs `hubbub user`.
pub(in crate::cli) fn run_user(command: UserCommand) -> Outcome {
    match command {
        UserCommand::List(args) => groups(&args, "/v1/users", "user"),
        UserCommand::Kick { user, kick: args } => kick("users", &user, args),
    }
}

/// Runs `hubbub room`.
pub(in crate::cli) fn run_room(command: RoomCommand) -> Outcome {
    match command {
        RoomCommand::List(args) => groups(&args, "/v1/rooms", "room"),
        RoomCommand::Kick { name, kick: args } => kick("rooms", &name, args),
    }
}

/// Sends away one of the `kind` of things that the API has: sockets, users, rooms.
fn kick(kind: &str, name: &str, args: KickArgs) -> Outcome {
    let KickArgs { namespace, reason, remote } = args;
    let reason = json!({ "reason": reason });
    let call = Call::new("POST", format!("/v1/{kind}/{}/kick", segment(name))).with("namespace", namespace);
    let answer = remote.client()?.call(call.json(&reason))?;
    remote.show(&answer, |answer| match answer["sockets"].as_u64() {
        Some(1) => "1 socket was sent away".into(),
        _ => format!("{} sockets were sent away", answer["sockets"]),
    });
    Ok(())
}

fn groups(args: &GroupArgs, path: &'static str, what: &str) -> Outcome {
    let GroupArgs { namespace, pages, remote } = args;
    let answer = pages.read(&remote.client()?, || Call::get(path).with("namespace", namespace.clone()))?;
    remote.show(&answer, |answer| {
        let row = |group: &Value| ["namespace", "name", "sockets"].iter().map(|key| cell(&group[*key])).collect();
        listed(answer, &["namespace", what, "sockets"], row)
    });
    Ok(())
}

fn listed(answer: &Value, headings: &[&str], row: impl Fn(&Value) -> Vec<String>) -> String {
    let rows: Vec<Vec<String>> = answer["items"].as_array().into_iter().flatten().map(row).collect();
    let shown = rows.len();
    let mut text = table(headings, &rows);
    if answer["next"].is_null() {
        text.push_str(&format!("{shown} in all\n"));
    } else {
        text.push_str(&format!("{shown} of {}: --all shows all\n", answer["total"]));
    }
    text
}

impl Pages {
    /// The pages that are wanted, as one.
    fn read<'a>(&self, client: &Client, call: impl Fn() -> Call<'a>) -> Result<Value, Failure> {
        let mut all = client.call(call().with("limit", self.limit))?;
        while let (true, Some(next)) = (self.all, all["next"].as_str().map(str::to_owned)) {
            let mut page = client.call(call().with("after", Some(next)))?;
            if let (Some(items), Some(more)) = (all["items"].as_array_mut(), page["items"].as_array_mut()) {
                items.append(more);
            }
            all["next"] = page["next"].take();
            all["total"] = page["total"].take();
        }
        Ok(all)
    }
}
