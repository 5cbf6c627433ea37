//! Who is let in, as whom, and what the others are told.

mod config;
mod guests;
mod refusals;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use hubbub_plugin::testing::{Handshake, TestHub};
use sha2::{Sha256, Sha384, Sha512};

use super::*;

/// Its 64 bytes are enough for every algorithm.
const SECRET: &str = "a secret of sixty-four bytes: none of them is in any other place";
/// Seconds since the epoch at which the test kit's clock begins.
const NOW_S: i64 = 1_700_000_000;

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn hs256(secret: &str, signed: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

/// A token with this header, signed with HS256 whatever the header says.
fn signed_as(header: &Value, claims: &Value, secret: &str) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(hs256(secret, &signed));
    format!("{signed}.{signature}")
}

fn token(claims: Value) -> String {
    signed_as(&json!({ "alg": "HS256" }), &claims, SECRET)
}

/// Claims that are enough, and these beside or in place of them; `null` takes one away.
fn claims(more: Value) -> Value {
    let mut claims = json!({ "sub": "ann", "exp": NOW_S + 600 });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn config(more: Value) -> Value {
    let mut config = json!({ "keys": [{ "algorithm": "HS256", "secret": SECRET }] });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn hub(more: Value) -> TestHub {
    TestHub::new().plugin::<AuthToken>(config(more))
}

fn with_token(token: &str) -> Handshake {
    Handshake::new().auth(json!({ "token": token }))
}

/// Who the client is told to be.
#[track_caller]
fn identity(hub: &TestHub, handshake: Handshake) -> Value {
    let mut inbox = hub.connect_with(handshake).inbox();
    assert_eq!((inbox.len(), &*inbox[0].name), (1, IDENTITY));
    inbox.remove(0).args.remove(0)
}

/// The code of the refusal and its text.
#[track_caller]
fn refused(hub: &TestHub, handshake: Handshake) -> (String, String) {
    let error = hub.try_connect(handshake).err().expect("it is refused");
    assert_eq!(error["data"]["code"], "rejected", "{error}");
    assert!(hub.failures().is_empty() && hub.log().is_empty());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&error["data"]["reason"]["code"]), text(&error["message"]))
}

#[test]
fn a_good_token_gives_the_socket_its_user_name_and_roles() {
    let hub = hub(json!({}));
    let good = claims(json!({ "name": "  Ann\u{202e}\n  Lee\u{7} ", "roles": ["moderator", "staff"] }));
    let expect = json!({ "user": "ann", "name": "Ann Lee", "roles": ["moderator", "staff"], "guest": false });
    assert_eq!(identity(&hub, with_token(&token(good))), expect);
    let bare = json!({ "user": "ann", "roles": [], "guest": false });
    assert_eq!(identity(&hub, with_token(&token(claims(json!({ "name": null, "roles": null }))))), bare);
    let cut = identity(&hub, with_token(&token(claims(json!({ "name": format!("{} x", "ü".repeat(63)) })))));
    assert_eq!(cut["name"], "ü".repeat(63));
}

#[test]
fn plugins_behind_see_the_user_and_the_roles() {
    #[derive(Deserialize)]
    struct Whoami {}
    impl Plugin for Whoami {}
    impl OnMessage for Whoami {
        fn on_message(&self, event: &MessageEvent) -> Outcome {
            event.ack(json!([event.user(), event.roles()]))?;
            Ok(Pass)
        }
    }
    hubbub_plugin::export!(Whoami: OnMessage);
    let hub = hub(json!({})).plugin::<Whoami>(json!({}));
    let ann = hub.connect_with(with_token(&token(claims(json!({ "sub": 7, "roles": "admin  staff" })))));
    assert_eq!(ann.send("who", 0), json!(["7", ["admin", "staff"]]));
}

#[test]
fn claims_may_have_other_names_and_lie_deeper() {
    let names = json!({ "user": "https://a.example/id", "name": "/profile/nick", "roles": "/realm/0/roles" });
    let hub = hub(json!({ "claims": names }));
    let deep = json!({
        "https://a.example/id": "bob", "profile": { "nick": "Bob" }, "realm": [{ "roles": ["vip"] }], "sub": "ann",
    });
    let expect = json!({ "user": "bob", "name": "Bob", "roles": ["vip"], "guest": false });
    assert_eq!(identity(&hub, with_token(&token(claims(deep)))), expect);
}

#[test]
fn an_earlier_identity_stays_and_no_token_is_asked_for() {
    let hub = hub(json!({}));
    assert!(hub.connect_as("bob").inbox().is_empty());
}

#[test]
fn tokens_of_an_independent_signer_hold_for_every_kind_of_key() {
    for (algorithm, pem, token) in [
        ("EdDSA", include_str!("../tests/data/eddsa.pem"), include_str!("../tests/data/eddsa.jwt")),
        ("ES256", include_str!("../tests/data/es256.pem"), include_str!("../tests/data/es256.jwt")),
        ("RS256", include_str!("../tests/data/rs256.pem"), include_str!("../tests/data/rs256.jwt")),
    ] {
        let keys = json!([{ "algorithm": algorithm, "public_key": pem }]);
        let hub = hub(json!({ "keys": keys, "issuer": "https://login.example", "audience": "chat" }));
        let expect = json!({ "user": "ann", "name": "Ann", "roles": ["moderator"], "guest": false });
        assert_eq!(identity(&hub, with_token(token)), expect, "{algorithm}");
        let at = token.rfind('.').unwrap() + 5;
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert_eq!(refused(&hub, with_token(&changed)).0, "token_signature", "{algorithm}");
        // the oldest trick: the public key's text as a secret
        let forged = signed_as(&json!({ "alg": "HS256" }), &claims(json!({})), pem);
        assert_eq!(refused(&hub, with_token(&forged)).0, "token_signature", "{algorithm}");
        let forged = signed_as(&json!({ "alg": algorithm }), &claims(json!({})), pem);
        assert_eq!(refused(&hub, with_token(&forged)).0, "token_signature", "{algorithm}");
    }
}

#[test]
fn the_example_of_rfc_7515_has_the_right_signature() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
    let hub = hub(json!({ "keys": [{ "algorithm": "HS256", "secret_base64": secret }] }));
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly\
                 9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    // it ended in 2011: what is looked at behind the signature
    assert_eq!(refused(&hub, with_token(token)).0, "token_expired");
}

#[test]
fn longer_hashes_are_known_too() {
    fn longer<M: Mac + hmac::digest::KeyInit>(alg: &str) {
        let signed = format!("{}.{}", part(&json!({ "alg": alg })), part(&claims(json!({}))));
        let mac = <M as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(mac.chain_update(&signed).finalize().into_bytes());
        let hub = hub(json!({ "keys": [{ "algorithm": alg, "secret": SECRET }] }));
        assert_eq!(identity(&hub, with_token(&format!("{signed}.{signature}")))["user"], "ann");
    }
    longer::<Hmac<Sha384>>("HS384");
    longer::<Hmac<Sha512>>("HS512");
}

#[test]
fn keys_are_found_by_their_id_and_old_ones_go_on_until_they_are_removed() {
    let (old, new) = (SECRET, "b".repeat(32));
    let key = |kid: &str, secret: &str| json!({ "kid": kid, "algorithm": "HS256", "secret": secret });
    let by = |kid: &str, secret: &str| {
        with_token(&signed_as(&json!({ "alg": "HS256", "kid": kid }), &claims(json!({})), secret))
    };
    let both = hub(json!({ "keys": [key("old", old), key("new", &new)] }));
    for (kid, secret) in [("old", old), ("new", &new)] {
        assert_eq!(identity(&both, by(kid, secret))["user"], "ann");
    }
    for handshake in [by("old", &new), by("other", old), with_token(&token(claims(json!({}))))] {
        assert_eq!(refused(&both, handshake).0, "token_signature");
    }
    let one = hub(json!({ "keys": [key("new", &new)] }));
    assert_eq!(refused(&one, by("old", old)).0, "token_signature");
    let unnamed = signed_as(&json!({ "alg": "HS256" }), &claims(json!({})), &new);
    assert_eq!(identity(&one, with_token(&unnamed))["user"], "ann");
    assert_eq!(identity(&hub(json!({})), by("any", old))["user"], "ann");
}

#[test]
fn a_token_is_also_taken_from_where_the_config_says() {
    let good = token(claims(json!({})));
    let elsewhere = hub(json!({ "header": "Authorization", "query": "access_token" }));
    let header = |value: &str| Handshake::new().header("authorization", value);
    for handshake in [
        header(&format!("Bearer {good}")),
        header(&good),
        header("").query("access_token", &good),
        Handshake::new().query("access_token", &good).auth(json!({ "token": "" })),
        // the auth payload comes first
        header("Bearer bad").auth(json!({ "token": good })),
    ] {
        assert_eq!(identity(&elsewhere, handshake)["user"], "ann");
    }
    assert_eq!(refused(&elsewhere, header("Bearer bad")).0, "token_malformed");
    let nowhere_else = hub(json!({}));
    assert_eq!(refused(&nowhere_else, header(&good).query("access_token", &good)).0, "token_missing");
}
