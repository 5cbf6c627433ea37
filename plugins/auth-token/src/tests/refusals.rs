//! Each refusal.

use super::*;

#[track_caller]
fn check(hub: &TestHub, token: &str, code: &str, text: &str) {
    let (found, message) = refused(hub, with_token(token));
    assert_eq!((&*found, message.contains(text)), (code, true), "{message}");
    assert!(token.is_empty() || !message.contains(token));
}

#[test]
fn without_a_token_nobody_comes_in() {
    let hub = hub(json!({}));
    for auth in [json!({}), json!({ "token": null }), json!({ "token": "" }), json!(null), json!("x"), json!([])] {
        assert_eq!(refused(&hub, Handshake::new().auth(auth)), ("token_missing".into(), "a token is required".into()));
    }
    assert_eq!(refused(&hub, Handshake::new()).0, "token_missing");
}

#[test]
fn what_is_no_token_is_malformed() {
    let hub = hub(json!({ "jwt_max_bytes": 300 }));
    let good = token(claims(json!({})));
    for (bad, text) in [
        ("x".into(), "three parts"),
        ("a.b".into(), "three parts"),
        (format!("{good}.x"), "three parts"),
        ("a.b.c.d.e".into(), "three parts"),
        ("..".into(), "no JSON object with `alg`"),
        (good.replace('.', "=."), "not base64url"),
        (format!("{good}="), "not base64url"),
        (good.replace('.', "+."), "not base64url"),
        (format!("{good}{}", "A".repeat(300)), "too long"),
        (signed_as(&json!({}), &claims(json!({})), SECRET), "no JSON object with `alg`"),
        (signed_as(&json!(["HS256", null, null]), &claims(json!({})), SECRET), "no JSON object with `alg`"),
        (signed_as(&json!({ "alg": "HS256", "crit": ["b64"] }), &claims(json!({})), SECRET), "unknown extensions"),
        (token(json!(["ann"])), "no JSON object"),
        (token(claims(json!({ "sub": ["ann"] }))), "is of the wrong kind"),
        (token(claims(json!({ "exp": { "s": 1 } }))), "is of the wrong kind"),
        (signed_as(&json!({ "alg": "HS256", "typ": 5 }), &claims(json!({})), SECRET), "is of the wrong kind"),
        (format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"none"}"#)), "its header"),
    ] {
        check(&hub, &bad, "token_malformed", text);
    }
    for no_text in [json!(5), json!({}), json!([good])] {
        let (code, message) = refused(&hub, Handshake::new().auth(json!({ "token": no_text })));
        assert_eq!((&*code, &*message), ("token_malformed", "the token is malformed: `token`: must be a text"));
    }
}

#[test]
fn no_algorithm_but_the_key_s_own_is_believed() {
    let hub = hub(json!({}));
    let claims = claims(json!({}));
    for alg in ["none", "None", "NONE", "nOnE", "", "HS384", "hs256", "RS256", "ES256", "EdDSA"] {
        let header = json!({ "alg": alg });
        check(&hub, &signed_as(&header, &claims, SECRET), "token_signature", "its algorithm is not the key's");
        let unsigned = format!("{}.{}.", part(&header), part(&claims));
        check(&hub, &unsigned, "token_signature", "its algorithm is not the key's");
    }
}

#[test]
fn a_changed_token_has_no_signature() {
    let hub = hub(json!({}));
    let good = token(claims(json!({})));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let root = part(&claims(json!({ "sub": "root" })));
    for bad in [
        format!("{header}.{root}.{signature}"),
        format!("{signed}."),
        format!("{signed}.{}", &signature[..42]),
        signed_as(&json!({ "alg": "HS256" }), &claims(json!({})), "another secret"),
    ] {
        let code = refused(&hub, with_token(&bad)).0;
        assert!(code == "token_signature" || code == "token_malformed", "{code}");
    }
    check(&hub, &format!("{header}.{root}.{signature}"), "token_signature", "or the token was changed");
    check(&hub, &format!("{signed}."), "token_signature", "or the token was changed");
}

#[test]
fn a_token_with_any_byte_changed_is_refused() {
    let hub = hub(json!({}));
    let good = token(claims(json!({})));
    for at in 0..good.len() {
        for other in ["A", "w", "."] {
            let changed = format!("{}{other}{}", &good[..at], &good[at + 1..]);
            if changed != good {
                let code = refused(&hub, with_token(&changed)).0;
                assert!(code == "token_signature" || code == "token_malformed", "{code}: {changed}");
            }
        }
    }
}

#[test]
fn json_nested_without_end_is_malformed_and_unsigned_claims_are_not_read() {
    let hub = hub(json!({ "jwt_max_bytes": 60_000 }));
    let nested = URL_SAFE_NO_PAD.encode("[".repeat(10_000));
    let signed = format!("{}.{nested}", part(&json!({ "alg": "HS256" })));
    let signature = URL_SAFE_NO_PAD.encode(hs256(SECRET, &signed));
    check(&hub, &format!("{signed}.{signature}"), "token_malformed", "no JSON object");
    check(&hub, &format!("{signed}.AAAA"), "token_signature", "was not made with the key");
    let deep = format!(r#"{{"alg":"HS256","x":{}"#, "[".repeat(10_000));
    check(&hub, &format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(deep)), "token_malformed", "its header");
}

#[test]
fn a_token_holds_from_its_beginning_to_its_end_and_clocks_may_differ() {
    let hub = hub(json!({ "leeway_s": 10 }));
    let at = |name: &str, s: i64| with_token(&token(claims(json!({ name: NOW_S + s }))));
    for good in [at("exp", -8), at("nbf", 10), at("iat", 10), at("nbf", -99_999)] {
        assert_eq!(identity(&hub, good)["user"], "ann");
    }
    for (bad, code) in [
        (at("exp", -10), "token_expired"),
        (at("exp", -9_999_999), "token_expired"),
        (at("nbf", 12), "token_not_yet"),
        (at("iat", 12), "token_not_yet"),
    ] {
        assert_eq!(refused(&hub, bad).0, code);
    }
    let error = hub.try_connect(at("exp", -60)).err().unwrap();
    assert_eq!(error["message"], "the token has expired");
    assert_eq!(error["data"]["reason"]["data"], json!({ "expired_s": NOW_S - 60 }));
    let fraction = with_token(&token(claims(json!({ "exp": NOW_S as f64 + 0.5 }))));
    assert_eq!(identity(&hub, fraction)["user"], "ann");
}

#[test]
fn a_token_from_or_for_somebody_else_is_refused() {
    let strict = hub(json!({ "issuer": "https://a.example", "audience": "chat" }));
    let with = |iss: Value, aud: Value| token(claims(json!({ "iss": iss, "aud": aud })));
    for aud in [json!("chat"), json!(["other", "chat"])] {
        assert_eq!(identity(&strict, with_token(&with(json!("https://a.example"), aud)))["user"], "ann");
    }
    for iss in [json!(null), json!("https://b.example"), json!(["https://a.example"]), json!("https://a.example/")] {
        check(&strict, &with(iss, json!("chat")), "token_issuer", "another issuer");
    }
    for aud in [json!(null), json!("chats"), json!([]), json!([["chat"]]), json!({ "chat": 1 })] {
        check(&strict, &with(json!("https://a.example"), aud), "token_audience", "another audience");
    }
    let loose = hub(json!({}));
    assert_eq!(identity(&loose, with_token(&with(json!("any"), json!(null))))["user"], "ann");
    check(&loose, &with(json!("any"), json!("chat")), "token_audience", "another audience");
}

#[test]
fn claims_that_do_not_fit_are_named() {
    let hub = hub(json!({ "lifetime_max_s": 3600, "jwt_max_bytes": 60_000 }));
    let claims = |more: Value| {
        let mut more = more;
        more.as_object_mut().unwrap().entry("iat").or_insert(json!(NOW_S - 1));
        token(claims(more))
    };
    assert_eq!(identity(&hub, with_token(&claims(json!({}))))["user"], "ann");
    for (bad, text) in [
        (json!({ "sub": null }), "`sub` is missing"),
        (json!({ "sub": "" }), "`sub` must have 1 to 256 bytes"),
        (json!({ "sub": "x".repeat(257) }), "`sub` must have 1 to 256 bytes"),
        (json!({ "sub": "a\nb" }), "`sub` must not have control characters"),
        (json!({ "sub": true }), "`sub` must be a text or a whole number"),
        (json!({ "sub": 1.5 }), "`sub` must be a text or a whole number"),
        (json!({ "name": 5 }), "`name` must be a text"),
        (json!({ "roles": { "admin": true } }), "`roles` must be a list of texts"),
        (json!({ "roles": ["a", 5] }), "`roles` must be a list of texts"),
        (json!({ "roles": ["a", ""] }), "`roles` a role must have 1 to 64 bytes"),
        (json!({ "roles": vec!["a"; 65] }), "`roles` must be at most 64"),
        (json!({ "exp": null }), "`exp` is missing"),
        (json!({ "exp": "tomorrow" }), "`exp` must be a number of seconds"),
        (json!({ "nbf": "1" }), "`nbf` must be a number of seconds"),
        (json!({ "iat": NOW_S - 3600 }), "it lives longer than 3600 s"),
        (json!({ "iat": null }), "`iat` and `exp` are needed"),
    ] {
        check(&hub, &claims(bad), "token_claims", text);
    }
}

#[test]
fn a_token_without_end_is_let_in_only_where_the_config_says_so() {
    let endless = token(claims(json!({ "exp": null })));
    check(&hub(json!({})), &endless, "token_claims", "`exp` is missing");
    assert_eq!(identity(&hub(json!({ "expiry_required": false })), with_token(&endless))["user"], "ann");
}
