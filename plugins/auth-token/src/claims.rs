//! What a token's claims must be, and who they make of a client.

use hubbub_plugin::prelude::*;

use crate::{
    config::{ClaimName, Config},
    person::{Person, USER_MAX_BYTES, check_id, check_roles, display_name},
    refusal::Refusal,
    token::Claims,
};

/// Who the claims speak of, if they hold at `now_ms`.
pub(crate) fn read(claims: &Claims, config: &Config, now_ms: u64) -> Result<Person, Refusal> {
    check_time(claims, config, now_ms as f64 / 1000.0)?;
    check_issuer(claims, config)?;
    check_audience(claims, config)?;
    Ok(Person { user: user(claims, config)?, name: name(claims, config)?, roles: roles(claims, config)?, guest: false })
}

/// All times are seconds since the Unix epoch, and may have fractions.
fn check_time(claims: &Claims, config: &Config, now_s: f64) -> Result<(), Refusal> {
    let (expires, begins, issued) = (time(claims, "exp")?, time(claims, "nbf")?, time(claims, "iat")?);
    if expires.is_none() && config.expiry_required {
        return Err(Refusal::Claims("`exp` is missing".into()));
    }
    if let Some(end) = expires.filter(|end| now_s >= end + config.leeway_s) {
        return Err(Refusal::Expired { expired_s: end as i64 });
    }
    if [begins, issued].into_iter().flatten().any(|begin| now_s + config.leeway_s < begin) {
        return Err(Refusal::NotYet);
    }
    if let Some(max) = config.lifetime_max_s {
        let (Some(end), Some(begin)) = (expires, issued) else {
            return Err(Refusal::Claims("`iat` and `exp` are needed".into()));
        };
        if end - begin > max {
            return Err(Refusal::Claims(format!("it lives longer than {max} s")));
        }
    }
    Ok(())
}

fn time(claims: &Claims, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Refusal::Claims(format!("`{name}` must be a number of seconds"))),
        },
    }
}

fn check_issuer(claims: &Claims, config: &Config) -> Result<(), Refusal> {
    let issuer = claims.get("iss").and_then(Value::as_str);
    if config.issuer.is_some() && issuer != config.issuer.as_deref() { Err(Refusal::Issuer) } else { Ok(()) }
}

/// A token for somebody by name is for nobody else (RFC 7519, 4.1.3).
fn check_audience(claims: &Claims, config: &Config) -> Result<(), Refusal> {
    let ours = |value: &Value| value.as_str().is_some_and(|audience| config.audience.as_deref() == Some(audience));
    let fits = match claims.get("aud") {
        None => config.audience.is_none(),
        Some(Value::Array(several)) => several.iter().any(ours),
        Some(one) => ours(one),
    };
    if fits { Ok(()) } else { Err(Refusal::Audience) }
}

fn user(claims: &Claims, config: &Config) -> Result<String, Refusal> {
    let claim = &config.claims.user;
    let user = match claim.of(claims) {
        Some(Value::String(user)) => user.clone(),
        Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
        Some(_) => return Err(wrong(claim, "must be a text or a whole number")),
        None => return Err(wrong(claim, "is missing")),
    };
    check_id(&user, USER_MAX_BYTES).map_err(|fault| wrong(claim, &fault))?;
    if config.guests.as_ref().is_some_and(|guests| guests.allow && user.starts_with(&guests.prefix)) {
        return Err(wrong(claim, "begins as a guest's id does"));
    }
    Ok(user)
}

fn name(claims: &Claims, config: &Config) -> Result<Option<String>, Refusal> {
    let claim = &config.claims.name;
    match claim.of(claims) {
        None => Ok(None),
        Some(Value::String(name)) => Ok(display_name(name, config.name_max_chars)),
        Some(_) => Err(wrong(claim, "must be a text")),
    }
}

fn roles(claims: &Claims, config: &Config) -> Result<Vec<String>, Refusal> {
    let claim = &config.claims.roles;
    let no_texts = || wrong(claim, "must be a list of texts, or one text");
    let roles: Vec<String> = match claim.of(claims) {
        None => Vec::new(),
        Some(Value::String(words)) => words.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(roles)) => {
            let texts = roles.iter().map(|role| role.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(no_texts)?
        }
        Some(_) => return Err(no_texts()),
    };
    check_roles(&roles).map_err(|fault| wrong(claim, &fault))?;
    Ok(roles)
}

fn wrong(claim: &ClaimName, fault: &str) -> Refusal {
    Refusal::Claims(format!("`{}` {fault}", claim.as_str()))
}
