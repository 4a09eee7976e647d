//! The token endpoint's answers as some providers write them: as a form, or with status 200 whatever they say.

use http::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;

use crate::{
    http::call::{Manner, Reply, Said},
    state::{
        faults::{FaultGrant, FaultKind},
        shared::Shared,
    },
};

/// How the answer to a request by this grant is to be written.
pub(crate) fn of(shared: &Shared, grant: FaultGrant) -> Manner {
    Manner {
        form: shared.also_takes(FaultKind::FormAnswer, grant),
        ok: shared.also_takes(FaultKind::Always200, grant),
    }
}

/// The same answer, in this manner.
pub(crate) fn written(mut reply: Reply, manner: Manner) -> Reply {
    if manner.ok {
        *reply.status_mut() = StatusCode::OK;
    }
    if manner.form
        && let Some(Said(Value::Object(members))) = reply.extensions_mut().remove::<Said>()
    {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &members {
            form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        reply.headers_mut().insert(CONTENT_TYPE, kind);
        *reply.body_mut() = form.finish().into();
    }
    reply
}
