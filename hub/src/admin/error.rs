//! What a call is told that does not go through: a status, a stable code, and what would be right.

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{audit::ErrorCode, extract::Answer};
use crate::{
    config::Role,
    pipeline::refusal::{Code, Refusal},
    plugin::LoadError,
    registry::RegistryError,
    rollout::RolloutError,
    store::StoreError,
};

/// Every answer that is no success.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: Detail,
}

#[derive(Debug, Serialize, ToSchema)]
struct Detail {
    /// Stable, for programs.
    code: &'static str,
    /// For people.
    message: String,
    /// The revision in force, when it is not the one that the change was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    /// What a plugin said when it refused an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Reason {
    code: String,
    message: String,
}

/// A call that does not go through. Nothing was changed.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    detail: Box<Detail>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, detail: Box::new(Detail { code, message: message.into(), current: None, reason: None }) }
    }

    /// The call itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub fn forbidden(has: Role, needs: Role) -> Self {
        let (has, needs) = (has.as_str(), needs.as_str());
        let text = format!("this token has the role `{has}`, the call needs `{needs}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", text)
    }

    /// It comes from where nobody may call from.
    pub fn wrong_source(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "source", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What is there stands against it.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    fn behind(current: u64, message: impl Into<String>) -> Self {
        let mut error = Self::conflict("conflict", message);
        error.detail.current = Some(current);
        error
    }

    pub fn too_large(limit: &str, allowed: usize) -> Self {
        let text = format!("the body is larger than admin.{limit}, which is {allowed}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
    }

    pub fn too_slow(limit: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", format!("the body did not arrive within admin.{limit}"))
    }

    pub fn media_type(expected: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", format!("expected a body of type {expected}"))
    }

    pub fn busy(message: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// A change that is made of settings: what makes no sense is in them.
    pub fn of_settings(error: RolloutError) -> Self {
        match error {
            RolloutError::Invalid(text) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "settings", text),
            other => other.into(),
        }
    }

    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = ErrorCode(self.detail.code);
        let mut response = Answer(ErrorBody { error: *self.detail }).into_response();
        *response.status_mut() = self.status;
        response.extensions_mut().insert(code);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<RolloutError> for ApiError {
    fn from(error: RolloutError) -> Self {
        let text = error.to_string();
        match error {
            RolloutError::Conflict { current, .. } => Self::behind(current, text),
            RolloutError::NotFound(_) => Self::not_found(text),
            RolloutError::Invalid(_) => Self::invalid(text),
            RolloutError::File(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "artifact", text),
            RolloutError::Refused(refused) => {
                let code = match refused {
                    LoadError::Artifact { .. } => "artifact",
                    LoadError::Capability { .. } => "capability",
                    LoadError::Link { .. } => "link",
                    LoadError::Compile { .. } => "compile",
                    LoadError::Init { .. } => "init",
                };
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, text)
            }
            RolloutError::Unsigned { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unsigned", text),
            RolloutError::Registry(error) => error.into(),
            RolloutError::Busy => Self::busy(&text),
            RolloutError::Broken(_) => Self::internal(text),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        match error {
            RegistryError::Conflict { current } => Self::behind(current, text),
            RegistryError::Missing(_) => Self::not_found(text),
            RegistryError::Limit { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit", text),
            RegistryError::Damaged(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", text),
            RegistryError::Unavailable(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            Code::Rejected | Code::Unhandled | Code::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
            Code::PluginFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Overloaded | Code::Timeout | Code::StoreUnavailable | Code::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut error = Self::new(status, refusal.code.as_str(), &*refusal.message);
        error.detail.reason = refusal
            .rejection
            .map(|rejection| Reason { code: rejection.code.to_string(), message: rejection.message.to_string() });
        error
    }
}

/// The answer where there is nothing.
pub(super) async fn no_such_call(uri: Uri) -> ApiError {
    let shown: String = uri.path().chars().take(100).collect();
    ApiError::not_found(format!("there is no `{shown}`: /openapi.json lists all calls"))
}

/// The answer where there is something else.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let shown: String = uri.path().chars().take(100).collect();
    let text = format!("`{shown}` takes no {method}: /openapi.json lists all calls");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", text)
}
