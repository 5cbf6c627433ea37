//! What a call says, checked, and how an answer is written.

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use utoipa::IntoParams;

use super::{Shared, auth::Caller, error::ApiError, plugins::ChangedAnswer};
use crate::{
    config::Admin,
    rollout::{By, Change},
};

/// Of the text that says why a change was made.
const WHY_MAX_BYTES: usize = 1000;

/// An answer in JSON.
pub(super) struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).expect("answers are texts, numbers and lists");
        json(body)
    }
}

/// An answer that is JSON already. Nothing keeps a copy of it, and no browser takes it for anything else.
pub(super) fn json(body: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (StatusCode::OK, headers, body.into()).into_response()
}

/// The part of the path that names something.
pub(super) struct Param<T>(pub T);

impl<T, S> FromRequestParts<S> for Param<T>
where
    T: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|error| ApiError::invalid(error.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| {
            let shown: String = text.chars().take(100).collect::<String>().escape_debug().collect();
            ApiError::invalid(format!("`{shown}` in the path: {error}"))
        })
    }
}

/// The query; a parameter that the call does not know is an error.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|error| ApiError::invalid(error.body_text()))
    }
}

/// A body of JSON.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        if !is_of_type(request.headers(), "application/json") {
            return Err(ApiError::media_type("application/json"));
        }
        read_json(request, &shared.settings).await.map(Self)
    }
}

/// A body of JSON, or none at all.
pub(super) struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Arc<Shared>> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let body = axum::body::HttpBody::size_hint(request.body());
        if body.exact() == Some(0) {
            return Ok(Self(T::default()));
        }
        Json::from_request(request, shared).await.map(|Json(value)| Self(value))
    }
}

/// Reads and parses a body whose type was looked at.
pub(super) async fn read_json<T: DeserializeOwned>(request: Request, settings: &Admin) -> Result<T, ApiError> {
    let (headers, body) = (request.headers().clone(), request.into_body());
    let bytes = read_body(&headers, body, settings, "body_max_bytes", settings.body_max_bytes).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::invalid(format!("the body: {error}")))
}

/// Whether the body is said to be of this type; parameters behind it do not count.
pub(super) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

/// The whole body, if it is no longer than `max` and arrives in time. `limit` is what that maximum is called.
pub(super) async fn read_body(
    headers: &HeaderMap,
    mut body: Body,
    settings: &Admin,
    limit: &'static str,
    max: usize,
) -> Result<Bytes, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > max as u64) {
        return Err(ApiError::too_large(limit, max));
    }
    let read = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::invalid("the body ended before its end"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > max {
                return Err(ApiError::too_large(limit, max));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Bytes::from(bytes))
    };
    timeout(settings.body_timeout, read).await.unwrap_or_else(|_| Err(ApiError::too_slow("body_timeout_ms")))
}

/// What the caller of a change may add.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeQuery {
    /// Make the change only if this revision is in force; `If-Match: "N"` says the same.
    pub base: Option<u64>,
    /// For the history.
    pub why: Option<String>,
}

impl ChangeQuery {
    /// Who makes the change, why, and what it is made for: `base` in the query or `If-Match: "N"`.
    pub fn by(self, caller: &Caller, headers: &HeaderMap) -> Result<By, ApiError> {
        let why = self.why.unwrap_or_default();
        if why.len() > WHY_MAX_BYTES {
            return Err(ApiError::invalid(format!("why: allowed are {WHY_MAX_BYTES} bytes")));
        }
        let matched = match headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().trim()) {
            None | Some("*") => None,
            Some(text) => {
                let number =
                    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).parse().ok();
                Some(number.ok_or_else(|| ApiError::invalid("If-Match: expected a revision's number, as in \"7\""))?)
            }
        };
        match (self.base, matched) {
            (Some(base), Some(matched)) if base != matched => {
                Err(ApiError::invalid("base and If-Match name different revisions: leave out one"))
            }
            (base, _) => Ok(By { who: caller.name.to_string(), why, base: base.or(matched) }),
        }
    }
}

/// A call that changes the chain: where, and who makes it why.
pub(super) struct Changing {
    shared: Arc<Shared>,
    by: By,
}

impl FromRequestParts<Arc<Shared>> for Changing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, shared).await?;
        let Query(query) = Query::<ChangeQuery>::from_request_parts(parts, shared).await?;
        Ok(Self { shared: shared.clone(), by: query.by(&caller, &parts.headers)? })
    }
}

impl Changing {
    /// Makes the change; `plugin` is shown with the answer.
    pub async fn make(self, change: Change, plugin: Option<&str>) -> Result<ChangedAnswer, ApiError> {
        self.shared.change(change, self.by, plugin).await
    }
}
