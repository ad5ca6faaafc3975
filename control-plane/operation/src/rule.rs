//! Who may ask for an operation.

/// Who may ask for an operation. Every operation has one; a test plays every kind of caller against
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// Anybody.
    Public,
    /// Whoever proves possession of a key (RFC 9449), without a login.
    Key,
    /// The same, or a login; what is asked for decides.
    KeyOrLogin,
    /// A login of an account that agreed to the policy.
    Login,
    /// The same, of the person's own: not one that an app has. For whatever changes how somebody
    /// signs in, or shows other apps.
    OwnLogin,
    /// A login, also one in basic mode, which agreed to nothing.
    BasicLogin,
    /// A login of the account that owns the device of the path or body.
    Owner,
    /// The owner, or a guest with whom the device is shared with this scope (`view`, `talk`... or
    /// `any`).
    OwnerOrGuest(&'static str),
    /// A device, by its identity key.
    Device,
    /// A device, by its publish password.
    Publisher,
    /// The terminal for which a media grant was signed.
    Grant,
    /// Whoever knows the unguessable part of the path.
    Ticket,
    /// An app, by its client id and what goes with it.
    Client,
    /// An app, by an access token of a login that it has.
    App,
    /// The operator.
    Operator,
}

impl Rule {
    /// Stable name, `x-rule` of the description.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Public => "public",
            Self::Key => "key",
            Self::KeyOrLogin => "key-or-login",
            Self::Login => "login",
            Self::OwnLogin => "own-login",
            Self::BasicLogin => "basic-login",
            Self::Owner => "owner",
            Self::OwnerOrGuest(scope) => return format!("owner-or-guest:{scope}"),
            Self::Device => "device",
            Self::Publisher => "publisher",
            Self::Grant => "grant",
            Self::Ticket => "ticket",
            Self::Client => "client",
            Self::App => "app",
            Self::Operator => "operator",
        };
        name.to_owned()
    }

    /// Whether a request shows an access token.
    #[must_use]
    pub fn needs_login(self) -> bool {
        matches!(
            self,
            Self::Login
                | Self::OwnLogin
                | Self::BasicLogin
                | Self::Owner
                | Self::OwnerOrGuest(_)
                | Self::Operator
        )
    }

    /// Whether a login that a first-party app has is as good as the person's own.
    #[must_use]
    pub fn admits_apps(self) -> bool {
        matches!(
            self,
            Self::KeyOrLogin | Self::Login | Self::BasicLogin | Self::Owner | Self::OwnerOrGuest(_)
        )
    }

    /// The ways to authenticate, any one of them, each a set of security schemes.
    pub(crate) fn security(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Public | Self::Ticket => &[],
            Self::Key | Self::Device => &[&["proof"]],
            Self::KeyOrLogin => &[&["proof"], &["login", "proof"]],
            Self::Publisher => &[&["publisher"]],
            Self::Grant => &[&["grant", "proof"]],
            Self::Client => &[&["client"], &["client", "proof"], &["proof"]],
            Self::App => &[&["app"], &["login", "proof"]],
            _ => &[&["login", "proof"]],
        }
    }
}
