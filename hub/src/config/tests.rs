//! Files and what is said of them.
