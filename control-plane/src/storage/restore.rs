//! What the control plane asks of its database after a backup was put back.

use async_trait::async_trait;

use super::Stored;
use super::model::DeviceEpochs;
use crate::device::DeviceKnown;
use crate::ids::Serial;

/// Suspended bindings.
#[async_trait]
pub trait RestoreStore {
    /// Takes a camera's word on its suspended binding: if it knows no later one, the binding is in force
    /// again, without what it knows a later state of; if it does, the binding is over. The epochs
    /// after it; `None`: no binding waits, or the camera has lost its memory.
    async fn binding_settle(
        &self,
        serial: &Serial,
        known: DeviceKnown,
        now: u64,
    ) -> Stored<Option<DeviceEpochs>>;
}
