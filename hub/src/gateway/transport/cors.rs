//! Which pages may connect, and the headers that tell browsers so.

use axum::http::{HeaderMap, HeaderValue, header};

use super::settings::{Origins, Settings};

/// What an origin is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// No header: a request without origin, or no cross-origin use.
    Plain,
    Allow(HeaderValue),
    /// Not one of the list.
    Refuse,
}

/// Looks at a request's origin.
pub fn answer(settings: &Settings, headers: &HeaderMap) -> Answer {
    let origin = headers.get(header::ORIGIN);
    match (&settings.origins, origin) {
        (Origins::SameOrigin, _) | (_, None) => Answer::Plain,
        // with credentials a browser takes no star
        (Origins::Any, Some(origin)) if settings.credentials => Answer::Allow(origin.clone()),
        (Origins::Any, Some(_)) => Answer::Allow(HeaderValue::from_static("*")),
        (Origins::List(list), Some(origin)) => match list.iter().any(|o| origin == o.as_str()) {
            true => Answer::Allow(origin.clone()),
            false => Answer::Refuse,
        },
    }
}

/// Adds the headers to a response.
pub fn add_headers(settings: &Settings, allowed: HeaderValue, headers: &mut HeaderMap) {
    if allowed != "*" {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if settings.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Adds what a preflight asks for: methods, and whatever headers the page wants to send.
pub fn add_preflight_headers(request: &HeaderMap, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST,OPTIONS"));
    if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_answered_as_the_settings_say() {
        let check = |origins: Origins, credentials: bool, origin: Option<&str>| {
            let settings = Settings { origins, credentials, ..Settings::default() };
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            answer(&settings, &headers)
        };
        let list = || Origins::List(vec!["https://a.example".into()]);
        let allow = |text: &'static str| Answer::Allow(HeaderValue::from_static(text));
        assert_eq!(check(Origins::SameOrigin, false, Some("https://b.example")), Answer::Plain);
        assert_eq!(check(Origins::Any, false, Some("https://b.example")), allow("*"));
        assert_eq!(check(Origins::Any, true, Some("https://b.example")), allow("https://b.example"));
        assert_eq!(check(list(), false, Some("https://a.example")), allow("https://a.example"));
        assert_eq!(check(list(), false, Some("https://a.example.evil")), Answer::Refuse);
        assert_eq!(check(list(), false, None), Answer::Plain, "no browser");
    }
}
