//! Clients without a token, where there are guests.

use super::*;

#[test]
fn guests_are_different_people_with_the_name_that_they_give() {
    let hub = hub(json!({ "guests": { "allow": true, "roles": ["guest"] }, "name_max_chars": 5 }));
    let guest = |auth: Value| identity(&hub, Handshake::new().auth(auth));
    let (ann, bob) = (guest(json!({ "name": " Annabel " })), guest(json!({ "name": 5, "token": "" })));
    assert_eq!((&ann["name"], &bob["name"]), (&json!("Annab"), &Value::Null));
    for one in [&ann, &bob, &identity(&hub, Handshake::new())] {
        let user = one["user"].as_str().unwrap();
        assert!(user.starts_with("guest-") && user.len() == 26, "{user}");
        assert_eq!((&one["roles"], &one["guest"]), (&json!(["guest"]), &json!(true)));
    }
    assert_ne!(ann["user"], bob["user"]);
}

#[test]
fn a_guest_cannot_say_who_it_is() {
    let hub = hub(json!({ "guests": { "allow": true } }));
    let one = identity(&hub, Handshake::new().auth(json!({ "user": "ann", "sub": "ann", "roles": ["admin"] })));
    assert_ne!(one["user"], "ann");
    assert_eq!(one["roles"], json!([]));
}

#[test]
fn a_bad_token_makes_no_guest() {
    let hub = hub(json!({ "guests": { "allow": true } }));
    assert_eq!(refused(&hub, with_token("x")).0, "token_malformed");
    let expired = token(claims(json!({ "exp": NOW_S - 600 })));
    assert_eq!(refused(&hub, with_token(&expired)).0, "token_expired");
}

#[test]
fn a_token_s_user_does_not_look_like_a_guest() {
    let hub = hub(json!({ "guests": { "allow": true, "prefix": "anon:" } }));
    let (code, message) = refused(&hub, with_token(&token(claims(json!({ "sub": "anon:1" })))));
    assert_eq!((&*code, message.contains("`sub` begins as a guest's id does")), ("token_claims", true));
    assert_eq!(identity(&hub, with_token(&token(claims(json!({ "sub": "guest-1" })))))["user"], "guest-1");
}

#[test]
fn guests_are_refused_where_the_config_says_so() {
    let hub = hub(json!({ "guests": { "allow": false } }));
    let expect = ("guests_refused".into(), "guests are not let in: a token is required".into());
    assert_eq!(refused(&hub, Handshake::new().auth(json!({ "name": "Ann" }))), expect);
    assert_eq!(identity(&hub, with_token(&token(claims(json!({})))))["guest"], false);
}
