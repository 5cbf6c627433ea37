//! What an operator sees of this node's sockets, rooms and users: in pages, so that looking never holds delivery up for long.

use std::{collections::BinaryHeap, sync::Arc};

use super::{Delivery, Namespace, table::Member};
use crate::{
    event::{Audience, SocketId, Text},
    gateway::socketio::Socket,
};

/// Rooms of a socket that its row shows.
const ROOMS_SHOWN_MAX: usize = 100;

/// Which sockets are meant: those for whom all of it is true.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub namespace: Option<Text>,
    pub room: Option<Text>,
    pub user: Option<Text>,
}

/// A socket as an operator sees it.
#[derive(Clone, Debug)]
pub struct SocketRow {
    pub id: SocketId,
    pub namespace: Text,
    pub user: Option<Text>,
    /// Its client's address.
    pub address: Option<Text>,
    /// Some of its rooms, in the order of joining.
    pub rooms: Vec<Text>,
    /// How many rooms it is in.
    pub rooms_total: usize,
    /// False: suspended, its client may still come back.
    pub is_connected: bool,
}

/// A room or a user in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub namespace: Text,
    pub name: Text,
    pub sockets: usize,
}

/// Which groups a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    Rooms,
    Users,
}

/// Some of many, in their order.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// How many there are on all pages, at this moment.
    pub total: usize,
    /// Whether there are more behind the last item.
    pub is_cut: bool,
}

/// How many there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub namespaces: usize,
    pub sockets: usize,
    pub rooms: usize,
    pub users: usize,
}

/// The least of many things, at most so many of them.
struct Least<T> {
    heap: BinaryHeap<T>,
    max: usize,
}

impl<T: Ord> Least<T> {
    fn new(max: usize) -> Self {
        Self { heap: BinaryHeap::new(), max }
    }

    fn add(&mut self, item: T) {
        if self.heap.len() < self.max {
            self.heap.push(item);
        } else if self.heap.peek().is_some_and(|greatest| item < *greatest) {
            self.heap.pop();
            self.heap.push(item);
        }
    }

    fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec()
    }
}

impl SocketRow {
    fn new(member: &Member) -> Self {
        let subject = &member.socket.subject;
        let mut rooms = member.rooms();
        let rooms_total = rooms.len();
        rooms.truncate(ROOMS_SHOWN_MAX);
        Self {
            id: subject.id,
            namespace: subject.namespace.clone(),
            user: member.user().cloned(),
            address: subject.address.clone(),
            rooms,
            rooms_total,
            is_connected: member.socket.connection().closed().is_none(),
        }
    }
}

impl Delivery {
    /// How many sockets, rooms and users there are. A user in two namespaces counts twice.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, namespace) in self.namespaces_of(None) {
            let table = namespace.table.read();
            counts.namespaces += 1;
            counts.sockets += table.len();
            counts.rooms += table.groups_len(Grouping::Rooms);
            counts.users += table.groups_len(Grouping::Users);
        }
        counts
    }

    /// The names of the namespaces that have sockets, in order.
    pub fn namespaces(&self) -> Vec<Text> {
        self.namespaces_of(None).into_iter().map(|(name, _)| name).collect()
    }

    /// Up to `limit` sockets behind `after`, by their ids.
    pub fn list_sockets(&self, filter: &Filter, after: Option<SocketId>, limit: usize) -> Page<SocketRow> {
        let namespaces = self.namespaces_of(filter.namespace.as_deref());
        let mut least = Least::new(limit.saturating_add(1));
        let mut total = 0;
        for (at, (_, namespace)) in namespaces.iter().enumerate() {
            namespace.table.read().matching(filter.room.as_deref(), filter.user.as_deref(), |member| {
                total += 1;
                if after.is_none_or(|after| member.socket.id() > after) {
                    least.add((member.socket.id(), at));
                }
            });
        }
        let mut found = least.into_sorted();
        let is_cut = found.len() > limit;
        found.truncate(limit);
        // who has left since is left out
        let row = |(id, at): (SocketId, usize)| namespaces[at].1.table.read().socket(id).map(|m| SocketRow::new(&m));
        Page { items: found.into_iter().filter_map(row).collect(), total, is_cut }
    }

    /// Up to `limit` rooms or users behind `after`, by namespace and name.
    pub fn list_groups(
        &self,
        grouping: Grouping,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Page<Group> {
        let mut page = Page { items: Vec::new(), total: 0, is_cut: false };
        for (name, namespace) in self.namespaces_of(namespace) {
            let table = namespace.table.read();
            page.total += table.groups_len(grouping);
            if page.is_cut || after.is_some_and(|(last, _)| *name < *last) {
                continue;
            }
            let after = after.filter(|(last, _)| *name == **last).map(|(_, group)| group);
            let mut least = Least::new((limit - page.items.len()).saturating_add(1));
            table.each_group(grouping, |group, sockets| {
                if after.is_none_or(|after| **group > *after) {
                    least.add((group.clone(), sockets));
                }
            });
            let groups = least.into_sorted().into_iter();
            page.items.extend(groups.map(|(group, sockets)| Group { namespace: name.clone(), name: group, sockets }));
            page.is_cut = page.items.len() > limit;
            page.items.truncate(limit);
        }
        page
    }

    /// The socket with this id, in whichever namespace.
    pub fn find_socket(&self, id: SocketId) -> Option<Arc<Socket>> {
        let namespaces = self.namespaces_of(None).into_iter();
        namespaces.map(|(_, namespace)| namespace).find_map(|n| Some(n.table.read().socket(id)?.socket.clone()))
    }

    /// All sockets that fit.
    pub fn find_sockets(&self, filter: &Filter) -> Vec<Arc<Socket>> {
        let mut found = Vec::new();
        for (_, namespace) in self.namespaces_of(filter.namespace.as_deref()) {
            let table = namespace.table.read();
            table.matching(filter.room.as_deref(), filter.user.as_deref(), |member| found.push(member.socket.clone()));
        }
        found
    }

    /// The sockets that an emit would reach now, and of those that have a connection at most `max + 1`.
    pub fn reached(&self, namespace: &str, audience: &Audience, max: usize) -> (usize, Vec<SocketId>) {
        let (mut count, mut connected) = (0, Vec::new());
        for (_, namespace) in self.namespaces_of(Some(namespace)) {
            namespace.table.read().each(audience, None, |member| {
                count += 1;
                if connected.len() <= max && member.socket.connection().closed().is_none() {
                    connected.push(member.socket.id());
                }
            });
        }
        (count, connected)
    }

    /// One namespace or all, by their names. Their tables are not locked.
    fn namespaces_of(&self, name: Option<&str>) -> Vec<(Text, Arc<Namespace>)> {
        let namespaces = self.namespaces.read();
        let some = |(name, namespace): (&Text, &Arc<Namespace>)| (name.clone(), namespace.clone());
        match name {
            Some(name) => namespaces.get_key_value(name).map(some).into_iter().collect(),
            None => {
                let mut all: Vec<_> = namespaces.iter().map(some).collect();
                drop(namespaces);
                all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_come_out_in_order() {
        let mut least = Least::new(3);
        [5, 1, 4, 2, 9, 3].into_iter().for_each(|n| least.add(n));
        assert_eq!(least.into_sorted(), [1, 2, 3]);
        let mut none = Least::new(0);
        none.add(1);
        assert_eq!(none.into_sorted(), [0i32; 0]);
    }
}
