//! The page that the loopback callback shows in the browser. It has no script, no frame, no external resource, and no
//! text from the request.

use std::{io::Write, net::TcpStream};

/// Answers one request, and says that there will be no other on this connection.
pub(super) fn respond(mut stream: &TcpStream, status: &str, headers: &[(&str, &str)], body: &str) {
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         X-Frame-Options: DENY\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-{STYLE_HASH}'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// The style of the closing pages; [`STYLE_HASH`] lets just this one in.
const STYLE: &str = ":root{color-scheme:light dark}body{font:1.1rem/1.6 system-ui,sans-serif;margin:0;min-height:100vh;\
display:grid;place-items:center;background:Canvas;color:CanvasText}main{max-width:28rem;padding:2rem}h1{font-size:1.5rem;\
margin:0 0 .5rem}p{margin:0}";
/// SHA-256 of [`STYLE`], base64; a test computes it again.
const STYLE_HASH: &str = "pTyZUlLSo46ZRKDxQthjRZpYIzAFZCMu+hDBRnoMKzg=";

/// A page of constants: nothing from a request is ever in it.
pub(super) fn page(title: &str, text: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} · keyfob</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_is_the_one_the_policy_lets_in() {
        use base64::{Engine, prelude::BASE64_STANDARD};
        use sha2::{Digest, Sha256};
        assert_eq!(BASE64_STANDARD.encode(Sha256::digest(STYLE)), STYLE_HASH);
    }
}
