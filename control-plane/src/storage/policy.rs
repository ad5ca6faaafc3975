//! What policies of products ask of the database.

use async_trait::async_trait;

use super::Stored;
use super::model::{ProductPolicy, ProductPolicyPut};

/// What the operator lays down for products.
#[async_trait]
pub trait ProductPolicyStore {
    /// Policies in force, by product and purpose.
    async fn product_policies(&self) -> Stored<Vec<ProductPolicy>>;
    /// Puts one in force, if there are fewer than `most` or it replaces one. `cut`: leases of accounts
    /// that use the product end.
    async fn product_policy_put(
        &self,
        policy: &ProductPolicy,
        most: u64,
        cut: bool,
        now: u64,
    ) -> Stored<ProductPolicyPut>;
    /// Takes one out of force: its purpose, or `None` when there is none of this id. `cut` says for
    /// which purpose leases of accounts that use the product end.
    async fn product_policy_remove(
        &self,
        id: &str,
        cut: &'static str,
        now: u64,
    ) -> Stored<Option<String>>;
}
