//! Judges what people say: words in disguise, links, shouting, repeating, flooding.
//!
//! The engine is pure: [`Engine::new`] compiles a [`Config`], [`Engine::judge`] says of a [`Message`] which rules it
//! breaks, where, and what is to be done. Nothing is kept between messages; who counts messages hands the numbers in
//! ([`Counts`]). The plugin around it counts, does what the verdict says, and keeps what moderators decide:
//! `PROTOCOL.md` says what they send, and what people get.
//!
//! How a word is found in disguise: `normalise` reads the text as letters, each with what else it may stand for
//! (`1`: i or l). A search walks the words' tree along these letters, through gaps and repetitions, and the evidence
//! decides whether that is the word or an innocent text that merely can be read so: `s.p.a.m` is, `push it` is not.
//! How well it does so is measured on `corpus/` by `tests/corpus.rs`. Cases marked `heldout` were written after the
//! engine had been tuned on the others.

mod body;
mod config;
mod desk;
mod engine;
mod evidence;
mod flow;
mod glyphs;
mod links;
mod normalise;
mod plugin;
mod search;
mod trie;
mod verdict;
mod words;

pub use config::{
    CapsRule, Config, ConfigError, DeskConfig, FloodRule, LinkRule, MentionRule, Mode, RegexRule, RepeatRule, WordRule,
};
pub use engine::{Engine, Message};
pub use flow::{Counts, fingerprint};
pub use verdict::{Action, Finding, Reason, Verdict};
