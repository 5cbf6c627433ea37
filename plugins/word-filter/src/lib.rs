//! Masks words that an operator does not want, or rejects the messages that hold them.
//!
//! It looks at every message that reaches it, wherever it stands in the chain, and there at the texts in the fields
//! that the config names; all else in a message stays byte for byte. Words match whole and in any case: `darn` finds
//! `DARN!`, not `darning`. Spellings of one letter are not brought together (`é` as one character and as two).
//!
//! Config: `words` (required: letters, digits, `_`), `mode` (`"mask"`, one `*` for each character, or `"reject"`;
//! default `"mask"`), `fields` (default `["text"]`: fields of any argument, `"body.text"` for a field in a field).
//! Rejection: `word_not_allowed`.

mod texts;
mod words;

use hubbub_plugin::{
    prelude::*,
    serde_json::{self, value::RawValue},
};

use words::Words;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordFilter {
    words: Words,
    #[serde(default)]
    mode: Mode,
    #[serde(default = "default_fields")]
    fields: Vec<String>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Mask,
    Reject,
}

fn default_fields() -> Vec<String> {
    vec!["text".into()]
}

impl Plugin for WordFilter {
    fn check(&self) -> Result<(), String> {
        if self.fields.is_empty() {
            return Err("`fields`: must name at least one field".into());
        }
        match self.fields.iter().find(|field| field.split('.').any(str::is_empty)) {
            Some(field) => Err(format!("`fields`: `{field}` is no path of fields like `text` or `body.text`")),
            None => Ok(()),
        }
    }
}

impl OnMessage for WordFilter {
    fn on_message(&self, event: &MessageEvent) -> Outcome {
        let json = event.args_json();
        // most messages hold none of the words anywhere; an escape may hide one
        if !json.contains('\\') && !self.words.occur_in(&json) {
            return Ok(Pass);
        }
        let Some(masked) = self.mask(&json)? else { return Ok(Pass) };
        if self.mode == Mode::Reject {
            return Err(reject("word_not_allowed", "the message has a word that is not allowed here").into());
        }
        let attachments = event.raw_args().attachments().to_vec();
        event.set_args(Args::raw(masked, attachments))?;
        Ok(Pass)
    }
}

impl WordFilter {
    /// The arguments with all words masked; `None` when there is none.
    fn mask(&self, json: &str) -> Result<Option<String>, serde_json::Error> {
        let args: Vec<&RawValue> = serde_json::from_str(json)?;
        let mut masked = String::new();
        let mut done = 0;
        for text in texts::find(&args, &self.fields)? {
            let Some(clean) = self.words.mask(&text.decoded) else { continue };
            let at = text.raw.as_ptr() as usize - json.as_ptr() as usize;
            masked.push_str(&json[done..at]);
            masked.push_str(&serde_json::to_string(&clean)?);
            done = at + text.raw.len();
        }
        if done == 0 {
            return Ok(None);
        }
        masked.push_str(&json[done..]);
        Ok(Some(masked))
    }
}

hubbub_plugin::export!(WordFilter: OnMessage);

#[cfg(test)]
mod tests;
