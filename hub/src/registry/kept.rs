//! A revision as it is kept: its JSON beside the digest of that JSON, so that what was torn or altered is never half-read.

use super::{Digest, RegistryError, Revision};

const BEFORE_DIGEST: &str = "{\"sha256\":\"";
const BEFORE_REVISION: &str = "\",\"revision\":";
const END: &str = "}\n";

/// One line, `{"sha256":"…","revision":{…}}`: the digest is that of the inner object's bytes, just as they stand there.
pub(super) fn encode(revision: &Revision, max_bytes: usize) -> Result<Vec<u8>, RegistryError> {
    let json = serde_json::to_string(revision).expect("texts, numbers, lists and tables are JSON");
    let digest = Digest::of(json.as_bytes());
    let kept = format!("{BEFORE_DIGEST}{digest}{BEFORE_REVISION}{json}{END}").into_bytes();
    if kept.len() > max_bytes {
        let (used, allowed) = (kept.len() as u64, max_bytes as u64);
        return Err(RegistryError::Limit { limit: "revision_max_bytes", used, allowed, hint: "" });
    }
    Ok(kept)
}

/// The revision of this number; an error says what is wrong with what was kept as that.
pub(super) fn decode(number: u64, kept: &[u8]) -> Result<Revision, &'static str> {
    let json = inner(kept).ok_or("it is torn or altered: its content and its sha256 do not fit")?;
    let revision: Revision =
        serde_json::from_str(json).map_err(|_| "its form is unknown: a newer hubbub may have written it")?;
    if revision.number != number {
        return Err("it holds a revision of another number");
    }
    Ok(revision)
}

/// The JSON of the revision, if it is what its digest says.
fn inner(kept: &[u8]) -> Option<&str> {
    let text = str::from_utf8(kept).ok()?;
    let (digest, rest) = text.strip_prefix(BEFORE_DIGEST)?.split_once(BEFORE_REVISION)?;
    let json = rest.strip_suffix(END)?;
    (digest.parse() == Ok(Digest::of(json.as_bytes()))).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Placed;

    fn revision() -> Revision {
        let written = serde_json::json!({ "config": { "text": "ümlaut \" \n", "list": [1, null, 0.25] } });
        let placed = Placed {
            name: "a".into(),
            sha256: Digest::of(b"a"),
            version: "0.1.0".into(),
            written: written.as_object().unwrap().clone(),
        };
        Revision { number: 7, plugins: vec![placed], who: "ann".into(), why: "first".into(), when_ms: 1 }
    }

    fn kept() -> Vec<u8> {
        encode(&revision(), 10_000).unwrap()
    }

    #[test]
    fn what_is_kept_is_one_line_of_json_and_reads_as_it_was() {
        assert_eq!(decode(7, &kept()), Ok(revision()));
        let json: serde_json::Value = serde_json::from_slice(&kept()).unwrap();
        assert_eq!((&json["revision"]["number"], &json["revision"]["who"]), (&7.into(), &"ann".into()));
        assert_eq!(kept().iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn an_altered_byte_is_seen_wherever_it_is() {
        let kept = kept();
        for at in 0..kept.len() {
            for bit in [1, 0x20, 0x80] {
                let mut altered = kept.clone();
                altered[at] ^= bit;
                assert!(decode(7, &altered).is_err(), "byte {at}: {}", String::from_utf8_lossy(&altered));
            }
        }
    }

    #[test]
    fn what_is_torn_or_has_something_behind_it_is_seen() {
        let kept = kept();
        for length in 0..kept.len() {
            assert!(decode(7, &kept[..length]).is_err(), "the first {length} bytes");
        }
        assert!(decode(7, &[&kept[..], b"\n"].concat()).is_err());
        assert!(decode(7, &vec![0; kept.len()]).is_err(), "zeros, as some file systems leave them after a crash");
    }

    #[test]
    fn a_whole_revision_in_the_place_of_another_is_seen() {
        assert_eq!(decode(8, &kept()), Err("it holds a revision of another number"));
        let json = r#"{"number":7}"#;
        let foreign = format!("{BEFORE_DIGEST}{}{BEFORE_REVISION}{json}{END}", Digest::of(json.as_bytes()));
        assert!(decode(7, foreign.as_bytes()).unwrap_err().contains("newer hubbub"));
    }
}
