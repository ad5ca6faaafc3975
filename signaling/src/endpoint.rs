//! The endpoints, one file each.

pub(crate) mod health;
pub(crate) mod lan_grants;
pub(crate) mod live;
pub(crate) mod media_grants;
pub(crate) mod page;
pub(crate) mod roq_publish;
pub(crate) mod roq_sessions;
pub(crate) mod rtsp_handles;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod websocket_sessions;
pub(crate) mod websockets;
pub(crate) mod webtransport_sessions;
pub(crate) mod whep;
pub(crate) mod whip;

mod offer;
