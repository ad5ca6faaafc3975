//! Which text of a purpose is in force for whom. The catalogue is the general policy; for a product,
//! which is a kind of client as it names itself when it signs in, the operator may lay down another
//! one. A product's policy takes precedence over the general one for the same purpose, member by
//! member, and a consent holds for the policy and the version that it was given to.
//!
//! A product's policy narrows: it covers no data that the catalogue does not name, and what may be
//! refused in general may be refused under it. What the service cannot do without is not its to say.

mod file;

use crate::ControlPlane;
use crate::consent::{ConsentError, MEDIA_VIEW, PURPOSES, Purpose};
use crate::error::Inner;
use crate::limits::PRODUCT_POLICIES;
use crate::storage::model::{ConsentState, PolicyMark, ProductPolicy, ProductPolicyPut, Session};

/// Id of the general policy.
pub const GENERAL: &str = "general";

/// Why a policy is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON, or too long.
    #[error("the policy is not understood: {0}")]
    Unreadable(String),
    /// A key is wrong.
    #[error("the policy's key {key} is wrong: {reason}")]
    Key {
        /// Key at fault.
        key: String,
        /// Why.
        reason: String,
    },
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl PolicyError {
    fn key(key: &str, reason: impl ToString) -> Self {
        Self::Key { key: key.to_owned(), reason: reason.to_string() }
    }
}

/// The policy of a purpose that is in force for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    general: &'static Purpose,
    own: Option<ProductPolicy>,
}

impl InForce {
    /// Of a purpose for a product, out of all policies of products.
    pub fn of(general: &'static Purpose, product: &str, policies: &[ProductPolicy]) -> Self {
        let fits =
            |policy: &&ProductPolicy| policy.product == product && policy.purpose == general.id;
        Self { general, own: policies.iter().find(fits).cloned() }
    }

    /// The purpose, as the general policy has it.
    pub fn general(&self) -> &'static Purpose {
        self.general
    }

    /// The product's policy, if it is that.
    pub fn own(&self) -> Option<&ProductPolicy> {
        self.own.as_ref()
    }

    /// Id of the policy.
    pub fn id(&self) -> &str {
        self.own.as_ref().map_or(GENERAL, |own| &own.id)
    }

    /// Version of the policy.
    pub fn version(&self) -> u32 {
        self.own.as_ref().map_or(self.general.version, |own| own.version)
    }

    /// Whether the purpose may be refused.
    pub fn optional(&self) -> bool {
        self.own.as_ref().and_then(|own| own.optional).unwrap_or(self.general.optional)
    }

    /// Data that it covers.
    pub fn fields(&self) -> Vec<&str> {
        match self.own.as_ref().and_then(|own| own.fields.as_ref()) {
            Some(fields) => fields.iter().map(String::as_str).collect(),
            None => self.general.fields.to_vec(),
        }
    }

    /// How long the data is kept.
    pub fn retention(&self) -> &str {
        let own = self.own.as_ref().and_then(|own| own.retention.as_deref());
        own.unwrap_or(self.general.retention)
    }

    /// Text, English and Chinese.
    pub fn text(&self) -> (&str, &str) {
        let own = self.own.as_ref().and_then(|own| own.text.as_ref());
        own.map_or((self.general.en, self.general.zh), |(en, zh)| (en, zh))
    }

    /// Members that the product's policy lays down in place of the general ones.
    pub fn overridden(&self) -> Vec<&'static str> {
        let Some(own) = &self.own else { return Vec::new() };
        let members = [
            ("fields", own.fields.is_some()),
            ("optional", own.optional.is_some()),
            ("retention", own.retention.is_some()),
            ("text", own.text.is_some()),
        ];
        members.into_iter().filter_map(|(name, laid_down)| laid_down.then_some(name)).collect()
    }

    /// What a decision under it is marked with.
    pub(crate) fn mark(&self) -> Option<PolicyMark> {
        let own = self.own.as_ref()?;
        Some(PolicyMark { product: own.product.clone(), policy: own.id.clone() })
    }

    /// Whether a decision is a consent to just this.
    pub(crate) fn agreed(&self, state: &ConsentState) -> bool {
        let same = state.purpose == self.general.id && state.version == self.version();
        same && state.granted && state.policy == self.mark()
    }
}

impl ControlPlane {
    /// Policies of products, by product and purpose.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn product_policies(&self) -> Result<Vec<ProductPolicy>, Inner> {
        Ok(self.store().product_policies().await?)
    }

    /// For each purpose, what is in force for a product.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn policies_in_force(&self, product: &str) -> Result<Vec<InForce>, Inner> {
        let policies = self.product_policies().await?;
        Ok(PURPOSES.iter().map(|purpose| InForce::of(purpose, product, &policies)).collect())
    }

    /// Puts a policy of a product in force: the text of a JSON file. Consents to what was in force
    /// for the product before hold no longer.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub async fn put_product_policy(&self, text: &[u8]) -> Result<ProductPolicy, PolicyError> {
        let policy = file::read(text)?;
        let cut = policy.purpose == MEDIA_VIEW.id;
        let put = self.store().product_policy_put(&policy, PRODUCT_POLICIES, cut, self.now()).await;
        match put.map_err(Inner::from)? {
            ProductPolicyPut::Done => Ok(policy),
            ProductPolicyPut::OtherPlace => {
                Err(PolicyError::key("id", "it belongs to another product or purpose"))
            }
            ProductPolicyPut::NotNewer(last) => {
                Err(PolicyError::key("version", format!("it must be above {last}")))
            }
            ProductPolicyPut::Taken(id) => {
                let reason = format!("the product has the policy {id} for it; remove that first");
                Err(PolicyError::key("purpose", reason))
            }
            ProductPolicyPut::Full => {
                let reason = format!("there are {PRODUCT_POLICIES} policies; remove one first");
                Err(PolicyError::key("id", reason))
            }
        }
    }

    /// Takes a policy of a product out of force; the general one is in force again. `false`: there is
    /// none of this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_product_policy(&self, id: &str) -> Result<bool, Inner> {
        let removed = self.store().product_policy_remove(id, MEDIA_VIEW.id, self.now()).await?;
        Ok(removed.is_some())
    }

    /// What is in force of a purpose for whoever is signed in.
    pub(crate) async fn in_force_for(
        &self,
        session: &Session,
        purpose: &'static Purpose,
    ) -> Result<InForce, Inner> {
        let policies = self.product_policies().await?;
        Ok(InForce::of(purpose, &session.client_type, &policies))
    }

    /// Refuses purposes that are unknown or have another version for this product.
    pub(crate) async fn check_versions(
        &self,
        product: &str,
        consents: &[(String, u32)],
    ) -> Result<(), ConsentError> {
        if consents.is_empty() {
            return Ok(());
        }
        let policies = self.product_policies().await?;
        for (id, version) in consents {
            let purpose = Self::purpose(id)?;
            if InForce::of(purpose, product, &policies).version() != *version {
                return Err(ConsentError::OtherVersion);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
