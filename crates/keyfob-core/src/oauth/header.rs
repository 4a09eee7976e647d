//! Headers of a request that carry a credential, or stand beside one.

use alloc::borrow::Cow;

use crate::Secret;

/// A header to send: its name, which configuration may have given, and its value.
pub type Header = (Cow<'static, str>, Secret);
