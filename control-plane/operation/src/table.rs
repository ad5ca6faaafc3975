//! The table of operations, and the router that comes of it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::handler::Handler;
use axum::http::header;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::Value;
use utoipa::ToSchema;

use crate::answer::Success;
use crate::part::{Credential, Described};
use crate::refused::{Refusals, Refused, RefusedAs, refused};
use crate::rule::Rule;
use crate::schemas::Schemas;

/// The purpose of an operation that processes no personal data.
pub const NO_PURPOSE: &str = "none";

/// Names a request, so that its repetition is not a second one.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A query that the operation does not know.
pub const QUERY_UNKNOWN: Refused = refused(
    400,
    "query-unknown",
    "The query has a member twice, or one that the operation does not take",
);
/// A key on an operation that takes none.
const KEY_UNSUPPORTED: Refused = refused(
    400,
    "idempotency-key-unsupported",
    "The operation takes no Idempotency-Key; what it answers is not kept",
);

/// What extractors may know of the operation that they serve: rides on each request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Who may ask.
    pub rule: Rule,
    /// For which purpose personal data is processed.
    pub purpose: &'static str,
}

/// A parameter of path or query.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// `path` or `query`.
    pub place: &'static str,
    /// JSON schema.
    pub schema: Value,
    /// Whether it must be there.
    pub required: bool,
}

/// A body that an operation takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Taken {
    /// Media type.
    pub kind: &'static str,
    /// JSON schema.
    pub schema: Value,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Method, lower case.
    pub method: &'static str,
    /// Path with its parameters in braces.
    pub path: &'static str,
    /// Who may ask.
    pub rule: Rule,
    /// Purpose of processing, an id of the catalogue or [`NO_PURPOSE`].
    pub purpose: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What the extractors ask for.
    pub credential: Option<Credential>,
    /// Parameters of path and query.
    pub parameters: Vec<Parameter>,
    /// Body that it takes.
    pub taken: Option<Taken>,
    /// Answers of success.
    pub successes: Vec<Success>,
    /// Problems.
    pub refusals: Vec<Refused>,
    /// Media type and schema of refusals in the words of another protocol, beside problems.
    pub errors: Option<(&'static str, Value)>,
    /// Whether the description lists it.
    pub listed: bool,
    /// Whether it takes an Idempotency-Key.
    pub keyed: bool,
}

struct Entry<S> {
    operation: Operation,
    schemas: Schemas,
    route: MethodRouter<S>,
}

/// What is said of an operation beyond what its handler's types say.
pub struct Saying<'a, S>(&'a mut Entry<S>);

impl<S: Clone + Send + Sync + 'static> Saying<'_, S> {
    /// It refuses as this error does.
    pub fn may<E: Refusals>(self) -> Self {
        self.refuses(&E::refusals())
    }

    /// It refuses so.
    pub fn refuses(self, refusals: &[Refused]) -> Self {
        self.0.operation.refusals.extend_from_slice(refusals);
        self
    }

    /// It refuses in JSON of this type, too, as the protocol that it belongs to wants it.
    pub fn errs_as<T: ToSchema>(self) -> Self {
        let schema = self.0.schemas.add::<T>();
        self.0.operation.errors = Some(("application/json", schema));
        self
    }

    /// It takes JSON of this type, which its handler reads by itself.
    pub fn takes<T: ToSchema>(self) -> Self {
        let schema = self.0.schemas.add::<T>();
        self.0.operation.taken = Some(Taken { kind: "application/json", schema });
        self
    }

    /// It takes text of this media type.
    pub fn takes_text(self, kind: &'static str) -> Self {
        let schema = serde_json::json!({ "type": "string" });
        self.0.operation.taken = Some(Taken { kind, schema });
        self
    }

    /// It answers so, too.
    pub fn answers(self, status: u16, kind: Option<&'static str>) -> Self {
        let shape = if kind == Some("application/json") { "object" } else { "string" };
        let content = kind.map(|kind| (kind, serde_json::json!({ "type": shape })));
        self.0.operation.successes.push(Success { status, content });
        self
    }

    /// Its route alone is changed, e.g. for a larger body.
    pub fn routed(self, change: impl FnOnce(MethodRouter<S>) -> MethodRouter<S>) -> Self {
        self.0.route = change(std::mem::take(&mut self.0.route));
        self
    }
}

/// Operations of a router.
pub struct Table<S> {
    entries: Vec<Entry<S>>,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $method:literal $filter:ident;)+) => {
        $($(#[$doc])*
        pub fn $name<H, T, A>(
            &mut self,
            path: &'static str,
            rule: Rule,
            (purpose, summary): (&'static str, &'static str),
            handler: H,
        ) -> Saying<'_, S>
        where
            H: Handler<T, S> + Described<A>,
            T: 'static,
        {
            let route = on(MethodFilter::$filter, handler);
            self.add::<H, A>(($method, path), rule, (purpose, summary), route)
        })+
    };
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    methods! {
        /// Adds a GET. The pair is the purpose of processing and what the operation does, in a line.
        get "get" GET;
        /// Adds a POST.
        post "post" POST;
        /// Adds a PUT.
        put "put" PUT;
        /// Adds a PATCH.
        patch "patch" PATCH;
        /// Adds a DELETE.
        delete "delete" DELETE;
        /// Adds a HEAD.
        head "head" HEAD;
        /// Adds an OPTIONS.
        options "options" OPTIONS;
    }

    /// Adds a file of the page: public, and not part of the API.
    pub fn page<H, T>(&mut self, path: &'static str, handler: H)
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let operation = Operation {
            method: "get",
            path,
            rule: Rule::Public,
            purpose: NO_PURPOSE,
            summary: "A file of the page",
            credential: None,
            parameters: Vec::new(),
            taken: None,
            successes: Vec::new(),
            refusals: Vec::new(),
            errors: None,
            listed: false,
            keyed: false,
        };
        let route = on(MethodFilter::GET, handler);
        self.entries.push(Entry { operation, schemas: Schemas::default(), route });
    }

    fn add<H: Described<A>, A>(
        &mut self,
        (method, path): (&'static str, &'static str),
        rule: Rule,
        (purpose, summary): (&'static str, &'static str),
        route: MethodRouter<S>,
    ) -> Saying<'_, S> {
        let draft = H::draft();
        let mut parameters = path_parameters(path);
        parameters.extend(draft.query);
        let operation = Operation {
            method,
            path,
            rule,
            purpose,
            summary,
            credential: draft.credential,
            parameters,
            taken: draft.taken,
            successes: draft.successes,
            refusals: draft.refusals,
            errors: None,
            listed: true,
            keyed: false,
        };
        self.entries.push(Entry { operation, schemas: draft.schemas, route });
        Saying(self.entries.last_mut().expect("an entry was just added"))
    }

    /// Every operation, those that the description leaves out too.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.entries.iter().map(|entry| &entry.operation)
    }

    /// The schemas of all.
    #[must_use]
    pub fn schemas(&self) -> Schemas {
        let mut all = Schemas::default();
        for entry in &self.entries {
            all.join(&entry.schemas);
        }
        all
    }

    /// Changes what is said of the operations.
    pub fn amend(&mut self, change: impl Fn(&mut Operation)) {
        self.entries.iter_mut().for_each(|entry| change(&mut entry.operation));
    }

    /// Says of every operation that it refuses a query or an Idempotency-Key that it does not take.
    pub fn guard(&mut self) {
        self.amend(|operation| {
            if operation.guarded() {
                operation.refusals.push(QUERY_UNKNOWN);
            }
            if operation.guarded() && operation.changes() && !operation.keyed {
                operation.refusals.push(KEY_UNSUPPORTED);
            }
        });
    }

    /// Does so, in the words of the part that it belongs to.
    #[must_use]
    pub fn guarded(self, refuse: fn(Refused) -> Response) -> Self {
        self.layered(|operation, route| {
            if !operation.guarded() {
                return route;
            }
            let known: Arc<[String]> =
                operation.query().map(|parameter| parameter.name.clone()).collect();
            let keyless = operation.changes() && !operation.keyed;
            let guard = move |request: Request, next: Next| {
                let known = Arc::clone(&known);
                async move {
                    if !knows(&known, request.uri().query().unwrap_or_default()) {
                        return refuse(QUERY_UNKNOWN);
                    }
                    if keyless && request.headers().contains_key(IDEMPOTENCY_KEY) {
                        return refuse(KEY_UNSUPPORTED);
                    }
                    next.run(request).await
                }
            };
            route.route_layer(from_fn(guard))
        })
    }

    /// Makes every answer that is not described a panic. For tests.
    #[must_use]
    pub fn checked(mut self) -> Self {
        for entry in self.entries.iter_mut().filter(|entry| entry.operation.listed) {
            let operation = Arc::new(entry.operation.clone());
            let check = move |request: Request, next: Next| {
                let operation = Arc::clone(&operation);
                async move {
                    let response = next.run(request).await;
                    operation.check(&response);
                    response
                }
            };
            entry.route = std::mem::take(&mut entry.route).route_layer(from_fn(check));
        }
        self
    }

    /// Changes the route of every operation.
    #[must_use]
    pub fn layered(
        mut self,
        change: impl Fn(&Operation, MethodRouter<S>) -> MethodRouter<S>,
    ) -> Self {
        for entry in &mut self.entries {
            entry.route = change(&entry.operation, std::mem::take(&mut entry.route));
        }
        self
    }

    /// The router. Requests carry [`Declared`].
    pub fn router(self) -> Router<S> {
        self.entries.into_iter().fold(Router::new(), |router, entry| {
            let Operation { path, rule, purpose, .. } = entry.operation;
            let declared = Extension(Declared { rule, purpose });
            router.route(path, entry.route.route_layer(declared))
        })
    }
}

impl Operation {
    /// Whether it may change something.
    #[must_use]
    pub fn changes(&self) -> bool {
        matches!(self.method, "post" | "put" | "patch" | "delete")
    }

    /// It takes an Idempotency-Key of at most so many characters.
    pub fn takes_key(&mut self, most: usize) {
        self.keyed = true;
        self.parameters.push(Parameter {
            name: "Idempotency-Key".to_owned(),
            place: "header",
            schema: serde_json::json!({
                "type": "string", "minLength": 1, "maxLength": most, "pattern": "^[!#-\\[\\]-~]+$",
            }),
            required: false,
        });
    }

    /// What may stand in the query.
    pub fn query(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.place == "query")
    }

    /// Preflights and discovery are asked by foreign players, with whatever they have.
    fn guarded(&self) -> bool {
        self.listed && (self.changes() || self.method == "get")
    }

    /// Whether the extractors ask for what the rule wants. Handlers that read the request by
    /// themselves are not seen through.
    #[must_use]
    pub fn rule_fits_handler(&self) -> bool {
        let wanted = match self.rule {
            rule if rule.needs_login() => Some(Credential::Login),
            Rule::Key | Rule::Device => Some(Credential::Key),
            _ => None,
        };
        self.credential == wanted
    }

    fn check(&self, response: &Response) {
        let status = response.status().as_u16();
        let what = format!("{} {} answered {status}", self.method, self.path);
        if status < 400 {
            let known = self.successes.iter().any(|success| success.status == status);
            assert!(known, "{what}, which it does not declare");
            return;
        }
        let problem = response.extensions().get::<RefusedAs>();
        let problem = problem.unwrap_or_else(|| panic!("{what} without a problem"));
        let waits = response.headers().contains_key(header::RETRY_AFTER);
        assert!(waits || !matches!(status, 429 | 503), "{what} without Retry-After");
        if *problem == RefusedAs::KEPT {
            return;
        }
        let same = |known: &&Refused| known.status == status && known.name == problem.0;
        let known = self.refusals.iter().find(same).is_some();
        assert!(known, "{what} {}, which it does not declare", problem.0);
    }
}

/// Whether a query has only known members, each once.
fn knows(known: &[String], query: &str) -> bool {
    let mut seen = Vec::new();
    query.split('&').filter(|part| !part.is_empty()).all(|part| {
        let name = part.split('=').next().unwrap_or(part);
        let fits = known.iter().any(|known| known == name) && !seen.contains(&name);
        seen.push(name);
        fits
    })
}

/// The parameters in braces.
fn path_parameters(path: &str) -> Vec<Parameter> {
    let names = path.split('{').skip(1).filter_map(|part| part.split('}').next());
    let parameter = |name: &str| {
        let schema = match name {
            "channel" => serde_json::json!({ "type": "integer", "minimum": 0, "maximum": 65535 }),
            _ => serde_json::json!({ "type": "string", "minLength": 1 }),
        };
        Parameter { name: name.to_owned(), place: "path", schema, required: true }
    };
    names.map(parameter).collect()
}
