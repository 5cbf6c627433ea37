//! Parts of an event that are asked for by themselves: rooms, credentials, orders.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::{
    args::{BAD_REQUEST, at_path},
    event::Event,
    host,
    outcome::{Rejection, reject},
    target::Target,
};

/// Who is where, as the events handled so far left it.
#[derive(Debug)]
pub struct Rooms<'a>(PhantomData<&'a Event>);

impl<'a> Rooms<'a> {
    pub(crate) fn of(_event: &'a Event) -> Self {
        Self(PhantomData)
    }

    /// The rooms of the event's socket, in the order it joined them.
    pub fn mine(&self) -> Vec<String> {
        host::rooms_mine()
    }

    /// Whether the event's socket is in the room.
    pub fn contains(&self, room: &str) -> bool {
        host::rooms_contains(room)
    }

    /// How many sockets the room has.
    pub fn size(&self, room: &str) -> u32 {
        host::rooms_size(room)
    }

    /// The public ids of up to `limit` members.
    pub fn members(&self, room: &str, limit: u32) -> Vec<String> {
        host::rooms_members(room, limit)
    }
}

/// What the client sent at its handshake. A plugin that uses it needs the capability `credentials`.
#[derive(Debug)]
pub struct Credentials<'a>(PhantomData<&'a Event>);

impl<'a> Credentials<'a> {
    pub(crate) fn of(_event: &'a Event) -> Self {
        Self(PhantomData)
    }

    /// The auth payload as JSON text; `None` when the client sent none. Only in [`OnConnect`](crate::OnConnect).
    pub fn auth_json(&self) -> Option<String> {
        host::auth()
    }

    /// The auth payload. What does not fit is a rejection with the code `bad_request`; without a payload only an
    /// `Option` fits.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        let json = host::auth().unwrap_or_else(|| "null".into());
        let mut reader = serde_json::Deserializer::from_str(&json);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let fault = at_path(&error.path().to_string(), &error.inner().to_string());
            reject(BAD_REQUEST, format!("auth payload: {fault}"))
        })
    }

    /// The first value of a request header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        host::header(name)
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        host::query(name)
    }
}

/// Acts on other sockets. A plugin that uses it needs the capability `orders`.
///
/// An order becomes an event of its own on the node that holds the socket, after its cause has committed. Hooks that
/// run an order may emit, and fail when they give further orders.
#[derive(Debug)]
pub struct Orders<'a>(PhantomData<&'a Event>);

impl<'a> Orders<'a> {
    pub(crate) fn of(_event: &'a Event) -> Self {
        Self(PhantomData)
    }

    /// Every socket of the target joins a room.
    pub fn join(&self, of: Target, room: &str) {
        host::order_join(of, room);
    }

    /// Every socket of the target leaves a room.
    pub fn leave(&self, of: Target, room: &str, reason: &str) {
        host::order_leave(of, room, reason);
    }

    /// Every socket of the target leaves the namespace.
    pub fn disconnect(&self, of: Target, reason: &str) {
        host::order_disconnect(of, reason);
    }
}
