//! Signatures that count and that do not; files of the minisign tool, and files for it.

use super::{
    SIGNATURE_MAX_BYTES, SignatureError, TrustedKey, TrustedKeys, key_of,
    making::{MakingError, NewKey, Password, SecretKeyFile, SigningKey},
    path_of,
};

/// A key pair and signatures of [`SIGNED`] that minisign 0.11 has made. It is trusted nowhere.
const PUBLIC: &str = "RWSEgAqG8oEBrRzKfEjQZyhsZcwqfIm/2RHx3BvdSbTX2sVankFeJQrg";
const SECRET: &str = "untrusted comment: minisign encrypted secret key\n\
    RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAhIAKhvKBAa2XfsYDz3siHtfAg7jeyLrW7cYAmGLCgNOo3a/G\
    ZzStNxzKfEjQZyhsZcwqfIm/2RHx3BvdSbTX2sVankFeJQrgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
const SIGNED: &[u8] = b"word-filter";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
    RUSEgAqG8oEBrROQo2S04+2NjBln3zUYjJ1sqUcOOsMWb3WLv9xNR6HMN3pxi+8yb8DQu9PH9MQUXtXOtVYHS87BK4y2d4pguws=\n\
    trusted comment: made by minisign 0.11\n\
    ENWNSKdBa89qBFrZmWXuwycS2fnggEijJ7aZmHqjsIInzOQJCBDbVSAzOanAkdrTeLKXfsib16N19IBMZx2ECw==\n";
/// The same by `minisign -l`.
const LEGACY: &str = "untrusted comment: signature from minisign secret key\n\
    RWSEgAqG8oEBrUAShRe0XBlu4TKawvFjuY2v05fXuXw615zschcJrVSBhn+Ls9j8+u4eVRglkiYd5zmZwRnp6F9k/223Wzm14AM=\n\
    trusted comment: timestamp:1795270283\tfile:sample.bin\n\
    gvPbvPp3SNjwiqPp6SGiT+kKWXed08GUED5GrfxIDJAqjGk4ETPDeErGRSUv4OGUzNOXT/Fmm28iaKiH6+WdAg==\n";
/// A secret key of minisign 0.11 with a password.
const WITH_PASSWORD: &str = "untrusted comment: minisign encrypted secret key\n\
    RWRTY0Iy3I/ZrIvVfpx/Z5noq2EDtkTYouglkNGJ7xJPWk8DyXwAAAACAAAAAAAAAEAAAAAAHscRSXZN6ed5tmms6DayDcwQHrFCa8bvqHKIND4gcrG4k1j+\
    FH0lmDgDtRe3TGPwj0w3OXnRSufxCBtQ1Nh2XDAUk60MEqnhfnTPV69RY4DMG2u0u9X5J4tTA+CZmw5I4U14krsc5ro=\n";

fn trusting(keys: &[&str]) -> TrustedKeys {
    TrustedKeys::new(keys.iter().map(|key| TrustedKey::parse(key).unwrap()).collect())
}

#[track_caller]
fn check(signature: Option<&str>, expected: &str) {
    let refused = trusting(&[PUBLIC]).check(SIGNED, signature).expect_err("it does not count");
    assert_eq!(refused.to_string(), expected);
}

fn new_key() -> NewKey {
    NewKey::make(Password::None).unwrap()
}

fn open(secret: &str) -> SigningKey {
    SecretKeyFile::parse(secret.into()).unwrap().open(Password::None).unwrap()
}

#[test]
fn what_minisign_has_signed_counts() {
    let keys = trusting(&[&new_key().public, PUBLIC]);
    assert_eq!(keys.check(SIGNED, Some(SIGNATURE)), Ok(()));
    assert_eq!(keys.check(SIGNED, Some(&SIGNATURE.replace('\n', "\r\n"))), Ok(()), "however lines end");
    assert_eq!(key_of(SIGNATURE).unwrap().to_string(), "AD0181F2860A8084");
}

#[test]
fn without_trusted_keys_no_signature_is_asked_for() {
    let keys = TrustedKeys::default();
    assert!(!keys.demanded());
    for signature in [None, Some(SIGNATURE), Some("nonsense")] {
        assert_eq!(keys.check(b"anything", signature), Ok(()));
    }
}

#[test]
fn what_does_not_count_says_why() {
    check(
        None,
        "not signed, and this hub loads only what one of its trusted keys has signed (key AD0181F2860A8084): sign it \
         with `hubbub plugin sign FILE --key KEYFILE`",
    );
    check(
        Some(LEGACY),
        "signed by key AD0181F2860A8084 in minisign's legacy format: sign it again, without `-l`, with a minisign of \
         today or `hubbub plugin sign`",
    );
    let foreign = new_key();
    let signature = open(&foreign.secret_file).sign(SIGNED, "").unwrap();
    check(
        Some(&signature),
        &format!(
            "signed by key {}, which this hub does not trust (it trusts key AD0181F2860A8084): add its public key to \
             signatures.trusted_keys if you do",
            foreign.id
        ),
    );
}

#[test]
fn what_was_altered_by_one_bit_or_letter_does_not_count() {
    let keys = trusting(&[PUBLIC]);
    let altered = "the file is not what key AD0181F2860A8084 has signed: file or signature were altered; build and sign \
                   it again";
    for at in 0..SIGNED.len() {
        let mut bytes = SIGNED.to_vec();
        bytes[at] ^= 1;
        assert_eq!(keys.check(&bytes, Some(SIGNATURE)).unwrap_err().to_string(), altered);
    }
    check(Some(&SIGNATURE.replace("made by", "made in")), altered);
    // the first line is nobody's word
    assert_eq!(keys.check(SIGNED, Some(&SIGNATURE.replace("from minisign", "from nobody"))), Ok(()));
    let counted = SIGNATURE.find('\n').unwrap() + 1;
    for (at, letter) in SIGNATURE.char_indices().filter(|(at, c)| *at >= counted && c.is_alphanumeric()) {
        let other = if letter == 'A' { "B" } else { "A" };
        let text = format!("{}{other}{}", &SIGNATURE[..at], &SIGNATURE[at + 1..]);
        assert!(keys.check(SIGNED, Some(&text)).is_err(), "{text}");
    }
}

#[test]
fn a_signature_that_is_none_is_damaged() {
    let check_damaged = |text: &str| {
        let refused = trusting(&[PUBLIC]).check(SIGNED, Some(text)).unwrap_err();
        assert!(matches!(refused, SignatureError::Damaged { .. }), "{text:.60}: {refused}");
    };
    check_damaged("");
    check_damaged(PUBLIC);
    check_damaged(SECRET);
    for lines in 0..4 {
        check_damaged(&SIGNATURE.lines().take(lines).collect::<Vec<_>>().join("\n"));
    }
    check_damaged(&SIGNATURE.replace("RUSE", "RXSE"));
    check_damaged(&SIGNATURE.replace("trusted comment", "comment"));
    check(
        Some(&format!("{SIGNATURE}{}", " ".repeat(SIGNATURE_MAX_BYTES))),
        &format!(
            "the signature is damaged: it has {} bytes, allowed are 16384; sign the file again",
            SIGNATURE.len() + SIGNATURE_MAX_BYTES
        ),
    );
}

#[test]
fn two_keys_of_one_id_are_both_tried() {
    let mut bytes = base64::Engine::decode(&super::STANDARD, PUBLIC).unwrap();
    bytes[20] ^= 1;
    let other = base64::Engine::encode(&super::STANDARD, &bytes);
    assert_eq!(trusting(&[&other, PUBLIC]).check(SIGNED, Some(SIGNATURE)), Ok(()));
    assert!(trusting(&[&other]).check(SIGNED, Some(SIGNATURE)).is_err());
}

#[test]
fn keys_that_are_none_say_what_would_be_right() {
    let check = |text: &str, expected: &str| {
        let error = TrustedKey::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(text.len() < 50 || !error.contains(text), "it repeats what may be a secret: {error}");
    };
    let secret = SECRET.lines().nth(1).unwrap();
    check(secret, "found a SECRET one: take it out of here");
    check("keys/release.pub", "found the name of a file");
    for text in ["", "RW", &PUBLIC[1..], &format!(" {PUBLIC}"), &PUBLIC.replace("RW", "AA")] {
        check(text, "the second line of a .pub file");
    }
}

#[test]
fn a_new_key_signs_with_and_without_a_password() {
    let password = || Password::Known("correct horse".into());
    for made in [new_key(), NewKey::make(password()).unwrap()] {
        let keys = trusting(&[&made.public]);
        assert_eq!(made.public_file.lines().nth(1), Some(&*made.public));
        assert_eq!(keys.iter().next().map(TrustedKey::id), Some(made.id));
        let file = SecretKeyFile::parse(made.secret_file).unwrap();
        let key = file.open(password()).unwrap();
        assert_eq!(key.id(), made.id);
        let signature = key.sign(b"bytes", "timestamp:1\tfile:a.wasm").unwrap();
        assert_eq!(keys.check(b"bytes", Some(&signature)), Ok(()));
        assert_eq!(key_of(&signature), Ok(made.id));
        assert_eq!(signature.lines().nth(2), Some("trusted comment: timestamp:1\tfile:a.wasm"));
        if file.has_password() {
            let wrong = file.open(Password::Known("wrong horse".into())).err();
            assert!(matches!(wrong, Some(MakingError::WrongPassword)), "{wrong:?}");
            assert!(matches!(file.open(Password::None).err(), Some(MakingError::Unread(_))));
        }
    }
}

#[test]
fn a_secret_key_of_minisign_signs_for_its_public_one() {
    let file = SecretKeyFile::parse(SECRET.into()).unwrap();
    assert!(!file.has_password());
    let signature = open(SECRET).sign(b"other", "here").unwrap();
    assert_eq!(trusting(&[PUBLIC]).check(b"other", Some(&signature)), Ok(()));
    assert!(SecretKeyFile::parse(WITH_PASSWORD.into()).unwrap().has_password());
}

#[test]
fn a_damaged_secret_key_signs_nothing() {
    let parse = |text: &str| SecretKeyFile::parse(text.into()).err().expect("no key").to_string();
    assert_eq!(parse(&format!("comment\n{PUBLIC}\n")), "expected a secret key, found a public one");
    let expected = "expected a secret key, as `hubbub plugin keygen` or `minisign -G` writes it";
    for text in ["", "one line", "comment\nnonsense!\n", SIGNATURE] {
        assert_eq!(parse(text), expected);
    }
    let damage = |text: &str| {
        let damaged = SecretKeyFile::parse(text.into()).unwrap().open(Password::None);
        let damaged = damaged.and_then(|key| key.sign(b"bytes", "")).err();
        assert!(matches!(damaged, Some(MakingError::Damaged)), "{damaged:?}");
    };
    // with an empty checksum, as minisign writes it, and with one
    damage(&SECRET.replace("KBAa2X", "KBAa2Y"));
    let own = new_key().secret_file;
    let line = own.lines().nth(1).unwrap();
    let other = if line.as_bytes()[90] == b'A' { "B" } else { "A" };
    damage(&format!("comment\n{}{other}{}\n", &line[..90], &line[91..]));
}

#[test]
fn a_signature_stands_beside_its_file() {
    let path = |file: &str| path_of(file.as_ref()).to_string_lossy().into_owned();
    assert_eq!(path("plugins/word_filter.wasm"), "plugins/word_filter.wasm.minisig");
    assert_eq!(path("noextension"), "noextension.minisig");
}
