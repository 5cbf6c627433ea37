//! What the author sees.

/// A line of the screen: what it is about, and what there is to say.
pub fn line(about: &str, text: &str) -> String {
    format!("{about:<11} {text}")
}
