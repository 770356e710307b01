//! What a process costs, as Linux tells it.

/// Resident memory.
pub fn resident_kb(pid: u32) -> Result<u64, String> {
    status_kb(pid, "VmRSS:")
}

/// The most that was ever resident.
pub fn peak_kb(pid: u32) -> Result<u64, String> {
    status_kb(pid, "VmHWM:")
}

fn status_kb(pid: u32, field: &str) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let kb = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
    kb.ok_or(format!("{path}: no {field}"))
}

/// User and system time so far, in seconds.
pub fn cpu_seconds(pid: u32) -> Result<[f64; 2], String> {
    /// `USER_HZ`, 100 on every Linux that Rust runs on.
    const TICKS: f64 = 100.0;
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    // Behind the name in parentheses: field 3 first; utime and stime are 14 and 15.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n - 3).and_then(|field| field.parse::<f64>().ok());
    match (ticks(14), ticks(15)) {
        (Some(user), Some(system)) => Ok([user / TICKS, system / TICKS]),
        _ => Err(format!("{path}: no times")),
    }
}
