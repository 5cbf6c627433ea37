//! A wrong config is refused with the key and what would be right, and shows no secret.

use base64::engine::general_purpose::STANDARD;

use super::*;

const ES256: &str = include_str!("../../tests/data/es256.pem");
const P384: &str = include_str!("../../tests/data/p384.pem");
const EDDSA: &str = include_str!("../../tests/data/eddsa.pem");
const RSA_1024: &str = include_str!("../../tests/data/rs1024.pem");
const RSA_4096: &str = include_str!("../../tests/data/rs4096.pem");
const RS256: &str = include_str!("../../tests/data/rs256.pem");

fn fault(config: Value) -> String {
    hubbub_plugin::read_config::<AuthToken>(&config.to_string()).err().unwrap_or_default()
}

#[test]
fn wrong_keys_are_named_with_what_would_be_right() {
    let private = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----";
    let hs = |more: Value| {
        let mut key = json!({ "algorithm": "HS256" });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([key])
    };
    let public = |algorithm: &str, pem: &str| json!([{ "algorithm": algorithm, "public_key": pem }]);
    // an Ed25519 key of 16 bytes
    let short = [&[0x30, 26, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 17, 0][..], &[7; 16]].concat();
    let short = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(short));
    let ok = json!({ "algorithm": "HS256", "secret": SECRET });
    let named = json!({ "kid": "a", "algorithm": "HS256", "secret": SECRET });
    for (keys, text) in [
        (json!([]), "`keys`: 0 is not in 1..=64"),
        (hs(json!({})), "`keys[0].algorithm`: HS256 needs either `secret` (text) or `secret_base64`"),
        (hs(json!({ "secret": SECRET, "secret_base64": "" })), "`keys[0].algorithm`: HS256 needs either"),
        (hs(json!({ "secret": SECRET, "public_key": EDDSA })), "`keys[0].algorithm`: HS256 needs either"),
        (hs(json!({ "secret": "short" })), "`keys[0].secret`: HS256 needs at least 32 bytes, there are 5"),
        (hs(json!({ "secret": "x".repeat(31) })), "there are 31"),
        (hs(json!({ "secret_base64": "c2hvcnQ=" })), "`keys[0].secret_base64`: HS256 needs at least 32 bytes"),
        (hs(json!({ "secret_base64": "!!" })), "`keys[0].secret_base64`: must be standard base64 with padding"),
        (hs(json!({ "kid": "", "secret": SECRET })), "`keys[0].kid`: must not be empty"),
        (json!([{ "algorithm": "HS512", "secret": "x".repeat(63) }]), "HS512 needs at least 64 bytes"),
        (json!([{ "algorithm": "none" }]), "`keys[0].algorithm`: unknown variant `none`, expected one of `HS256`"),
        (json!([{ "algorithm": "ES256", "secret": SECRET }]), "`keys[0].algorithm`: ES256 needs `public_key`, a PEM"),
        (public("EdDSA", private), "`keys[0].public_key`: is a private key"),
        (public("ES256", P384), "`keys[0].public_key`: must be a PEM `BEGIN PUBLIC KEY` for ES256"),
        (public("ES256", EDDSA), "for ES256"),
        (public("RS256", EDDSA), "for RS256"),
        (public("EdDSA", RS256), "for EdDSA"),
        (public("EdDSA", "x"), "for EdDSA"),
        (public("EdDSA", &short), "for EdDSA"),
        (public("ES256", &ES256.replace("PUBLIC KEY", "CERTIFICATE")), "for ES256"),
        (public("RS256", RSA_1024), "`keys[0].public_key`: has 1024 bits, which is not in 2048..=3072"),
        (public("RS256", RSA_4096), "`keys[0].public_key`: has 4096 bits"),
        (json!([named, ok]), "`keys[1].kid`: is needed when there are several keys"),
        (json!([named, named]), "`keys[1].kid`: another key has it already"),
    ] {
        let fault = fault(json!({ "keys": keys }));
        assert!(fault.starts_with("config: `keys") && fault.contains(text), "{fault}\n{text}");
        assert!(!fault.contains(SECRET), "{fault}");
    }
}

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    assert_eq!(fault(json!({})), "config: missing field `keys`");
    for (more, text) in [
        (json!({ "leeway_s": 301 }), "`leeway_s`: 301 is not in 0..=300"),
        (json!({ "jwt_max_bytes": 1 }), "`jwt_max_bytes`: 1 is not in 64..=65536"),
        (json!({ "name_max_chars": 0 }), "`name_max_chars`: 0 is not in 1..=256"),
        (json!({ "lifetime_max_s": 0 }), "`lifetime_max_s`: must be at least 1"),
        (json!({ "issuer": "" }), "`issuer`: must not be empty"),
        (json!({ "claims": { "user": "" } }), "`claims.user`: must not be empty"),
        (json!({ "claims": { "id": "x" } }), "`claims.id`: unknown field `id`, expected one of `user`"),
        (json!({ "guests": {} }), "`guests`: missing field `allow`"),
        (json!({ "guests": { "allow": true, "prefix": "" } }), "`guests.prefix`: must have 1 to 236 bytes"),
        (json!({ "guests": { "allow": true, "roles": [""] } }), "`guests.roles`: a role must have 1 to 64 bytes"),
        (json!({ "guest": true }), "`guest`: unknown field `guest`, expected one of `keys`"),
    ] {
        let fault = fault(config(more));
        assert!(fault.starts_with(&format!("config: {text}")), "{fault}\n{text}");
    }
}

#[test]
fn a_secret_is_in_no_error() {
    let number = fault(json!({ "keys": [{ "algorithm": "HS256", "secret": 12_345 }] }));
    assert_eq!(number, "config: `keys[0].secret`: must be a text in quotes");
    let list = fault(json!({ "keys": [{ "algorithm": "HS256", "secret_base64": ["12345"] }] }));
    assert!(!list.contains("12345"), "{list}");
}
