//! Recordings: everything that a member was given and what it did, as text to be written line by line and
//! replayed into the same machine. Hosts write it (`vivarium node --record`) and read it (`vivarium
//! replay`); here is the form, and no file.
//!
//! ```text
//! {"recording":"vivarium","version":1,"config":{...}}      who the member is, with its seed material
//! {"at":NANOS,"wall":MS,"in":INPUT}                        before the machine is called
//! {"out":[OUTPUT, ...]}                                    before the outputs are carried out
//! ```
//!
//! Inputs are whole, what the disk gave included, bytes as hexadecimal digits. An output is its JSON text, or
//! where that is long its beginning, its length and a hash of 128 bits. A process that dies leaves a file
//! that ends anywhere; one that ends behind an input tells at which input the member died.

use serde::{Deserialize, Serialize};
use zab::{Config, Input, Nanos, Now, Output, txn_digest};

use crate::{Peer, State, StateKind, TreeSettings};

const NAME: &str = "vivarium";
const VERSION: u32 = 1;
/// Longer outputs are written by their hash.
const WHOLE: usize = 200;
const BEGINNING: usize = 100;

#[derive(Serialize, Deserialize)]
struct Header {
    recording: String,
    version: u32,
    /// Recordings of before the tree was there do not say.
    #[serde(default)]
    state: StateKind,
    #[serde(default)]
    tree: TreeSettings,
    config: Config,
}

#[derive(Serialize, Deserialize)]
struct InputLine<I> {
    at: Nanos,
    wall: i64,
    #[serde(rename = "in")]
    input: I,
}

#[derive(Serialize, Deserialize)]
struct OutputLine {
    out: Vec<String>,
}

/// Lines end with `\n`. No value of these types fails to be written.
fn line<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).expect("maps have keys that are numbers or text");
    text.push('\n');
    text
}

/// `tree`: the settings of the tree, if that is the state.
pub fn header_line(config: &Config, state: StateKind, tree: &TreeSettings) -> String {
    let (tree, config) = (tree.clone(), config.clone());
    line(&Header { recording: NAME.into(), version: VERSION, state, tree, config })
}

pub fn input_line(now: Now, input: &Input) -> String {
    line(&InputLine { at: now.mono, wall: now.wall_ms, input })
}

pub fn output_line(outputs: &[Output]) -> String {
    line(&OutputLine { out: outputs.iter().map(brief).collect() })
}

/// An output as a recording has it.
fn brief(output: &Output) -> String {
    let text = line(output);
    let text = text.trim_end();
    if text.len() <= WHOLE {
        return text.into();
    }
    let mut end = BEGINNING;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let first = txn_digest(text.as_bytes());
    let second = txn_digest(&[&first.to_be_bytes(), text.as_bytes()].concat());
    format!("{}... {} characters, {first:016x}{second:016x}", &text[..end], text.len())
}

/// A line that is none of a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}")]
pub struct BadLine {
    pub line: usize,
    pub expected: String,
}

/// The first thing that went another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of the recording, from 1.
    pub line: usize,
    pub at: Nanos,
    /// The input, as recorded.
    pub input: String,
    /// Ordinal among the outputs of this input, from 1.
    pub output: usize,
    /// `None`: nothing more.
    pub expected: Option<String>,
    pub got: Option<String>,
}

/// Feeds a recording, line by line, to a new member.
pub struct Replay {
    peer: Peer<State>,
    line: usize,
    /// Of the input that was handed over last, until its outputs are compared.
    at: Nanos,
    input: String,
    got: Option<Vec<Output>>,
    inputs: u64,
}

impl Replay {
    /// The first line.
    pub fn begin(text: &str) -> Result<Replay, BadLine> {
        let bad = |expected: String| BadLine { line: 1, expected };
        let form = format!("the header of a recording of version {VERSION}");
        let header: serde_json::Value =
            serde_json::from_str(text).map_err(|why| bad(format!("{form}: {why}")))?;
        if header["recording"] != NAME || header["version"] != VERSION {
            return Err(bad(format!("{form}, found {} {}", header["recording"], header["version"])));
        }
        let header: Header = serde_json::from_value(header).map_err(|why| bad(format!("{form}: {why}")))?;
        let peer = Peer::new(header.config, State::new(header.state, header.tree));
        Ok(Replay { peer, line: 1, at: Nanos::ZERO, input: String::new(), got: None, inputs: 0 })
    }

    /// Inputs that were handed over.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// The line that was read last.
    pub fn line_number(&self) -> usize {
        self.line
    }

    /// An input's outputs were not in the recording (yet).
    pub fn ends_inside_an_input(&self) -> bool {
        self.got.is_some()
    }

    /// The next line: an input and its outputs take turns.
    pub fn feed(&mut self, text: &str) -> Result<Option<Difference>, BadLine> {
        self.line += 1;
        let bad = |line: usize, what: &str, why: serde_json::Error| BadLine {
            line,
            expected: format!("{what}: {why}"),
        };
        if let Some(got) = self.got.take() {
            let expected: OutputLine = serde_json::from_str(text)
                .map_err(|why| bad(self.line, "the outputs of the input before", why))?;
            return Ok(self.compare(&expected.out, &got));
        }
        let input: InputLine<Input> =
            serde_json::from_str(text).map_err(|why| bad(self.line, "an input with its time", why))?;
        self.at = input.at;
        self.input = text.trim_end().into();
        self.inputs += 1;
        let mut outputs = Vec::new();
        self.peer.handle(Now { mono: input.at, wall_ms: input.wall }, input.input, &mut outputs);
        self.got = Some(outputs);
        Ok(None)
    }

    fn compare(&self, expected: &[String], got: &[Output]) -> Option<Difference> {
        let got: Vec<String> = got.iter().map(brief).collect();
        let index = (0..expected.len().max(got.len())).find(|i| expected.get(*i) != got.get(*i))?;
        Some(Difference {
            line: self.line,
            at: self.at,
            input: self.input.clone(),
            output: index + 1,
            expected: expected.get(index).cloned(),
            got: got.get(index).cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use zab::{ConnId, Event, LearnerType, Member, QuorumVerifier, Settings, Switches, View};

    fn config() -> Config {
        let member = Member {
            learner_type: LearnerType::Participant,
            quorum_address: "h:1:2".into(),
            election_address: "h:2".into(),
            client_address: None,
        };
        Config {
            sid: wire::ServerId(1),
            view: View::unversioned(
                [(wire::ServerId(1), member)].into(),
                QuorumVerifier::Majority { voters: [wire::ServerId(1)].into() },
            ),
            seen_view: None,
            settings: Settings::default(),
            switches: Switches::NONE,
            seed: 7,
        }
    }

    fn send(bytes: &[u8]) -> String {
        let bytes = Bytes::copy_from_slice(bytes);
        brief(&Output::Send { conn: ConnId(1), bytes, notify: false })
    }

    #[test]
    fn long_outputs_are_told_apart_by_their_last_byte() {
        assert!(send(&[1; 50]).contains(&"01".repeat(50)));
        let mut bytes = [1; 500];
        let one = send(&bytes);
        bytes[499] = 2;
        let other = send(&bytes);
        assert!(one.len() < 200 && one != other, "{one} {other}");
        let what = "\u{e4}".repeat(300);
        assert!(brief(&Output::Event(Event::Warning { what })).len() < 200);
    }

    #[test]
    fn a_recording_may_end_inside_an_input() {
        let now = Now { mono: Nanos(5), wall_ms: 6 };
        let mut outputs = Vec::new();
        Peer::new(config(), State::registers()).handle(now, Input::Boot, &mut outputs);
        assert_eq!(outputs.len(), 1, "Load");

        let mut replay =
            Replay::begin(&header_line(&config(), StateKind::Registers, &TreeSettings::default()))
                .expect("a header");
        assert_eq!(replay.feed(&input_line(now, &Input::Boot)), Ok(None));
        assert!(replay.ends_inside_an_input());
        let less = replay.feed(&output_line(&[])).expect("outputs").expect("a difference");
        assert_eq!((less.line, less.at, less.output, less.expected), (3, Nanos(5), 1, None));

        let mut replay =
            Replay::begin(&header_line(&config(), StateKind::Registers, &TreeSettings::default()))
                .expect("a header");
        assert_eq!(replay.feed(&input_line(now, &Input::Boot)), Ok(None));
        assert_eq!(replay.feed(&output_line(&outputs)), Ok(None));
        assert!(!replay.ends_inside_an_input());
        let why = replay.feed("{\"at\":5}").expect_err("no input").to_string();
        assert!(why.starts_with("line 4: expected an input with its time"), "{why}");
    }
}
