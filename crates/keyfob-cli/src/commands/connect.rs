//! `keyfob connect`: a WebSocket with the session's credential; renews and reconnects when it expires.

use std::{
    io,
    process::ExitCode,
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use keyfob::{
    Client, Error, Grant, Secret, Source,
    internals::{
        core::{Cause, Id, contract::names},
        remote::{self, Ended, Handshake, Stream},
        trusted_device,
        world::system::env,
    },
};
use tungstenite::{
    HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    error::Error as SocketError,
    http::{HeaderName, HeaderValue},
};

use crate::{
    advice,
    args::{Connect, Global},
    hand_over::shadows,
    output::{
        report::{Report, Result},
        terminal,
    },
    session, telemetry,
};

type Socket = WebSocket<Stream>;

/// How long the provider may take to open a connection.
const OPENING: Duration = Duration::from_secs(15);
/// How long one poll of the socket lasts before the input lines are polled.
const LOOK: Duration = Duration::from_millis(25);
/// The longest pause before connecting again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lasted this long counts as good: the pauses start over, and its credential was accepted.
const ENDURING: Duration = Duration::from_secs(60);
/// How long the other side may take to answer a Close (RFC 6455 §7.1.1 lets a client close at any time).
const GOOD_BYE: Duration = Duration::from_secs(10);

pub(crate) fn run(global: &Global, args: &Connect) -> Result {
    let setup = session::setup(global);
    setup.check_network()?;
    let client = session::client(global, setup);
    let lines = terminal::lines();
    let mut expired: Option<Grant> = None;
    let mut pause = Duration::from_millis(250);
    loop {
        let mut handshake = client.handshake(args.url.as_deref(), expired.take().as_ref())?;
        telemetry::uses_network();
        telemetry::used(&client, handshake.grant());
        match open(&client, &handshake) {
            Ok(mut socket) => {
                Report::say(&format!("Connected to {}.", terminal::plain(handshake.url())));
                let begun = monotonic();
                let ended = converse(&mut socket, &lines)?;
                if begun.elapsed() >= ENDURING {
                    pause = Duration::from_millis(250);
                    handshake.was_accepted();
                }
                match ended {
                    Ended::Done => return Ok(ExitCode::SUCCESS),
                    Ended::Renew => {
                        // One that was renewed for this and is closed again at once ends it (`Client::rejected`): the
                        // next would be closed too, and each costs a refresh token.
                        Report::say("The credential expired: renewing it.");
                        if !can_be_another(handshake.grant()) {
                            let what = "the connection was closed for an expired credential";
                            return Err(cannot_be_renewed(what, handshake.grant()).into());
                        }
                        expired = Some(handshake.into_grant());
                        continue;
                    }
                    Ended::Stop => {
                        let why = "the provider closed the connection and would do so again";
                        return Err(Error::new(
                            Id::ProviderRefused,
                            "the remote connection was refused",
                            why,
                        )
                        .into());
                    }
                    _ => {}
                }
            }
            Err(Opening::Rejected(401)) if can_be_another(handshake.grant()) => {
                expired = Some(handshake.into_grant());
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(Opening::Rejected(401)) => {
                let what = "the remote connection was refused (401)";
                return Err(cannot_be_renewed(what, handshake.grant()).into());
            }
            Err(Opening::Rejected(status)) => {
                let why = format!("it answered {status}");
                return Err(Error::new(Id::ProviderRefused, "the remote connection was refused", why).into());
            }
            Err(Opening::Failed(why)) => Report::say(&format!("No connection: {why}.")),
        }
        Report::say(&format!("Connecting again in {} ms.", pause.as_millis()));
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A credential of a variable or a descriptor ends with its own life.
fn cannot_be_renewed(what: &str, grant: &Grant) -> Error {
    let source = grant.source();
    let why =
        format!("the credential from {} is used as it is and cannot be renewed", shadows::typed(source));
    Error::new(Id::ProviderRefused, what, why).because(Cause::RejectedSource { source: source.to_string() })
}

/// For elapsed time, which changes of the wall clock must not affect.
#[expect(clippy::disallowed_methods, reason = "bounds on waiting are measured by the monotonic clock")]
fn monotonic() -> Instant {
    Instant::now()
}

enum Opening {
    Rejected(u16),
    Failed(String),
}

#[expect(
    clippy::disallowed_methods,
    reason = "the credential goes into the handshake of the one address it is for"
)]
fn open(client: &Client, handshake: &Handshake) -> Result<Socket, Opening> {
    let failed = |error: &dyn std::fmt::Display| Opening::Failed(terminal::plain(&error.to_string()));
    let mut request = handshake.url().into_client_request().map_err(|error| failed(&error))?;
    for (name, value) in handshake.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|error| failed(&error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    let mut stream = client.dial(handshake).map_err(|error| {
        let told = advice::told(&error);
        Opening::Failed(format!("{}: {} ({})", told.what, told.why, told.hint))
    })?;
    stream.set_patience(OPENING);
    match tungstenite::client(request, stream) {
        Ok((mut socket, answer)) => {
            let successor =
                answer.headers().get(trusted_device::HEADER).and_then(|value| value.to_str().ok());
            if let Some(successor) = successor.and_then(|text| Secret::visible(text).ok())
                && let Err(error) = client.renew_device(&successor)
            {
                Report::warn(&error);
            }
            // Reads give way to the lines that wait to be sent.
            socket.get_mut().set_patience(LOOK);
            Ok(socket)
        }
        Err(HandshakeError::Failure(SocketError::Http(answer))) => {
            Err(Opening::Rejected(answer.status().as_u16()))
        }
        Err(HandshakeError::Failure(error)) => Err(failed(&error)),
        Err(HandshakeError::Interrupted(_)) => Err(failed(&"the provider took too long")),
    }
}

/// Whether there may be another credential in the place of this one: a login is renewed, and a runner keeps the file of a
/// session's credential fresh.
fn can_be_another(grant: &Grant) -> bool {
    let names_a_file = env::path(env::variables(), names::SESSION_TOKEN_FILE).is_some();
    grant.generation().is_some() || grant.source() == Source::SessionToken && names_a_file
}

/// Lines out, lines in, until one side ends it. Pings are answered by the library as it reads.
fn converse(socket: &mut Socket, lines: &Receiver<keyfob::Result<String>>) -> Result<Ended> {
    let mut closing: Option<Instant> = None;
    loop {
        if closing.is_some_and(|since| since.elapsed() >= GOOD_BYE) {
            return Ok(Ended::Done);
        }
        match socket.read() {
            Ok(Message::Text(text)) => Report::answer(&terminal::plain_whole(&text))?,
            Ok(Message::Close(frame)) => {
                let code = frame.map(|frame| u16::from(frame.code));
                let _ = socket.flush();
                return Ok(if closing.is_some() { Ended::Done } else { remote::ended(code) });
            }
            Ok(_) => {}
            Err(SocketError::Io(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            // We sent Close; ignore errors while it is acknowledged.
            Err(_) if closing.is_some() => return Ok(Ended::Done),
            Err(_) => return Ok(Ended::Again),
        }
        while closing.is_none() {
            match lines.try_recv() {
                Ok(Err(error)) => Report::warn(&error),
                Ok(Ok(line)) => {
                    if socket.send(Message::Text(line.into())).is_err() {
                        Report::say("The connection ended while a line was sent: it may not have arrived.");
                        return Ok(Ended::Again);
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    // Everything was sent: say good-bye, and still take in what is on its way.
                    closing = Some(monotonic());
                    let _ = socket.close(None);
                }
            }
        }
    }
}
