//! What the conversations of the museum share: each is played with the switch on, kept, and played again
//! with it off, where it must come out otherwise (or cannot be played to its end at all).

use peer::{Config, DiskOp, Switch};

use crate::keep;
use crate::script::{converse, files, try_converse};

/// `config` has the switch on, and perhaps others that it stands beside.
pub fn bites(switch: Switch, config: Config, disk: &[DiskOp], script: &str) {
    let others = config.switches.iter().filter(|other| *other != switch).collect();
    let without = Config { switches: others, ..config.clone() };
    let on = converse(config, disk, script);
    let off = try_converse(without, files(disk), script);
    assert_ne!(Ok(&on), off.as_ref(), "{}: the switch changes nothing", switch.name());
    keep("museum", switch.name(), &on);
}
