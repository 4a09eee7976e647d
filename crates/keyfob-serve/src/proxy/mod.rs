//! The proxy.

#[cfg_attr(not(test), expect(dead_code, reason = "the proxy that uses it comes with the next change"))]
pub(crate) mod head;
#[cfg_attr(not(test), expect(dead_code, reason = "the proxy that uses it comes with the next change"))]
pub(crate) mod scrub;
