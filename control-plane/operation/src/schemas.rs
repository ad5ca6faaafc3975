//! The named schemas of the description.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// Schemas by name.
#[derive(Clone, Debug, Default)]
pub struct Schemas(pub(crate) BTreeMap<String, Value>);

impl Schemas {
    /// Takes in a type with all that it consists of. Returns a reference to it.
    ///
    /// # Panics
    /// When another type has the name already: both would be described as one.
    pub fn add<T: ToSchema>(&mut self) -> Value {
        let mut found = Vec::new();
        T::schemas(&mut found);
        let name = T::name().into_owned();
        found.push((name.clone(), T::schema()));
        for (name, schema) in found {
            self.insert(name, &schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn insert(&mut self, name: String, schema: &RefOr<Schema>) {
        let schema = value(schema);
        if let Some(present) = self.0.get(&name) {
            assert!(*present == schema, "two types are called {name}; give one another name");
            return;
        }
        self.0.insert(name, schema);
    }

    /// Joins those of another table.
    ///
    /// # Panics
    /// See [`Schemas::add`].
    pub(crate) fn join(&mut self, others: &Self) {
        for (name, schema) in &others.0 {
            let present = self.0.entry(name.clone()).or_insert_with(|| schema.clone());
            assert!(present == schema, "two types are called {name}; give one another name");
        }
    }
}

/// The members of a flat object: name, schema, whether it must be there.
pub(crate) fn members<T: ToSchema>() -> Vec<(String, Value, bool)> {
    let schema = value(&T::schema());
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members = schema["properties"].as_object().into_iter().flatten();
    members
        .map(|(name, schema)| (name.clone(), schema.clone(), required.contains(&name.as_str())))
        .collect()
}

fn value(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).expect("a schema is JSON")
}
