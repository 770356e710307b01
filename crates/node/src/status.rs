//! The client port until clients are served: four-letter words, and a plain refusal of anything else.

use std::io;
use std::time::Duration;

use peer::{Event, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use wire::{Epoch, Zxid};

use crate::host::Happened;
use crate::zoo_cfg::ZooCfg;

/// What is told about the member.
#[derive(Clone, Debug)]
pub struct Status {
    pub role: Role,
    pub last_zxid: Zxid,
    pub epoch: Epoch,
    pub synced: i64,
    pub outstanding: i64,
    conf: String,
}

impl Status {
    pub fn new(cfg: &ZooCfg) -> Status {
        let mut conf = format!(
            "clientPort={}\ndataDir={}\ndataLogDir={}\ntickTime={}\ninitLimit={}\nsyncLimit={}\nserverId={}\n",
            cfg.client_port.unwrap_or(0),
            cfg.data_dir.join("version-2").display(),
            cfg.data_log_dir.join("version-2").display(),
            cfg.tick_time_ms,
            cfg.init_limit,
            cfg.sync_limit,
            cfg.my_id.0,
        );
        conf += &String::from_utf8_lossy(&cfg.config(0).view.text());
        conf.push('\n');
        Status {
            role: Role::Looking,
            last_zxid: Zxid::ZERO,
            epoch: Epoch(0),
            synced: 0,
            outstanding: 0,
            conf,
        }
    }

    pub fn on_event(&mut self, event: &Event) {
        match event {
            Event::Loaded { last_zxid, current_epoch, .. } => {
                (self.last_zxid, self.epoch) = (*last_zxid, *current_epoch);
            }
            Event::RoleChanged { .. } => (self.synced, self.outstanding) = (0, 0),
            Event::Established { epoch } | Event::UpToDate { epoch } => {
                self.epoch = *epoch;
                self.last_zxid = self.last_zxid.max(epoch.first_zxid());
            }
            Event::UpToDateSent { .. } => self.synced += 1,
            Event::ConnectionDropped { .. } => self.synced = (self.synced - 1).max(0),
            Event::Proposed { .. } => self.outstanding += 1,
            Event::Committed { .. } => self.outstanding -= 1,
            Event::Delivered { zxid, .. } | Event::Restored { zxid, .. } => self.last_zxid = *zxid,
            _ => {}
        }
    }

    fn mode(&self) -> &'static str {
        match self.role {
            Role::Looking => "looking",
            Role::Following => "follower",
            Role::Leading => "leader",
            Role::Observing => "observer",
        }
    }

    fn answer(&self, word: &[u8; 4]) -> Option<String> {
        let version = env!("CARGO_PKG_VERSION");
        Some(match word {
            b"ruok" => "imok".into(),
            b"isro" => if self.role == Role::Looking { "null" } else { "rw" }.into(),
            b"conf" => self.conf.clone(),
            b"srvr" | b"stat" if self.role == Role::Looking => {
                "This ZooKeeper instance is not currently serving requests\n".into()
            }
            b"srvr" | b"stat" => format!(
                "Zookeeper version: vivarium-{version}\nLatency min/avg/max: 0/0/0\nReceived: 0\nSent: 0\n\
                 Connections: 0\nOutstanding: {}\nZxid: {}\nMode: {}\nNode count: 0\n",
                self.outstanding,
                self.last_zxid,
                self.mode()
            ),
            b"mntr" => format!(
                "zk_version\tvivarium-{version}\nzk_server_state\t{}\nzk_outstanding_requests\t{}\n\
                 zk_current_epoch\t{}\nzk_last_zxid\t{}\nzk_learners\t{}\nzk_synced_followers\t{}\n",
                self.mode(),
                self.outstanding,
                self.epoch,
                self.last_zxid,
                self.synced,
                self.synced
            ),
            _ => return None,
        })
    }
}

pub async fn serve_status(port: u16, happened: UnboundedSender<Happened>) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, happened.clone()));
        }
    });
    Ok(())
}

/// Four bytes within a second, or nothing.
async fn answer(mut stream: TcpStream, happened: UnboundedSender<Happened>) {
    let mut word = [0; 4];
    let read = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut word)).await;
    if !matches!(read, Ok(Ok(_))) {
        return;
    }
    let (ask, status) = oneshot::channel();
    if happened.send(Happened::Status(ask)).is_err() {
        return;
    }
    if let Ok(status) = status.await
        && let Some(text) = status.answer(&word)
    {
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}
