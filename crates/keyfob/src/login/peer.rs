//! Identifies the user at the other end of a loopback connection. Every user of a machine can connect; the kernel
//! knows who did.

use std::net::{IpAddr, SocketAddr, TcpStream};

/// The user at the other end, if the system reports it (`/proc/net/tcp`).
pub(super) fn owner(stream: &TcpStream, peer: SocketAddr) -> Option<u32> {
    let here = stream.local_addr().ok()?;
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().find_map(|row| owner_in(row, peer, here))
    })
}

/// Whether this is a user who is neither the one we run as nor root. Root can do everything anyway, and may be the one
/// who forwards the port of a container or a tunnel. An unknown user does not count as another one.
pub(super) fn is_another(owner: Option<u32>) -> bool {
    owner.is_some_and(|uid| uid != 0 && uid != rustix::process::geteuid().as_raw())
}

pub(super) fn is_another_users(stream: &TcpStream, peer: SocketAddr) -> bool {
    is_another(owner(stream, peer))
}

/// The owner of the socket that goes from `from` to `to`, if this row is about that one.
fn owner_in(row: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let mut words = row.split_ascii_whitespace();
    let (local, remote) = (words.nth(1)?, words.next()?);
    let is = |word: &str, address: SocketAddr| {
        let (ip, port) = word.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(port == address.port() && spellings(address.ip()).iter().any(|known| known == ip))
    };
    // State, queues, timer, retransmissions; then the user.
    (is(local, from)? && is(remote, to)?).then(|| words.nth(4)?.parse().ok())?
}

/// How the kernel writes an address: words of 32 bits, each as a number of this machine's order. An IPv4 one may be that of
/// a socket of the other family (RFC 4291 §2.5.5.2).
fn spellings(ip: IpAddr) -> [String; 2] {
    let hex = |octets: &[u8]| -> String {
        let words =
            octets.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        words.map(|word| format!("{word:08X}")).collect()
    };
    match ip {
        IpAddr::V4(v4) => [hex(&v4.octets()), hex(&v4.to_ipv6_mapped().octets())],
        IpAddr::V6(v6) => [hex(&v6.octets()), String::new()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    #[test]
    fn the_kernel_tells_whose_it_is() {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            // A machine with one family has nothing to ask in the other.
            let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, peer) = listener.accept().unwrap();
            assert_eq!(owner(&stream, peer), Some(rustix::process::geteuid().as_raw()), "{ip}");
            assert!(!is_another_users(&stream, peer));
        }
    }

    /// Rows as the kernel writes them (proc_net_tcp): the client's own row counts, not the listener's side of it.
    #[cfg(target_endian = "little")]
    #[test]
    fn proc_net_tcp_rows_are_parsed() {
        let row =
            "   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 71";
        let (from, to) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(owner_in(row, from, to), Some(1002));
        assert_eq!(owner_in(row, to, from), None);
        assert_eq!(owner_in(row, "127.0.0.2:40000".parse().unwrap(), to), None);
        let mapped = row.replace("0100007F", "0000000000000000FFFF00000100007F");
        assert_eq!(owner_in(&mapped, from, to), Some(1002));
        assert_eq!(owner_in("  sl  local_address rem_address   st tx_queue", from, to), None);
        assert!(is_another(Some(u32::MAX - 7)) && !is_another(Some(0)) && !is_another(None));
    }
}
