//! The server for its host: start, observe, inject faults, stop.

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    begin::begin,
    error::{MintError, StartError},
    http::sockets,
    interrupt,
    oauth::{
        device_grant,
        workload::{self, Workload},
    },
    options::Options,
    serve,
    state::{
        account,
        clients::LOCAL_CLIENT_ID,
        credential::NoEntropy,
        faults::{Fault, FaultPlan},
        log::LoggedRequest,
        scope::Scopes,
        shared::{Shared, lock, millis},
        tables::Grants,
    },
};

/// A running development server. Dropping it stops it.
///
/// Blocking and embeddable: it runs on its own thread and asynchronous runtime.
pub struct DevServer {
    host: &'static str,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl DevServer {
    /// Starts a server on `127.0.0.1` and, where the machine has it, on `[::1]` with the same port. When this
    /// returns, the port is open.
    ///
    /// # Errors
    /// When the port is taken, a file cannot be opened or read, or two clients have one id. Nothing is left running.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let (mut listeners, mut ports) = (Vec::new(), Vec::new());
        for &wanted in std::iter::once(&options.port).chain(&options.page_ports) {
            let _inside = runtime.enter();
            let (bound, port) = sockets::bind(wanted).map_err(|e| StartError::Bind(wanted, e))?;
            listeners.extend(bound);
            ports.push(port);
        }
        let v4 = listeners[0].local_addr().is_ok_and(|address| address.is_ipv4());
        let host = if v4 { "127.0.0.1" } else { "[::1]" };
        let shared = Arc::new(begin(options, ports)?);
        let (stop, stopped) = watch::channel(false);
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("keyfob-dev".to_owned())
            .spawn(move || {
                runtime.block_on(serve::serve(serving, listeners, stopped));
                runtime.shutdown_background();
            })
            .map_err(StartError::Thread)?;
        Ok(Self { shared, host, stop, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, or `http://[::1]:PORT` on a machine that has no other loopback. The server answers as
    /// `http://localhost:PORT` and `http://[::1]:PORT`, too; issuer and metadata then follow the spelling of the
    /// request.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}:{}", self.host, self.port())
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Every TCP port, in the order of [`Options::port`] and [`Options::page_ports`].
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.shared.ports
    }

    /// The requests so far, oldest first; at most the last [`REMEMBERED_REQUESTS`](crate::REMEMBERED_REQUESTS).
    /// A request is in here before its answer leaves.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.shared.log).entries()
    }

    /// How often each kind of grant or detection has occurred so far.
    #[must_use]
    pub fn grants(&self) -> Grants {
        lock(&self.shared.tables).counters
    }

    /// Moves the server's clock forward by so many seconds; a negative number moves it back. Expiry, `Date` headers and
    /// the log follow.
    pub fn advance(&self, seconds: i64) {
        self.shared.clock.advance(seconds);
        self.shared.changed();
    }

    /// Unix seconds by the server's clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.shared.clock.now()
    }

    /// Life of the access tokens issued from now on, in whole seconds.
    pub fn set_access_token_ttl(&self, ttl: Duration) {
        self.shared.access_token_ttl.store(ttl.as_secs(), Ordering::Relaxed);
    }

    /// How long every request from now on waits before it is processed. It is then processed even if its client has
    /// gone, as a distant server would.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency_ms.store(millis(latency), Ordering::Relaxed);
    }

    /// Holds every request from now on before it is processed, for tests that need a moment to last, however slow the
    /// machine is. It is then processed even if its client has gone.
    pub fn hold(&self) {
        self.shared.gate.close();
    }

    /// How many requests are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.gate.waiting()
    }

    /// Lets so many requests through that are held, or will be.
    pub fn let_through(&self, count: usize) {
        self.shared.gate.let_through(count);
    }

    /// Processes the held requests, and holds none from now on.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// Arms a fault for the next `count` requests it fits; `None` = without limit. Faults armed earlier strike first.
    pub fn inject(&self, fault: impl Into<Fault>, count: impl Into<Option<u32>>) {
        let plan = FaultPlan { fault: fault.into(), count: count.into() };
        lock(&self.shared.faults).arm(plan);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// With `true`, every API request that brings a valid device token is answered with its successor, however young
    /// the token is.
    pub fn rotate_device_tokens(&self, always: bool) {
        self.shared.rotate_devices.store(always, Ordering::Relaxed);
    }

    /// Signs in without a browser: tokens for the client [`LOCAL_CLIENT_ID`], with these scopes. For tests that are
    /// not about signing in; it counts as no grant and is not logged.
    ///
    /// # Errors
    /// When the address is none, or a scope is malformed or not known.
    pub fn mint(&self, email: &str, scope: &str) -> Result<Minted, MintError> {
        let email = account::normalise(email).ok_or(MintError::NoAddress)?;
        let scope = Scopes::parse(scope).ok_or(MintError::BadScope)?;
        let ttl = self.shared.access_token_ttl();
        let minted = self.shared.change(|tables, now| {
            let family = tables.begin(LOCAL_CLIENT_ID, Some(&email), scope, 0)?;
            let access_token = tables.issue_access(family, scope, now, ttl)?;
            let refresh_token = tables.issue_refresh(family, now)?;
            Ok(Minted { access_token, refresh_token, expires_in: ttl })
        });
        minted.map_err(|NoEntropy| MintError::NoEntropy)
    }

    /// An identity token of a workload, as a platform issues it to a job, signed by this server. It counts as none that was
    /// issued on request.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn identity_token(&self, workload: &Workload) -> Result<String, MintError> {
        let issuer = format!("{}{}", self.base_url(), workload::ISSUER_PATH);
        workload::token(&self.shared, &issuer, workload, None).map_err(|NoEntropy| MintError::NoEntropy)
    }

    /// Approves a device's user code as this account, as the page `/device` does (RFC 8628 §3.3). `false` = the code is
    /// unknown, used or expired, or the e-mail address is invalid.
    #[must_use]
    pub fn approve_device(&self, user_code: &str, email: &str) -> bool {
        let email = account::normalise(email);
        email.is_some_and(|email| device_grant::decide(&self.shared, user_code, Some(&email)).is_ok())
    }

    /// Declines a device's user code. `false` = the code is unknown, used or expired.
    #[must_use]
    pub fn deny_device(&self, user_code: &str) -> bool {
        device_grant::decide(&self.shared, user_code, None).is_ok()
    }

    /// Takes the last problem of writing the state file, if there was one. Such a problem never fails a request.
    #[must_use]
    pub fn take_state_problem(&self) -> Option<io::Error> {
        lock(&self.shared.state_problem).take()
    }

    /// Stops: open WebSockets are closed with 1001, other connections within a second.
    pub fn stop(mut self) {
        self.end();
    }

    /// Runs until the process is interrupted (SIGINT, SIGTERM; Ctrl-C elsewhere), then stops. For a command in the
    /// foreground: it takes these signals over for the rest of the process.
    ///
    /// # Errors
    /// When the signals cannot be watched; the server has then been stopped.
    pub fn wait(mut self) -> io::Result<()> {
        let result = interrupt::wait();
        self.end();
        result
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported already; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for DevServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the tables: user codes of devices stand in them.
        f.debug_struct("DevServer").field("port", &self.port()).finish_non_exhaustive()
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tokens that [`DevServer::mint`] made. `Debug` does not show them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Minted {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
