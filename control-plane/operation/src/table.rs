//! The table of operations, and the router that comes of it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::Value;
use utoipa::ToSchema;

use crate::answer::Success;
use crate::part::{Credential, Described};
use crate::refused::{Refusals, Refused, RefusedAs};
use crate::rule::Rule;
use crate::schemas::Schemas;

/// The purpose of an operation that processes no personal data.
pub const NO_PURPOSE: &str = "none";

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
    /// Whether the description lists it.
    pub listed: bool,
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
        let text = serde_json::json!({ "type": "string" });
        let content = kind.map(|kind| (kind, text));
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
            listed: false,
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
            listed: true,
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
        let same = |known: &&Refused| known.status == status && known.name == problem.0;
        let known = self.refusals.iter().find(same).is_some();
        assert!(known, "{what} {}, which it does not declare", problem.0);
    }
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
