//! One table for the calls and for the document that describes them: nothing is served that is not in it.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, on},
};
use utoipa::{
    // what `#[derive(OpenApi)]` and utoipa-axum collect the bodies' schemas with
    __dev::SchemaReferences,
    PartialSchema,
    ToSchema,
    openapi::{
        Components, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    Access, Shared,
    auth::{self, Door},
    error::ErrorBody,
};

/// The name of the one way to show who one is.
const SCHEME: &str = "token";

/// Calls, with what is said of them.
pub(super) struct Routes {
    shared: Arc<Shared>,
    router: Router<Arc<Shared>>,
    paths: Paths,
    components: Components,
}

impl Routes {
    pub fn new(shared: Arc<Shared>) -> Self {
        let mut components = Components::new();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.security_schemes.insert(SCHEME.into(), scheme.into());
        components.schemas.insert(ErrorBody::name().into(), ErrorBody::schema());
        let mut schemas = Vec::new();
        <ErrorBody as ToSchema>::schemas(&mut schemas);
        components.schemas.extend(schemas);
        Self { shared, router: Router::new(), paths: Paths::new(), components }
    }

    /// Serves what `path` describes by `handler`, to those who may call it.
    pub fn add<P, H, T>(mut self, access: Access, _path: P, handler: H) -> Self
    where
        P: utoipa::Path + SchemaReferences,
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        let methods = P::methods();
        let filter = methods.iter().map(filter_of).reduce(MethodFilter::or).expect("an operation has a method");
        let mut operation = P::operation();
        let what = operation.operation_id.as_deref().unwrap_or_default().into();
        let guard = from_fn_with_state(Door { shared: self.shared.clone(), access, what }, auth::admit);
        self.router = self.router.route(&P::path(), on(filter, handler).route_layer(guard));

        operation.responses.responses.insert("default".into(), error_response().into());
        if let Access::Role(role) = access {
            operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
            let needs = format!("Needs the role `{}`.", role.as_str());
            let before = operation.description.take().filter(|text| !text.is_empty());
            operation.description = Some(before.map_or(needs.clone(), |text| format!("{text}\n\n{needs}")));
        }
        self.paths.add_path_operation(P::path(), methods, operation);
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        self.components.schemas.extend(schemas);
        self
    }

    pub fn into_router(self) -> Router<Arc<Shared>> {
        self.router
    }

    pub fn into_document(self) -> OpenApi {
        let info = InfoBuilder::new()
            .title("Hubbub's admin API")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some("Plugins, the chain, and who is connected, of a running hub."))
            .build();
        OpenApiBuilder::new().info(info).paths(self.paths).components(Some(self.components)).build()
    }
}

fn error_response() -> utoipa::openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name()))).build();
    ResponseBuilder::new()
        .description("The call did not go through, and nothing was changed.")
        .content("application/json", content)
        .build()
}

fn filter_of(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}
