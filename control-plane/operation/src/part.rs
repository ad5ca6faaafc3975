//! What handlers take: each extractor says what it needs of a request and how it refuses.

use std::future::Future;

use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, Uri};
use utoipa::ToSchema;

use crate::answer::{Answer, Success};
use crate::refused::{Refusals, Refused};
use crate::schemas::{Schemas, members};
use crate::table::{Parameter, Taken};

/// Media type of forms.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// What a request must show, as its extractors ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential {
    /// Possession of a key.
    Key,
    /// A login and its key.
    Login,
}

/// What a handler's types say of its operation.
#[derive(Debug, Default)]
pub struct Draft {
    pub(crate) schemas: Schemas,
    pub(crate) credential: Option<Credential>,
    pub(crate) taken: Option<Taken>,
    pub(crate) query: Vec<Parameter>,
    pub(crate) successes: Vec<Success>,
    pub(crate) refusals: Vec<Refused>,
}

impl Draft {
    /// The request must show this.
    pub fn shows(&mut self, credential: Credential) {
        self.credential = Some(credential);
    }

    /// The body is JSON of this type.
    pub fn takes<T: ToSchema>(&mut self) {
        let schema = self.schemas.add::<T>();
        self.taken = Some(Taken { kind: "application/json", schema });
    }

    /// The body is a form of this type's members.
    pub fn takes_form<T: ToSchema>(&mut self) {
        let schema = self.schemas.add::<T>();
        self.taken = Some(Taken { kind: FORM, schema });
    }

    /// The query has the members of this type.
    pub fn queries<T: ToSchema>(&mut self) {
        self.query.extend(members::<T>().into_iter().map(|(name, schema, required)| Parameter {
            name,
            place: "query",
            schema,
            required,
        }));
    }

    /// The extractor refuses so.
    pub fn refuses(&mut self, refusals: &[Refused]) {
        self.refusals.extend_from_slice(refusals);
    }

    /// The same, by the error's type.
    pub fn may<E: Refusals>(&mut self) {
        self.refusals.extend(E::refusals());
    }
}

/// An extractor.
pub trait Part {
    /// What it says of the operation.
    fn describe(draft: &mut Draft);
}

macro_rules! says_nothing {
    ($([$($generic:ident)?] $kind:ty),+ $(,)?) => {
        $(impl$(<$generic>)? Part for $kind {
            fn describe(_: &mut Draft) {}
        })+
    };
}

// Parameters of the path stand in its template.
says_nothing!([T] State<T>, [T] Path<T>, [T] Extension<T>, [] Body, [] Request, [] HeaderMap, [] Uri);

impl<T: Part> Part for Option<T> {
    fn describe(draft: &mut Draft) {
        T::describe(draft);
    }
}

impl<T: Part, E> Part for Result<T, E> {
    fn describe(draft: &mut Draft) {
        T::describe(draft);
    }
}

impl Part for axum::extract::ws::WebSocketUpgrade {
    fn describe(_: &mut Draft) {}
}

/// A handler all of whose types say what they are. `A` holds its parameters, for the compiler to
/// tell handlers with few from those with many.
pub trait Described<A> {
    /// What they say.
    fn draft() -> Draft;
}

macro_rules! described {
    ($($part:ident),*) => {
        impl<F, Fut, R, $($part),*> Described<($($part,)*)> for F
        where
            F: Fn($($part),*) -> Fut,
            Fut: Future<Output = R>,
            R: Answer,
            $($part: Part),*
        {
            fn draft() -> Draft {
                let mut draft = Draft::default();
                $($part::describe(&mut draft);)*
                draft.successes = R::successes(&mut draft.schemas);
                draft
            }
        }
    };
}

described!();
described!(A1);
described!(A1, A2);
described!(A1, A2, A3);
described!(A1, A2, A3, A4);
described!(A1, A2, A3, A4, A5);
described!(A1, A2, A3, A4, A5, A6);
described!(A1, A2, A3, A4, A5, A6, A7);
described!(A1, A2, A3, A4, A5, A6, A7, A8);
