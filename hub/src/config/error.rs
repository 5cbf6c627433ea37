//! What is wrong with a config, in words for who wrote it.

use std::fmt;

/// A config that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the config `{file}`")]
    Unreadable { file: String, source: std::io::Error },
    /// Everything that is wrong with the file.
    #[error("{}", lines(.0))]
    Wrong(Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// The key's path, and what would be right.
    pub text: String,
}

/// Where something wrong is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Lines and columns count from 1, columns in characters.
    File { file: String, line: usize, column: usize },
    /// The environment's, by its name.
    Variable(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { file, line, column } => write!(f, "{file}:{line}:{column}: {}", self.text),
            Place::Variable(name) => write!(f, "{name}: {}", self.text),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
