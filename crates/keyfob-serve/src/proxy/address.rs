//! Which addresses may be dialled. A name is the other side's to choose: what it leads to is judged, and what was judged
//! is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How near an address may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine: what is not encrypted goes no further, whatever a name leads to.
    Loopback,
    /// Anywhere but in networks of one's own.
    Public,
    /// Also in private networks, and on this machine: the target says so, by being there.
    Near,
}

/// Refuses an address that no credential goes to.
pub(crate) fn judge(address: IpAddr, reach: Reach) -> Result<(), &'static str> {
    let address = plain(address);
    if is_of_metadata(address) {
        return Err("it is an address of the link itself, or of a cloud's metadata service");
    }
    if is_nobodys(address) {
        return Err("it is no address of one host");
    }
    match reach {
        Reach::Loopback if !address.is_loopback() => {
            Err("http is for this machine alone, and it is another's")
        }
        Reach::Public if is_near(address) => Err("it is an address of this machine or of a private network"),
        _ => Ok(()),
    }
}

/// An IPv4 address that is written as one of IPv6: mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), behind the
/// well-known prefix of a translator (RFC 6052 §2.1), or of 6to4 (RFC 3056 §2).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        // Of a translator without state (RFC 2765 §2.1), and of a tunnel within a site (RFC 5214 §6.1).
        [0, 0, 0, 0, 0xffff, 0, high, low] | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        // ::1 and :: are no IPv4 addresses.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => four(high, low),
        _ => address,
    }
}

/// Link-local addresses (RFC 3927, RFC 4291 §2.5.6), and those elsewhere at which clouds answer with credentials.
fn is_of_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            // Alibaba Cloud; Oracle Cloud; Azure's agent.
            four.is_link_local()
                || [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]].contains(&four.octets())
        }
        IpAddr::V6(six) => {
            // EC2's (all that begins so), and Google's.
            six.is_unicast_link_local()
                || six.segments()[..2] == [0xfd00, 0xec2]
                || six == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

fn is_nobodys(address: IpAddr) -> bool {
    let is_broadcast =
        matches!(address, IpAddr::V4(four) if four.octets()[0] >= 240 || four.octets()[0] == 0);
    // A translator's own network (RFC 8215) and Teredo (RFC 4380): an IPv4 address somewhere within, or hidden.
    let is_wrapped = matches!(address, IpAddr::V6(six)
        if matches!(six.segments(), [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..]));
    address.is_unspecified() || address.is_multicast() || is_broadcast || is_wrapped
}

/// Loopback, RFC 1918, RFC 6598, RFC 2544, RFC 4193, and the site-local addresses that RFC 3879 took back.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [a, b, ..] = four.octets();
            four.is_loopback()
                || four.is_private()
                || a == 100 && (64..128).contains(&b)
                || a == 198 && (b == 18 || b == 19)
                || four.octets()[..3] == [192, 0, 0]
        }
        IpAddr::V6(six) => {
            let first = six.segments()[0];
            six.is_loopback() || six.is_unique_local() || first & 0xffc0 == 0xfec0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, reach: Reach) -> bool {
        judge(text.parse().unwrap(), reach).is_ok()
    }

    #[test]
    fn metadata_and_link_local_addresses_are_never_dialled() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:ec2::23",
            "::ffff:0:a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2001:0:1::1",
            "fd00::5efe:a9fe:a9fe",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "0.1.2.3",
        ] {
            for reach in [Reach::Loopback, Reach::Public, Reach::Near] {
                assert!(!judged(address, reach), "{address}");
            }
        }
    }

    #[test]
    fn private_addresses_are_dialled_where_the_target_is_one() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "fd00::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!judged(address, Reach::Public) && judged(address, Reach::Near), "{address}");
            let is_ours = ["127.", "::1", "::ffff:127."].iter().any(|own| address.starts_with(own));
            assert_eq!(judged(address, Reach::Loopback), is_ours, "{address}");
        }
        for address in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "169.253.0.1"]
        {
            assert!(judged(address, Reach::Public), "{address}");
        }
    }
}
