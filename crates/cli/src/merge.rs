//! `vivarium merge`: the JSON of several sweeps as one.

use std::process::ExitCode;

use crate::MergeArgs;
use crate::tally::Tally;
use crate::tally_report;

pub fn run(args: &MergeArgs) -> ExitCode {
    let mut whole: Option<Tally> = None;
    for file in &args.files {
        let read = std::fs::read_to_string(file).map_err(|e| e.to_string());
        let tally = read.and_then(|text| serde_json::from_str::<Tally>(&text).map_err(|e| e.to_string()));
        match (tally, &mut whole) {
            (Err(why), _) => {
                eprintln!("vivarium: {}: {why}", file.display());
                return ExitCode::from(2);
            }
            (Ok(tally), None) => whole = Some(tally),
            (Ok(tally), Some(whole)) if tally.arguments == whole.arguments => whole.join(&tally),
            (Ok(_), Some(_)) => {
                eprintln!("vivarium: {}: a sweep with other arguments", file.display());
                return ExitCode::from(2);
            }
        }
    }
    let Some(mut whole) = whole else { return ExitCode::from(2) };
    whole.group_failures();
    tally_report::print(&whole);
    crate::sweep::end(&whole, args.json.as_deref())
}
