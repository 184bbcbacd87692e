//! stub
use autoscalebot_core::fields::{Description, FieldError, NotifyKind};

use crate::NotifyEntry;

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description { name: "email", doc: "An e-mail.", fields: &[], shorthand: &[] },
        check: |_| Ok(()),
    },
    build: |_| Err(FieldError::new("type", "not yet")),
};
