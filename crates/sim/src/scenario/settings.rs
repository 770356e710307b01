//! A member's settings as scenario files give them: whole milliseconds, and defaults that make short runs.

use peer::{Settings, SyncTable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::millis;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SettingsEntry {
    pub tick_time_ms: u64,
    pub init_limit: u32,
    pub sync_limit: u32,
    pub commit_log_count: usize,
    pub snap_count: u64,
    pub snapshot_size_factor_milli: i64,
    pub force_snapshot_sync: bool,
    /// "3.4" or "3.5".
    pub sync_table: String,
    pub connect_tries: u32,
    pub connect_retry_delay_ms: u64,
    pub connect_first_retry_ms: u64,
    pub initial_zxid: Option<u32>,
    pub leader_serves: bool,
    /// Leaders take learners of before 1.0.
    #[serde(rename = "allowPre1.0")]
    pub allow_pre_1_0: bool,
    pub finalize_wait_ms: u64,
    pub min_notification_interval_ms: u64,
    pub max_notification_interval_ms: u64,
    pub cnx_timeout_ms: u64,
    pub max_batch_size: usize,
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    /// Observers log to disk.
    pub sync_enabled: bool,
    /// Configurations get versions, and members keep them.
    pub reconfig_enabled: bool,
    pub jute_maxbuffer: usize,
    /// Clients' requests under way in the whole ensemble.
    pub global_outstanding_limit: usize,
    /// Bytes of a snapshot written in one step.
    pub snapshot_slice: usize,
}

impl Default for SettingsEntry {
    fn default() -> Self {
        let short = Settings { tick_time: millis(500), min_session_timeout_ms: 1000, ..Settings::default() };
        SettingsEntry::of(&short)
    }
}

impl SettingsEntry {
    /// The entry that gives `settings`, whose times are whole milliseconds.
    pub fn of(s: &Settings) -> SettingsEntry {
        let ms = |nanos: peer::Nanos| nanos.0 / 1_000_000;
        SettingsEntry {
            tick_time_ms: ms(s.tick_time),
            init_limit: s.init_limit,
            sync_limit: s.sync_limit,
            commit_log_count: s.commit_log_count,
            snap_count: s.snap_count,
            snapshot_size_factor_milli: s.snapshot_size_factor_milli,
            force_snapshot_sync: s.force_snapshot_sync,
            sync_table: match s.sync_table {
                SyncTable::V34 => "3.4".into(),
                SyncTable::V35 => "3.5".into(),
            },
            connect_tries: s.connect_tries,
            connect_retry_delay_ms: ms(s.connect_retry_delay),
            connect_first_retry_ms: ms(s.connect_first_retry),
            initial_zxid: s.initial_zxid,
            leader_serves: s.leader_serves,
            allow_pre_1_0: s.allow_pre_1_0,
            finalize_wait_ms: ms(s.finalize_wait),
            min_notification_interval_ms: ms(s.min_notification_interval),
            max_notification_interval_ms: ms(s.max_notification_interval),
            cnx_timeout_ms: ms(s.cnx_timeout),
            max_batch_size: s.max_batch_size,
            min_session_timeout_ms: s.min_session_timeout_ms,
            max_session_timeout_ms: s.max_session_timeout_ms,
            sync_enabled: s.sync_enabled,
            reconfig_enabled: s.reconfig_enabled,
            jute_maxbuffer: s.jute_maxbuffer,
            global_outstanding_limit: s.global_outstanding_limit,
            snapshot_slice: s.snapshot_slice,
        }
    }

    /// All of it but the protocol version, which a member has of its own.
    pub fn settings(&self) -> Settings {
        Settings {
            tick_time: millis(self.tick_time_ms),
            init_limit: self.init_limit,
            sync_limit: self.sync_limit,
            commit_log_count: self.commit_log_count,
            snap_count: self.snap_count,
            snapshot_size_factor_milli: self.snapshot_size_factor_milli,
            force_snapshot_sync: self.force_snapshot_sync,
            sync_table: if self.sync_table == "3.4" { SyncTable::V34 } else { SyncTable::V35 },
            connect_tries: self.connect_tries,
            connect_retry_delay: millis(self.connect_retry_delay_ms),
            connect_first_retry: millis(self.connect_first_retry_ms),
            initial_zxid: self.initial_zxid,
            leader_serves: self.leader_serves,
            allow_pre_1_0: self.allow_pre_1_0,
            finalize_wait: millis(self.finalize_wait_ms),
            min_notification_interval: millis(self.min_notification_interval_ms),
            max_notification_interval: millis(self.max_notification_interval_ms),
            cnx_timeout: millis(self.cnx_timeout_ms),
            max_batch_size: self.max_batch_size,
            min_session_timeout_ms: self.min_session_timeout_ms,
            max_session_timeout_ms: self.max_session_timeout_ms,
            sync_enabled: self.sync_enabled,
            reconfig_enabled: self.reconfig_enabled,
            jute_maxbuffer: self.jute_maxbuffer,
            global_outstanding_limit: self.global_outstanding_limit,
            snapshot_slice: self.snapshot_slice,
            ..Settings::default()
        }
    }

    /// These settings with some fields replaced, as a member's own `settings` say.
    pub fn with(&self, own: &serde_json::Map<String, serde_json::Value>) -> Result<SettingsEntry, String> {
        if own.is_empty() {
            return Ok(self.clone());
        }
        let mut all = serde_json::to_value(self).map_err(|e| e.to_string())?;
        let fields = all.as_object_mut().ok_or("settings are an object")?;
        fields.extend(own.clone());
        serde_json::from_value(all).map_err(|e| e.to_string())
    }

    /// What is wrong with the values, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        if self.tick_time_ms == 0 || self.init_limit == 0 || self.sync_limit == 0 {
            return Some("expected tickTimeMs, initLimit and syncLimit above 0");
        }
        if !["3.4", "3.5"].contains(&self.sync_table.as_str()) {
            return Some("expected syncTable to be \"3.4\" or \"3.5\"");
        }
        None
    }
}
