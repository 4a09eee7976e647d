//! `keyfob setup azure`: the file that the agent keeps for Azure's libraries. They have no configuration but variables, which are said.

use keyfob::Error;

use super::kept::Kept;
use crate::args::{Global, SetupAzure};

pub(super) fn azure<'a>(global: &'a Global, args: &SetupAzure) -> Result<Kept<'a>, Error> {
    let mut kept = Kept::of(global, "azure", args.keep.as_ref())?;
    kept.next = vec![
        "Set for the program that uses Azure:".into(),
        format!("  AZURE_FEDERATED_TOKEN_FILE={}", kept.path),
        "  AZURE_CLIENT_ID and AZURE_TENANT_ID: of the application whose federated credential names this provider and you".into(),
    ];
    Ok(kept)
}
