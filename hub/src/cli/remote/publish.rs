//! `hubbub publish`: an event for a room, a user, a socket, or everyone.

use serde_json::{Value, json};

use super::{
    Failure, Outcome, Remote,
    client::Call,
    plugin::wait,
    table::{cell, table},
};

/// Send an event to clients, through the chain.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("to").required(true)))]
pub(in crate::cli) struct PublishArgs {
    /// The name of the event
    event: String,

    /// Its arguments, each of them JSON, or else text
    args: Vec<String>,

    #[arg(long, value_name = "NS", default_value = "/")]
    namespace: String,

    /// To the members of this room
    #[arg(long, value_name = "ROOM", group = "to")]
    room: Option<String>,

    /// To all sockets of this user
    #[arg(long, value_name = "USER", group = "to")]
    user: Option<String>,

    /// To this socket
    #[arg(long, value_name = "ID", group = "to")]
    socket: Option<String>,

    /// To all sockets of the namespace
    #[arg(long, group = "to")]
    everyone: bool,

    /// Wait so long for the clients' acks, and print them
    #[arg(long, value_name = "MS", num_args = 0..=1, default_missing_value = "5000")]
    ask: Option<u64>,

    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(in crate::cli) fn run(args: PublishArgs) -> Outcome {
    let PublishArgs { event, args, namespace, room, user, socket, everyone, ask, remote } = args;
    let to = match (room, user, socket, everyone) {
        (Some(room), ..) => json!({ "room": room }),
        (_, Some(user), ..) => json!({ "user": user }),
        (_, _, Some(socket), _) => json!({ "socket": socket }),
        (.., true) => json!({ "everyone": true }),
        _ => return Err(Failure::Usage("to whom? say --room, --user, --socket or --everyone".into())),
    };
    let args: Vec<Value> = args.iter().map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text))).collect();
    let mut body = json!({ "namespace": namespace, "to": to, "event": event, "args": args });
    if let Some(timeout_ms) = ask {
        body["ask"] = json!({ "timeout_ms": timeout_ms });
    }
    let client = remote.client()?;
    let call = Call::new("POST", "/v1/publish").json(&body);
    let answer = match ask {
        Some(_) => wait("waiting for acks", || client.call(call))?,
        None => client.call(call)?,
    };
    remote.show(&answer, |answer| {
        let mut text = match answer["sockets"].as_u64() {
            Some(1) => "on its way to 1 socket\n".into(),
            _ => format!("on its way to {} sockets\n", answer["sockets"]),
        };
        let row = |one: &Value| vec![cell(&one["socket"]), cell(&one["outcome"]), one["args"].to_string()];
        let rows: Vec<Vec<String>> = answer["answers"].as_array().into_iter().flatten().map(row).collect();
        if !rows.is_empty() {
            text.push_str(&table(&["socket", "outcome", "answer"], &rows));
        }
        text
    });
    Ok(())
}
