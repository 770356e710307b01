//! Inputs and outputs in words, for `--trace`.

use peer::{Input, Output};

pub(super) fn describe_input(input: &Input) -> String {
    match input {
        Input::Received { conn, bytes } => format!("received {} bytes on {:#x}", bytes.len(), conn.0),
        Input::Disk(done) => match &done.result {
            Ok(_) => format!("disk done {}", done.id.seq),
            Err(e) => format!("disk failed {}: {e}", done.id.seq),
        },
        input => format!("{input:?}"),
    }
}

pub(super) fn describe_output(output: &Output) -> String {
    match output {
        Output::Send { conn, bytes, .. } => {
            for direction in [wire::Direction::ToLearner, wire::Direction::ToLeader] {
                let mut stream = wire::QuorumStream::new(direction);
                stream.feed(bytes.clone());
                let mut packets = Vec::new();
                while let Ok(Some(wire::Inbound::Packet(packet))) = stream.next() {
                    if matches!(packet, wire::Packet::Unknown(_)) {
                        packets.clear();
                        break;
                    }
                    packets.push(packet.to_string());
                }
                if !packets.is_empty() {
                    return format!("send on {:#x}: {}", conn.0, packets.join(" | "));
                }
            }
            format!("send {} bytes on {:#x}", bytes.len(), conn.0)
        }
        Output::Disk { id, op } => format!("disk {} {}", id.seq, op.name()),
        output => format!("{output:?}"),
    }
}
