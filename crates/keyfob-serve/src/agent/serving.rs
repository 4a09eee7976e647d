//! The doors of an agent, from when they are open until all of them have closed or it is told to stop.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use crate::agent::{
    ahead, connection,
    keeping::Keeping,
    listener::{Listener, Next},
    open::Open,
    peer::Peer,
    room::{room_for_connections, share},
    socket::Socket,
};

/// How long the requests that are being answered may take when the agent stops.
const FAREWELL: Duration = Duration::from_secs(10);

/// Of users that a door is not open to: so many at a time are told so, for so long. The others are closed at once.
const STRANGERS: usize = 8;
const FOR_STRANGERS: Duration = Duration::from_secs(5);

/// A door that is about to be served.
pub(crate) struct Doorway {
    pub(crate) open: Arc<Open>,
    pub(crate) listener: Listener,
    /// Where it listens: removed when it has closed.
    pub(crate) socket: Option<Socket>,
    pub(crate) keepings: Vec<Keeping>,
}

/// Serves until that comes; with `closes`, also until every door has closed, and with `idle` until nobody has asked for that
/// time.
pub(crate) async fn serve(
    doorways: Vec<Doorway>,
    until: impl Future<Output = ()>,
    closes: bool,
    idle: Option<Duration>,
) -> io::Result<()> {
    let stop = watch::Sender::new(false);
    let all: Vec<_> = doorways.iter().map(|doorway| Arc::clone(&doorway.open)).collect();
    let idle = idle.filter(|_| doorways.iter().all(|doorway| doorway.keepings.is_empty()));
    let (entered, for_files): (Vec<_>, Vec<_>) =
        doorways.into_iter().partition(|doorway| !matches!(doorway.listener, Listener::None));
    let share = share(room_for(&entered), entered.len());
    // What is there for its files alone does not close, and goes with the last door that does.
    let (mut doors, mut files) = (JoinSet::new(), JoinSet::new());
    for doorway in for_files {
        files.spawn(accept(doorway, Arc::new(Semaphore::new(1)), stop.subscribe()));
    }
    for doorway in entered {
        // Whoever may ask at one door cannot take the places of another.
        doors.spawn(accept(doorway, Arc::new(Semaphore::new(share)), stop.subscribe()));
    }
    let closed = async {
        if doors.is_empty() {
            while files.join_next().await.is_some() {}
        }
        while doors.join_next().await.is_some() {}
        if !closes {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = until => {}
        () = closed => {}
        () = left_alone(&all, idle) => {}
        () = count(&all) => {}
    }
    stop.send_replace(true);
    while doors.join_next().await.is_some() {}
    while files.join_next().await.is_some() {}
    tell(&all).await;
    Ok(())
}

/// The room for connections at these doors: through a bell come two descriptors for each.
fn room_for(doorways: &[Doorway]) -> usize {
    let has_bell = doorways.iter().any(|doorway| matches!(doorway.listener, Listener::Bell(_)));
    room_for_connections(if has_bell { 2 } else { 1 })
}

/// Ends when nobody has asked at any door for this time.
async fn left_alone(doors: &[Arc<Open>], time: Option<Duration>) {
    let Some(time) = time else { return std::future::pending().await };
    loop {
        let idle = doors.iter().map(|open| open.idle()).min().unwrap_or(time);
        match time.checked_sub(idle).filter(|left| !left.is_zero()) {
            Some(left) => tokio::time::sleep(left).await,
            None => return,
        }
    }
}

/// Tells the host what is counted, as often as it wants to hear it. Never ends.
async fn count(doors: &[Arc<Open>]) {
    let every = doors.first().and_then(|open| open.host.counts_every());
    let Some(every) = every else { return std::future::pending().await };
    loop {
        tokio::time::sleep(every).await;
        tell(doors).await;
    }
}

async fn tell(doors: &[Arc<Open>]) {
    let Some(host) = doors.first().map(|open| Arc::clone(&open.host)) else { return };
    if host.counts_every().is_none() {
        return;
    }
    let news = doors.iter().map(|open| (open.door.terms.name.clone(), open.news()));
    let news: Vec<_> = news.filter(|(_, counts)| !counts.is_empty()).collect();
    if !news.is_empty() {
        let _ = tokio::task::spawn_blocking(move || host.count(&news)).await;
    }
}

/// One door, until the agent stops or the door closes.
async fn accept(doorway: Doorway, room: Arc<Semaphore>, mut stopped: watch::Receiver<bool>) {
    let Doorway { open, listener, socket, keepings } = doorway;
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    // They end with this.
    let mut keeping = JoinSet::new();
    keeping.spawn(ahead::keep(Arc::clone(&open)));
    for file in keepings {
        keeping.spawn(file.keep());
    }
    // Of the connections of this door: what ends the agent, or the door alone, ends them.
    let end = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let closed = open.closing.closed();
    tokio::pin!(closed);
    let mut gone = false;
    loop {
        let next = tokio::select! {
            // Without room, whoever comes waits in the socket.
            next = next(&listener, &room), if !gone => next,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = &mut closed => break,
        };
        let (next, place) = next;
        match next {
            Next::Stream(stream) => {
                open.somebody_came();
                let peer = Peer::of(&stream, open.log.is_some());
                let is_admitted = open.door.admits(peer.uid);
                let told = if is_admitted { None } else { Arc::clone(&strangers).try_acquire_owned().ok() };
                if !is_admitted && told.is_none() {
                    continue;
                }
                let serving = connection::serve(Arc::clone(&open), peer, stream, end.subscribe());
                connections.spawn(async move {
                    let _held = (place, &told);
                    if is_admitted {
                        serving.await;
                    } else {
                        let _ = tokio::time::timeout(FOR_STRANGERS, serving).await;
                    }
                });
            }
            Next::Pipes(pipes) => {
                open.somebody_came();
                let peer = Peer::inherited();
                let serving = connection::serve(Arc::clone(&open), peer, pipes, end.subscribe());
                connections.spawn(async move {
                    let _held = place;
                    serving.await;
                });
            }
            // Who has asked already may go on.
            Next::Gone => gone = true,
            // Short of descriptors or memory, or a peer that has left: neither is a reason to end.
            Next::Failed => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    keeping.shutdown().await;
    // One that was being written is taken away again as soon as it is there.
    let _ = tokio::time::timeout(FAREWELL, open.writing.acquire()).await;
    end.send_replace(true);
    let _ = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
    // Removed only now: until then somebody answers there.
    drop(socket);
}

/// The next connection, and its place among those that there is room for.
async fn next(listener: &Listener, room: &Arc<Semaphore>) -> (Next, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(room).acquire_owned().await.ok();
    (listener.next().await, place)
}
