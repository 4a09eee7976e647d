//! A question to the person that is not answered at once: the tab says where it is asked, instead of loading for as long.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use super::{
    callback::{Callback, Loopback},
    closing_page::Closing,
};

/// What takes longer than this is answered by a person, and not by an option or a program.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How long the browser may take to follow to the page.
const PAGE: Duration = Duration::from_millis(1500);

/// Asks, and shows the page in the tab that waits if that takes a while. The tab is taken then.
pub(super) fn asked(
    loopback: &mut Loopback,
    tab: &mut Option<Callback>,
    page: Closing,
    ask: impl FnOnce() -> bool,
) -> bool {
    let (answered, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let tell = move || {
            if waiting.recv_timeout(AT_ONCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let path = page.path;
            loopback.set_closing(page);
            if let Some(callback) = tab.take() {
                callback.finish(path);
                loopback.wait_for_closing_pages(1, PAGE);
            }
        };
        // Without a thread to spare the tab waits with the person.
        let _ = thread::Builder::new().name("question".into()).spawn_scoped(scope, tell);
        let agreed = ask();
        drop(answered);
        agreed
    })
}
