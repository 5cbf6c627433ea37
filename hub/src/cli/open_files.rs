//! How many files this process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises it to the most that the system lets this process have. Gives what is allowed then; `None`: any number.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        // some systems name a maximum that they do not grant
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_as_far_as_it_goes() {
        let allowed = raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!((allowed, current), (maximum, maximum));
    }
}
