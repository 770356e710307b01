//! Who may do what: the rules of the authentication providers that are built (`world`, `auth`, `digest`, `ip`;
//! `super` is an identity only). ACLs of other schemes cannot be made, and match nobody where a log has them.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use bytes::Bytes;
use wire::jute::DEFAULT_MAX_BUFFER;
use wire::{Acl, Id, code};

/// `ZooKeeperServer.checkACL`: may one who is `auth` do something that needs one of `perms`?
///
/// | list | |
/// |---|---|
/// | empty | yes |
/// | any, and `auth` has an id of scheme `super` | yes |
/// | an entry with one of `perms` for `world:anyone`, or that an id matches | yes |
/// | else | NoAuth |
pub fn check_acl(acl: &[Acl], perms: i32, auth: &[Id]) -> Result<(), i32> {
    let is = |id: &Id, scheme: &str| id.scheme == scheme.as_bytes();
    let allowed = acl.is_empty()
        || auth.iter().any(|id| is(id, "super"))
        || acl.iter().filter(|entry| entry.perms & perms != 0).any(|entry| {
            entry.id == Id::anyone()
                || auth.iter().any(|id| id.scheme == entry.id.scheme && matches(&entry.id, &id.id))
        });
    if allowed { Ok(()) } else { Err(code::NO_AUTH) }
}

/// Does an ACL's id mean the client's id of the same scheme?
fn matches(of_acl: &Id, id: &[u8]) -> bool {
    match &of_acl.scheme[..] {
        b"digest" => of_acl.id == id,
        b"ip" => IpRange::parse(&of_acl.id).is_some_and(|range| range.contains(id)),
        _ => false,
    }
}

/// Can it be the id of an ACL?
fn is_valid(id: &Id) -> bool {
    match &id.scheme[..] {
        b"digest" => is_valid_digest(&id.id),
        b"ip" => IpRange::parse(&id.id).is_some(),
        _ => false,
    }
}

/// Two parts between colons, as Java splits: empty parts at the end do not count.
fn is_valid_digest(id: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = id.split(|byte| *byte == b':').collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts.len() == 2
}

/// Does the scheme prove who a client is, so that `auth` can stand for its ids?
fn is_authenticated(scheme: &[u8]) -> bool {
    scheme == b"digest"
}

/// `fixupACL`: the list that a node gets for the list in a request. First what is double goes; then, in order:
///
/// | entry | |
/// |---|---|
/// | none left, no list | InvalidACL |
/// | `world:anyone` | as it is |
/// | `auth:` anything | one for each id of the client that proves who it is; none, or more than a transaction can hold: InvalidACL |
/// | `digest`, `ip` with a valid id | as it is |
/// | else | InvalidACL |
pub fn fixup_acl(auth: &[Id], acl: Option<&Vec<Acl>>) -> Result<Vec<Acl>, i32> {
    let mut seen = BTreeSet::new();
    let mut fixed = Vec::new();
    let mut expanded = 0;
    for entry in acl.into_iter().flatten() {
        if !seen.insert((entry.perms, &entry.id.scheme, &entry.id.id)) {
            continue;
        }
        if entry.id == Id::anyone() || is_valid(&entry.id) {
            fixed.push(entry.clone());
            continue;
        }
        if entry.id.scheme != b"auth"[..] {
            return Err(code::INVALID_ACL);
        }
        let before = fixed.len();
        for id in auth.iter().filter(|id| is_authenticated(&id.scheme)) {
            expanded += id.scheme.len() + id.id.len();
            fixed.push(Acl { perms: entry.perms, id: id.clone() });
        }
        if fixed.len() == before || expanded > DEFAULT_MAX_BUFFER {
            return Err(code::INVALID_ACL);
        }
    }
    if fixed.is_empty() { Err(code::INVALID_ACL) } else { Ok(fixed) }
}

/// The list as those see it who may not change it: of digests the user only.
pub fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mask = |acl: &Acl| match acl.id.id.iter().position(|byte| *byte == b':') {
        Some(colon) if acl.id.scheme == b"digest"[..] => {
            let id = Bytes::from([&acl.id.id[..colon], b":x"].concat());
            Acl { perms: acl.perms, id: Id { scheme: acl.id.scheme.clone(), id } }
        }
        _ => acl.clone(),
    };
    acl.iter().map(mask).collect()
}

/// `10.0.0.0/8`, `::1`: an address and how many bits of it count.
struct IpRange {
    address: Vec<u8>,
    bits: usize,
}

impl IpRange {
    fn parse(text: &[u8]) -> Option<IpRange> {
        let text = std::str::from_utf8(text).ok()?;
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<usize>().ok()?)),
            None => (text, None),
        };
        let address = ip_bytes(address)?;
        let all = address.len() * 8;
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(IpRange { address, bits })
    }

    fn contains(&self, id: &[u8]) -> bool {
        let address = std::str::from_utf8(id).ok().and_then(ip_bytes);
        address.is_some_and(|address| {
            address.len() == self.address.len()
                && masked_to(&address, self.bits) == masked_to(&self.address, self.bits)
        })
    }
}

fn masked_to(address: &[u8], bits: usize) -> Vec<u8> {
    let mask = |at: usize| match bits.saturating_sub(8 * at) {
        8.. => 0xff,
        left => !(0xff_u16 >> left) as u8,
    };
    address.iter().enumerate().map(|(at, byte)| byte & mask(at)).collect()
}

/// 4 or 16 bytes. Four numbers up to 255, leading zeros allowed as in Java; else IPv6, with no dots at its end.
fn ip_bytes(text: &str) -> Option<Vec<u8>> {
    if text.contains(':') {
        if text.contains('.') {
            return None;
        }
        return text.parse::<Ipv6Addr>().ok().map(|address| address.octets().to_vec());
    }
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &&str| part.parse::<u32>().ok().and_then(|n| u8::try_from(n).ok());
    (parts.len() == 4).then(|| parts.iter().map(number).collect())?
}

#[cfg(test)]
mod tests {
    use wire::codes::perms::{ADMIN, ALL, READ, WRITE};

    use super::*;

    fn acl(perms: i32, scheme: &'static str, id: &'static str) -> Acl {
        Acl { perms, id: Id::of(scheme, id) }
    }

    #[test]
    fn who_may() {
        let ann = [Id::of("ip", "10.1.2.3"), Id::of("digest", "ann:hash")];
        let digest = [acl(ALL, "digest", "ann:hash")];
        let yes = Ok(());
        let no = Err(code::NO_AUTH);
        for (list, perms, auth, expected) in [
            (&[][..], ALL, &[][..], yes),
            (&[acl(READ, "world", "anyone")], READ, &[], yes),
            (&[acl(READ, "world", "anyone")], WRITE, &ann, no),
            (&[acl(READ, "world", "anyone")], READ | ADMIN, &[], yes),
            (&[acl(READ, "world", "somebody")], READ, &ann, no),
            (&digest, WRITE, &ann, yes),
            (&digest, WRITE, &ann[..1], no),
            (&[acl(ALL, "digest", "bob:hash")], READ, &ann, no),
            (&[acl(ALL, "digest", "bob:hash")], READ, &[Id::of("super", "")], yes),
            (&[acl(ALL, "ip", "10.1.0.0/16")], READ, &ann, yes),
            (&[acl(ALL, "ip", "10.1.2.2/31")], READ, &ann, yes),
            (&[acl(ALL, "ip", "10.1.2.2")], READ, &ann, no),
            (&[acl(ALL, "ip", "11.0.0.0/0")], READ, &ann, yes),
            (&[acl(ALL, "ip", "::/0")], READ, &ann, no),
            (&[acl(ALL, "ip", "fe80::/10")], READ, &[Id::of("ip", "fe80::1")], yes),
            (&[acl(ALL, "sasl", "ann")], READ, &[Id::of("sasl", "ann")], no),
        ] {
            assert_eq!(check_acl(list, perms, auth), expected, "{list:?} {auth:?}");
        }
    }

    #[test]
    fn lists_of_requests() {
        let auth = [Id::of("ip", "10.1.2.3"), Id::of("digest", "ann:h"), Id::of("digest", "bob:h")];
        let (open, ann, bob) =
            (acl(ALL, "world", "anyone"), acl(READ, "digest", "ann:h"), acl(READ, "digest", "bob:h"));
        let invalid = Err(code::INVALID_ACL);
        for (list, expected) in [
            (None, invalid.clone()),
            (Some(vec![]), invalid.clone()),
            (Some(vec![open.clone(), open.clone()]), Ok(vec![open.clone()])),
            (Some(vec![acl(ALL, "world", "x")]), invalid.clone()),
            (Some(vec![acl(READ, "auth", "ignored"), open.clone()]), Ok(vec![ann, bob, open.clone()])),
            (Some(vec![acl(ALL, "sasl", "ann")]), invalid.clone()),
            (Some(vec![acl(ALL, "super", "")]), invalid.clone()),
            (Some(vec![open.clone(), acl(ALL, "digest", "ann")]), invalid.clone()),
        ] {
            assert_eq!(fixup_acl(&auth, list.as_ref()), expected, "{list:?}");
        }
        assert_eq!(fixup_acl(&auth[..1], Some(&vec![acl(ALL, "auth", "")])), invalid);
        for (id, valid) in
            [("a:b", true), (":x", true), ("a:b:", true), ("x:", false), ("a:b:c", false), ("", false)]
        {
            assert_eq!(is_valid(&Id::of("digest", id)), valid, "{id}");
        }
        for (id, valid) in [
            ("1.2.3.4", true),
            ("001.2.3.4/32", true),
            ("1.2.3.4/33", false),
            ("1.2.3.4/-1", false),
            ("1.2.3", false),
            ("1.2.3.256", false),
            ("::1/128", true),
            ("::1/129", false),
            ("::ffff:1.2.3.4", false),
            ("host", false),
        ] {
            assert_eq!(is_valid(&Id::of("ip", id)), valid, "{id}");
        }
        assert_eq!(
            masked(&[acl(ALL, "digest", "ann:secret"), open.clone()]),
            [acl(ALL, "digest", "ann:x"), open]
        );
    }
}
