//! Which web pages may connect: the check of their origin, and the CORS headers that tell browsers.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::{
    http::Refusal,
    settings::{Origins, Settings},
};

/// The methods that preflights are told, in the words of npm's `cors`.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// What a request's answer says about its origin.
pub(super) struct Cors {
    allowed: Option<HeaderValue>,
    /// The answer depends on the origin.
    varies: bool,
    credentials: bool,
}

impl Cors {
    /// What holds for a request with these headers.
    pub(super) fn of(settings: &Settings, headers: &HeaderMap) -> Result<Cors, Refusal> {
        let origin = headers.get(header::ORIGIN);
        let (allowed, varies) = match &settings.origins {
            Origins::SameOrigin => (None, false),
            // browsers refuse `*` for requests with cookies
            Origins::Any if settings.credentials => (origin.cloned(), true),
            Origins::Any => (Some(HeaderValue::from_static("*")), false),
            Origins::List(list) => match origin {
                Some(origin) if list.iter().any(|listed| origin == listed.as_str()) => (Some(origin.clone()), true),
                Some(_) => return Err(Refusal::Forbidden),
                None => (None, true),
            },
        };
        Ok(Cors { credentials: settings.credentials && allowed.is_some(), allowed, varies })
    }

    /// Adds what the browser is to know.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if let Some(allowed) = self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// The answer to a browser that asks before it sends the request proper; `None` when nothing is said about origins.
pub(super) fn preflight(settings: &Settings, asked: &HeaderMap) -> Option<Response> {
    if settings.origins == Origins::SameOrigin {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://a.example";

    /// Allow-Origin, Vary and Allow-Credentials of the answer; `None`: it is refused.
    fn answer(origins: Origins, credentials: bool, origin: Option<&'static str>) -> Option<[Option<String>; 3]> {
        let settings = Settings { origins, credentials, ..Settings::default() };
        let mut asked = HeaderMap::new();
        if let Some(origin) = origin {
            asked.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        let mut said = HeaderMap::new();
        Cors::of(&settings, &asked).ok()?.add_to(&mut said);
        let names = [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::VARY, header::ACCESS_CONTROL_ALLOW_CREDENTIALS];
        Some(names.map(|name| said.get(name).map(|value| value.to_str().unwrap().to_owned())))
    }

    #[test]
    fn pages_are_allowed_or_refused_as_the_settings_say() {
        let check = |origins: &Origins, credentials, origin, expected: Option<[Option<&str>; 3]>| {
            let expected = expected.map(|said| said.map(|value| value.map(str::to_owned)));
            assert_eq!(answer(origins.clone(), credentials, origin), expected, "{origins:?} {origin:?}");
        };
        let vary = Some("Origin");
        check(&Origins::SameOrigin, true, Some(PAGE), Some([None; 3]));
        check(&Origins::Any, false, Some(PAGE), Some([Some("*"), None, None]));
        check(&Origins::Any, false, None, Some([Some("*"), None, None]));
        check(&Origins::Any, true, Some(PAGE), Some([Some(PAGE), vary, Some("true")]));
        let list = Origins::List(vec!["https://b.example".into(), PAGE.into()]);
        check(&list, false, Some(PAGE), Some([Some(PAGE), vary, None]));
        check(&list, true, Some(PAGE), Some([Some(PAGE), vary, Some("true")]));
        check(&list, false, Some("https://a.example.evil"), None);
        check(&list, false, Some("null"), None);
        check(&list, false, None, Some([None, vary, None]));
    }
}
