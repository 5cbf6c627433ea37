//! How many may be inside at once: in all, and of each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// A count with two limits.
pub(super) struct Admission {
    max: usize,
    /// Zero: no limit, and nothing is counted by address.
    per_address_max: usize,
    inside: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    refused: AtomicU64,
}

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    InAll,
    ForAddress,
}

/// One that is inside, until it is dropped.
pub(super) struct Ticket {
    admission: Arc<Admission>,
    /// Whom it counts for, when that is counted.
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            per_address_max,
            inside: AtomicUsize::new(0),
            addresses: Mutex::default(),
            refused: AtomicU64::new(0),
        })
    }

    /// Lets one in. Without an address it counts in all only.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Ticket, Full> {
        let admitted = self.try_admit(address);
        if admitted.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// How often somebody was not let in.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn try_admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Ticket, Full> {
        let has_room = |inside: usize| (inside < self.max).then_some(inside + 1);
        self.inside.fetch_update(Ordering::AcqRel, Ordering::Acquire, has_room).map_err(|_| Full::InAll)?;
        let mut ticket = Ticket { admission: self.clone(), address: None };
        if let Some(address) = address
            && self.per_address_max > 0
        {
            let mut addresses = self.addresses.lock();
            let count = addresses.entry(address).or_default();
            if *count >= self.per_address_max {
                drop(addresses);
                return Err(Full::ForAddress);
            }
            *count += 1;
            ticket.address = Some(address);
        }
        Ok(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.inside.fetch_sub(1, Ordering::AcqRel);
        if let Some(address) = self.address {
            let mut addresses = self.admission.addresses.lock();
            if let Some(count) = addresses.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const A: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    const B: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let admission = Admission::new(3, 2);
        let one = admission.admit(A).unwrap();
        let _two = admission.admit(A).unwrap();
        assert_eq!(admission.admit(A).err(), Some(Full::ForAddress));
        let _three = admission.admit(B).unwrap();
        assert_eq!(admission.admit(B).err(), Some(Full::InAll));
        drop(one);
        let _four = admission.admit(A).unwrap();
        assert_eq!(admission.admit(None).err(), Some(Full::InAll));
        assert_eq!(admission.refused(), 3);
    }

    #[test]
    fn addresses_are_forgotten_with_their_last_ticket() {
        let admission = Admission::new(10, 2);
        drop((admission.admit(A).unwrap(), admission.admit(B).unwrap()));
        assert!(admission.addresses.lock().is_empty());
    }
}
