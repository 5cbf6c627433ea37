//! Believes who clients say they are, for tests: the auth payload `{user, roles?}` becomes the socket's identity.
//! Without a user the connect is rejected with `user_required`. Needs the capabilities `identity` and `credentials`.

use hubbub_plugin::prelude::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {}

#[derive(Deserialize)]
struct Auth {
    user: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

impl Plugin for Identity {}

impl OnConnect for Identity {
    fn on_connect(&self, event: &ConnectEvent) -> Outcome {
        let auth: Option<Auth> = event.credentials().auth()?;
        match auth {
            Some(Auth { user: Some(user), roles }) if !user.is_empty() => {
                event.set_user(&user, &roles);
                Ok(Pass)
            }
            _ => {
                let hint = json!({ "hint": "send auth {user}" });
                Err(reject("user_required", "a user is required").data(&hint).into())
            }
        }
    }
}

hubbub_plugin::export!(Identity: OnConnect);

#[cfg(test)]
mod tests {
    use hubbub_plugin::testing::{Handshake, TestHub};

    use super::*;

    #[test]
    fn who_says_no_user_is_refused_with_a_reason() {
        let hub = TestHub::new().plugin::<Identity>(json!({}));
        assert!(hub.try_connect(Handshake::new().auth(json!({ "user": "ann" }))).is_ok());
        for auth in [json!({}), json!({ "user": "" }), json!(null)] {
            let error = hub.try_connect(Handshake::new().auth(auth)).err().unwrap();
            assert_eq!(error["message"], "a user is required");
            assert_eq!(error["data"]["code"], "rejected");
            assert_eq!(error["data"]["reason"]["code"], "user_required");
            assert_eq!(error["data"]["reason"]["data"]["hint"], "send auth {user}");
        }
    }
}
