//! Reference pages, generated from the tables they document.

mod causes;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod manual;

/// A page as it is committed under `docs/`.
#[cfg(test)]
fn committed(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
