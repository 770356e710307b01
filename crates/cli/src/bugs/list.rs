//! `vivarium bugs list`.

use std::process::ExitCode;

use serde_json::json;
use zab::switches::catalogue::{BUGS, Bug};

pub fn run(json: bool) -> Result<ExitCode, String> {
    if json {
        let rows: Vec<serde_json::Value> = BUGS.iter().map(row).collect();
        say!("{}", serde_json::to_string_pretty(&rows).map_err(|e| e.to_string())?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("{:<4} {:<35} {:<16} {:<15} {:<26} releases", "", "switch", "phase", "issue", "breaks");
    for bug in &BUGS {
        let (name, phase) = (bug.switch.name(), bug.phase.name());
        let (issue, breaks) = (bug.issues[0], bug.breaks.join(" "));
        say!("{:<4} {name:<35} {phase:<16} {issue:<15} {breaks:<26} {}", bug.id, releases(bug));
        if !bug.needs.is_empty() {
            let needs: Vec<&str> = bug.needs.iter().map(|switch| switch.name()).collect();
            say!("     shows only with {}", needs.join(", "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn releases(bug: &Bug) -> String {
    if bug.releases.is_empty() {
        return "none: mended before its release".into();
    }
    bug.releases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn row(bug: &Bug) -> serde_json::Value {
    let needs: Vec<&str> = bug.needs.iter().map(|switch| switch.name()).collect();
    json!({ "id": bug.id, "name": bug.switch.name(), "phase": bug.phase.name(), "issues": bug.issues,
            "breaks": bug.breaks, "needs": needs, "releases": releases(bug) })
}
