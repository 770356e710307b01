//! The story of a run, for people: what the runner noted, put into words only where somebody reads it (in a
//! sweep that is one run in thousands).

use peer::{Event, Nanos};
use wire::{ErrorCode, ServerId};

use crate::plan::Action;

#[derive(Clone, Debug, Default)]
pub struct Story(Vec<(Nanos, Told)>);

#[derive(Clone, Debug)]
pub(super) enum Told {
    Action(Action),
    Event(ServerId, Event),
    Heal,
    /// It was answered with this error code, or 0.
    Reconfig(i32),
}

impl Story {
    pub(super) fn tell(&mut self, at: Nanos, told: Told) {
        self.0.push((at, told));
    }

    /// A line each, with its time in front.
    pub fn lines(&self) -> Vec<String> {
        let line = |(at, told): &(Nanos, Told)| {
            let ms = at.0 / 1_000_000;
            format!("{:>6}.{:03}s  {}", ms / 1000, ms % 1000, words(told))
        };
        self.0.iter().map(line).collect()
    }
}

fn words(told: &Told) -> String {
    match told {
        Told::Action(action) => format!("-- {}", serde_json::to_string(action).unwrap_or_default()),
        Told::Heal => "-- everything heals, everybody starts".into(),
        Told::Reconfig(0) => "-- the reconfiguration is done".into(),
        Told::Reconfig(err) => format!("-- the reconfiguration is refused: {}", error_name(*err)),
        Told::Event(member, event) => match event {
            Event::ElectionDecided { round, epoch, .. } => {
                format!("{member} is elected (round {round}, epoch {epoch} behind it)")
            }
            Event::EpochAcked { epoch } => format!("{member} owns epoch {epoch}"),
            Event::Established { epoch } => format!("{member} has established epoch {epoch}"),
            Event::SyncChosen { learner, mode, peer_last_zxid, zxid } => {
                format!("{member} syncs {learner}: {mode:?} from {peer_last_zxid} to {zxid}")
            }
            Event::UpToDate { epoch } => format!("{member} is up to date in epoch {epoch}"),
            Event::RoleLeft { role, reason } => format!("{member} leaves {role:?}: {reason}"),
            Event::LearnerAhead { learner, .. } => format!("{member} refuses {learner}: it is ahead"),
            Event::ConfigActivated { version, view } => {
                let voters: Vec<String> = view.voters().map(|sid| sid.to_string()).collect();
                format!("{member} goes by configuration {version}, in which {} vote", voters.join(", "))
            }
            event => format!("{member}: {}", event.name()),
        },
    }
}

fn error_name(err: i32) -> String {
    ErrorCode::of(err).map_or_else(|| err.to_string(), |code| code.name().to_owned())
}
