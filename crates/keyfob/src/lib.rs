//! Signs a person or a machine in once and hands every program a valid credential.
