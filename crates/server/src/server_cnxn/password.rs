//! `ZooKeeperServer.generatePasswd`: a session's password follows from its id, so that any server can check
//! it. It keeps mistakes out, not attackers: the secret is the same everywhere.

use wire::SessionId;

const SUPER_SECRET: i64 = 0xb341_5c00;
const MULTIPLIER: u64 = 0x5_deec_e66d;
const MASK: u64 = (1 << 48) - 1;

/// `java.util.Random(id ^ secret).nextBytes(16)`: words of a generator of 48 bits, little end first.
pub fn generate_passwd(session: SessionId) -> [u8; 16] {
    let mut state = ((session.0 ^ SUPER_SECRET) as u64 ^ MULTIPLIER) & MASK;
    let mut passwd = [0; 16];
    for word in passwd.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    passwd
}

/// `checkPasswd`.
pub fn check_passwd(session: SessionId, passwd: Option<&[u8]>) -> bool {
    session != SessionId(0) && passwd.is_some_and(|passwd| *passwd == generate_passwd(session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_a_java_server() {
        let hex =
            |id: i64| generate_passwd(SessionId(id)).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(0x0100_002e_a779_0000), "8ddec78496a19d57b35c939fcf92ad9b");
        assert_eq!(hex(0x0100_0027_8688_0000), "0a67b590cf0c9d0df83935de30c70085");
        assert_eq!(hex(1), "054cc74a37327db215e702e20c73f005");
        assert_eq!(hex(0x1000_0000_0000_0001), hex(1), "the low 48 bits count");
        assert_eq!(hex(0xff00_0000_0000_0000_u64 as i64), "f22acd4a97e69d6d20a49bb638eadb38");
    }

    #[test]
    fn only_the_right_one_opens() {
        let right = generate_passwd(SessionId(7));
        assert!(check_passwd(SessionId(7), Some(&right)));
        assert!(!check_passwd(SessionId(8), Some(&right)));
        assert!(!check_passwd(SessionId(7), None));
        assert!(!check_passwd(SessionId(7), Some(&right[..15])));
        assert!(!check_passwd(SessionId(0), Some(&generate_passwd(SessionId(0)))));
    }
}
