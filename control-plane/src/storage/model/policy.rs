//! Rows about policies of products.

/// Which policy of a product a decision was taken under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyMark {
    /// Product.
    pub product: String,
    /// Policy.
    pub policy: String,
}

/// What the operator lays down for a product in place of the general text of a purpose. What is
/// `None` is as the general policy has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductPolicy {
    /// Id.
    pub id: String,
    /// Product: a kind of client, as it names itself when it signs in.
    pub product: String,
    /// Purpose.
    pub purpose: String,
    /// Version of this policy; rises with each change.
    pub version: u32,
    /// Whether the purpose may be refused.
    pub optional: Option<bool>,
    /// Data that it covers.
    pub fields: Option<Vec<String>>,
    /// How long the data is kept.
    pub retention: Option<String>,
    /// Text, English and Chinese.
    pub text: Option<(String, String)>,
}

/// How putting a policy in force ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductPolicyPut {
    /// It is.
    Done,
    /// The id belongs to another product or purpose.
    OtherPlace,
    /// The id has had this version already, or a later one.
    NotNewer(u32),
    /// The product has a policy of this id for the purpose.
    Taken(String),
    /// There are as many as there may be.
    Full,
}
