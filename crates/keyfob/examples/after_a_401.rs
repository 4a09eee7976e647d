//! Sends one request, and once more with a renewed credential if the answer is 401:
//! `cargo run --example after_a_401 -- URL`.

use keyfob::{Client, Grant, Purpose};

#[expect(clippy::print_stdout, reason = "the answer is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: after_a_401 URL")?;
    let client = Client::from_env()?;
    let origin = url::Url::parse(&url)?.origin().ascii_serialization();
    if !client.may_go_to(Purpose::Api, &origin)? {
        return Err(format!("the credential is not for {origin}").into());
    }
    let mut grant = client.grant(Purpose::Api)?;
    let mut answer = send(&url, &grant)?;
    if answer.0 == 401 {
        // Names the credential that was rejected. If another process has renewed it since, nothing is spent: its result
        // is returned. A second rejection in a row is an error, so this never becomes a loop.
        grant = client.rejected(&grant)?;
        answer = send(&url, &grant)?;
    }
    if answer.0 == 200 {
        // For a program that goes on: the next 401 is then a first one again.
        grant.was_accepted();
    }
    println!("{} {}", answer.0, answer.1);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the secret goes into the header of the request")]
fn send(url: &str, grant: &Grant) -> Result<(u16, String), ureq::Error> {
    let mut request = ureq::get(url).config().http_status_as_error(false).build();
    for (name, value) in grant.headers() {
        request = request.header(name, value.expose());
    }
    let mut answer = request.call()?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
}
