//! From one line an operation to the verbose document.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AllOfBuilder, AnyOfBuilder, ArrayBuilder, ComponentsBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, HeaderBuilder, InfoBuilder, OpenApi, OpenApiBuilder, OpenApiVersion, Paths, Ref, RefOr, Required,
    ResponseBuilder, Schema, Server,
};

use super::links;
use crate::domain::scope::Scope;
use crate::web::oauth::error::ErrorJson;
use crate::web::problem::{Code, ProblemBody};

/// Who may call an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Anybody.
    Anybody,
    /// Anybody; whoever sends an access token must send a good one.
    AnybodyOrUser,
    /// Anybody, or a registered client that says who it is, in the header or in the body.
    Client,
    /// The same, or whoever has an access token for it.
    ClientOrBearer,
    /// Whoever has an access token.
    User,
    /// An admin.
    Admin,
    /// An admin, or a registered client whose token has this scope.
    AdminOr(Scope),
}

/// One operation, as it is being described.
pub(super) struct Operation<'a> {
    description: &'a mut Description,
    path: &'static str,
    method: HttpMethod,
    id: &'static str,
    builder: OperationBuilder,
    answers: Vec<(u16, ResponseBuilder)>,
    problems: Vec<Code>,
}

/// The document, as it is being made.
pub(super) struct Description {
    server: String,
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Description {
    pub(super) fn new(public_url: &str) -> Self {
        let mut description = Self { server: public_url.to_owned(), paths: Paths::new(), schemas: BTreeMap::new() };
        description.schema::<ProblemBody<'_>>();
        description
    }

    /// Begins an operation. Its id is the name of its handler.
    pub(super) fn operation(
        &mut self,
        (method, path): (HttpMethod, &'static str),
        id: &'static str,
        summary: &str,
        caller: Caller,
    ) -> Operation<'_> {
        let tag = path.split('/').find(|part| !part.is_empty() && *part != "api").unwrap_or_default();
        let mut builder = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary)).tag(tag);
        let bearer = || SecurityRequirement::new("bearer", Vec::<String>::new());
        let basic = || SecurityRequirement::new("client", Vec::<String>::new());
        let mut problems = vec![Code::InternalError, Code::ServiceUnavailable];
        match caller {
            Caller::Anybody => builder = builder.securities(Some([])),
            Caller::Client => builder = builder.securities(Some([SecurityRequirement::default(), basic()])),
            Caller::ClientOrBearer => {
                builder = builder.securities(Some([SecurityRequirement::default(), basic(), bearer()]));
            }
            Caller::AnybodyOrUser => {
                builder = builder.securities(Some([SecurityRequirement::default(), bearer()]));
                problems.extend([
                    Code::InvalidToken,
                    Code::AuthenticationRequired,
                    Code::InvalidRequest,
                    Code::InsufficientScope,
                ]);
            }
            Caller::User | Caller::Admin | Caller::AdminOr(_) => {
                let scopes = if let Caller::AdminOr(scope) = caller { vec![scope.as_str()] } else { Vec::new() };
                builder = builder.security(SecurityRequirement::new("bearer", scopes));
                problems.extend([Code::InvalidToken, Code::AuthenticationRequired, Code::InvalidRequest]);
            }
        }
        if matches!(caller, Caller::User | Caller::Admin | Caller::AdminOr(_)) {
            problems.push(Code::InsufficientScope);
        }
        if matches!(caller, Caller::Admin | Caller::AdminOr(_)) {
            problems.push(Code::InsufficientRole);
        }
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            builder = builder.parameter(parameter.required(Required::True).schema(Some(part(path, name))));
            problems.push(Code::NotFound);
        }
        Operation { description: self, path, method, id, builder, answers: Vec::new(), problems }
    }

    /// A reference to a type's schema, which is in the document from now on.
    fn schema<T: ToSchema>(&mut self) -> Ref {
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        self.schemas.extend(nested);
        self.schemas.insert(T::name().into_owned(), T::schema());
        Ref::from_schema_name(T::name())
    }

    pub(super) fn finish(self) -> OpenApi {
        let info = InfoBuilder::new()
            .title("Relatch")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "Sign-in, refresh, revocation, and what admins see of it. Errors of /api are problem details (RFC 9457) \
                 with a stable code; errors of /oauth follow RFC 6749 §5.2.",
            ))
            .build();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = self
            .schemas
            .into_iter()
            .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema))
            .security_scheme("bearer", SecurityScheme::Http(bearer))
            .security_scheme("client", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
            .build();
        OpenApiBuilder::new()
            .openapi(OpenApiVersion::Version31)
            .info(info)
            .servers(Some([Server::new(self.server)]))
            .paths(self.paths)
            .components(Some(components))
            .build()
    }
}

impl Operation<'_> {
    /// A parameter of the query, which may be left out.
    pub(super) fn query(mut self, name: &str, meaning: &str, schema: ObjectBuilder) -> Self {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
        self.builder = self.builder.parameter(parameter.description(Some(meaning)).schema(Some(schema)));
        self.problems.push(Code::ValidationFailed);
        self
    }

    /// A page of a list: how long it is, and where it begins.
    pub(super) fn paged(self) -> Self {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(200))
            .default(Some(json!(50)));
        self.query("limit", "How many rows a page has.", limit).query(
            "cursor",
            "Where the page begins: from the Link header of the page before.",
            some_text(),
        )
    }

    /// A JSON body.
    pub(super) fn body<T: ToSchema>(mut self) -> Self {
        let content = Content::new(Some(self.description.schema::<T>()));
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.builder = self.builder.request_body(Some(body.build()));
        self.problems.extend([
            Code::InvalidJson,
            Code::ValidationFailed,
            Code::InvalidRequest,
            Code::RequestTimeout,
            Code::PayloadTooLarge,
            Code::UnsupportedMediaType,
        ]);
        self
    }

    /// A form, whose parameters these are, with what they mean and which values there are, if not any; those that must be
    /// there begin with a `*`.
    pub(super) fn form(mut self, parameters: &[(&str, &str, &[&str])]) -> Self {
        // What is not named here is ignored, but once at most, like everything else.
        let empty = ObjectBuilder::new().additional_properties(Some(string()));
        let schema = parameters.iter().fold(empty, |schema, (name, meaning, values)| {
            let bare = name.trim_start_matches('*');
            let is_required = bare != *name;
            let value = match values {
                [] if is_required => some_text(),
                [] => string(),
                values => one_of(values),
            };
            let schema = schema.property(bare, value.description(Some(*meaning)));
            if is_required { schema.required(bare) } else { schema }
        });
        let body = RequestBodyBuilder::new().content("application/x-www-form-urlencoded", Content::new(Some(schema)));
        self.builder = self.builder.request_body(Some(body.required(Some(Required::True)).build()));
        self
    }

    /// Errors as OAuth libraries read them (RFC 6749 §5.2), and no problems.
    pub(super) fn oauth_errors(mut self, errors: &[(u16, &str)]) -> Self {
        self.problems.clear();
        let always = [
            (408, "invalid_request"),
            (413, "invalid_request"),
            (415, "invalid_request"),
            (500, "server_error"),
            (503, "temporarily_unavailable, server_error"),
        ];
        for (status, names) in errors.iter().chain(&always) {
            let content = Content::new(Some(self.description.schema::<ErrorJson>()));
            let response = ResponseBuilder::new().description(*names).content("application/json", content);
            self.answers.push((*status, response));
        }
        self
    }

    /// One of two answers.
    pub(super) fn answers_either<T: ToSchema, U: ToSchema>(mut self, status: u16, meaning: &str) -> Self {
        let (one, other) = (self.description.schema::<T>(), self.description.schema::<U>());
        let content = Content::new(Some(AnyOfBuilder::new().item(one).item(other)));
        let response = ResponseBuilder::new().description(meaning).content("application/json", content);
        self.answers.push((status, response));
        self
    }

    /// An answer without a body.
    pub(super) fn answers_nothing(mut self, status: u16, meaning: &str) -> Self {
        self.answers.push((status, ResponseBuilder::new().description(meaning)));
        self
    }

    /// An answer with this for a body.
    pub(super) fn answers<T: ToSchema>(mut self, status: u16, meaning: &str) -> Self {
        let content = Content::new(Some(self.description.schema::<T>()));
        let response = ResponseBuilder::new().description(meaning).content("application/json", content);
        self.answers.push((status, response));
        self
    }

    /// An answer with an array of these for a body.
    pub(super) fn answers_many<T: ToSchema>(mut self, meaning: &str) -> Self {
        let items = ArrayBuilder::new().items(self.description.schema::<T>());
        let content = Content::new(Some(items));
        let response = ResponseBuilder::new().description(meaning).content("application/json", content);
        self.answers.push((200, response));
        self
    }

    /// Something else than JSON.
    pub(super) fn answers_as(mut self, status: u16, meaning: &str, media_type: &str) -> Self {
        let response = ResponseBuilder::new().description(meaning).content(media_type, Content::new(Some(string())));
        self.answers.push((status, response));
        self
    }

    /// It writes, which a full disk refuses.
    pub(super) fn writes(mut self) -> Self {
        self.problems.push(Code::StorageFull);
        self
    }

    /// Problems besides those that follow from the caller, the body and the parameters.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.problems.extend_from_slice(codes);
        self
    }

    /// Puts it into the document. Problems with one status are one answer, whose codes are named.
    pub(super) fn done(mut self) {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in self.problems {
            let codes = by_status.entry(code.status().as_u16()).or_default();
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        for (status, codes) in by_status {
            let meaning: Vec<_> = codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect();
            let names = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(codes.iter().map(|code| code.as_str())));
            let schema = AllOfBuilder::new()
                .item(Ref::from_schema_name(ProblemBody::name()))
                .item(ObjectBuilder::new().property("code", names));
            let content = Content::new(Some(schema));
            let response = ResponseBuilder::new().description(meaning.join(" "));
            self.answers.push((status, response.content("application/problem+json", content)));
        }
        let builder = self.answers.into_iter().fold(self.builder, |builder, (status, response)| {
            let response =
                links::of(self.id, status).fold(response, |response, (name, link)| response.link(name, link));
            let response = headers(status).fold(response, |response, (name, meaning)| {
                response.header(name, HeaderBuilder::new().schema(Some(string())).description(Some(meaning)).build())
            });
            builder.response(status.to_string(), response)
        });
        self.description.paths.add_path_operation(self.path, vec![self.method], builder);
    }
}

/// The headers that an answer with this status may have besides those of every answer.
fn headers(status: u16) -> impl Iterator<Item = (&'static str, &'static str)> {
    let headers: &[_] = match status {
        201 => &[("Location", "Where to find what was made.")],
        304 => &[("ETag", "Which version it is.")],
        401 => &[("WWW-Authenticate", "How to say who one is (RFC 9110 §11.6.1).")],
        429 | 503 => &[("Retry-After", "After how many seconds it may go better.")],
        _ => &[],
    };
    headers.iter().copied()
}

/// What a variable part of a path looks like.
fn part(path: &str, name: &str) -> ObjectBuilder {
    match name {
        "id" if path.starts_with("/api/users/") => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1)),
        "id" => string().pattern(Some("^rlc_[A-Za-z0-9_-]{16}$")),
        "sid" => uuid(),
        _ => some_text(),
    }
}

/// Any string.
pub(super) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// One of these strings.
pub(super) fn one_of(values: &[&str]) -> ObjectBuilder {
    string().enum_values(Some(values.iter().copied()))
}

/// A string that is not empty.
fn some_text() -> ObjectBuilder {
    string().min_length(Some(1))
}

/// An id of a session, a client, a secret or a request.
fn uuid() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}
