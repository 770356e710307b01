//! The client port's door: four-letter words (`FourLetterCommands`) are answered here; what is none is a
//! client's first length, and its connection goes to the member.

mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;

use crate::connections::{Room, accept, bind, room};
use crate::host::Happened;
use crate::view::{Conf, Dirs, View, ask};

pub use words::{NOT_SERVING, java_address};

/// Connections that are looked at together; the others wait to be accepted.
const AT_ONCE: usize = 64;
/// Time for the four bytes, and for the answer to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
const KNOWN: [&str; 18] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "ruok", "stmk", "srst", "srvr", "stat", "wchc",
    "wchp", "wchs", "mntr", "isro", "hash",
];

/// `FourLetterCommands.isEnabled`
///
/// | whitelist | taken |
/// |---|---|
/// | not set | srvr |
/// | a list | what is on it, and srvr |
/// | with a * | all |
fn is_enabled(whitelist: Option<&[String]>, word: &str) -> bool {
    word == "srvr" || whitelist.is_some_and(|list| list.iter().any(|entry| entry == word || entry == "*"))
}

pub async fn serve(
    address: Option<&str>,
    port: u16,
    conf: Arc<Conf>,
    happened: UnboundedSender<Happened>,
) -> io::Result<()> {
    let listener = bind(address, port).await?;
    tokio::spawn(async move {
        let budget = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let room = room(&budget).await;
            let stream = accept(&listener).await;
            let (happened, conf) = (happened.clone(), Arc::clone(&conf));
            tokio::spawn(async move {
                if tokio::time::timeout(2 * PATIENCE, look_at(stream, conf, happened, room)).await.is_err() {
                    tracing::debug!("a connection to the client port took too long");
                }
            });
        }
    });
    Ok(())
}

async fn look_at(mut stream: TcpStream, conf: Arc<Conf>, happened: UnboundedSender<Happened>, room: Room) {
    let mut word = [0; 4];
    match tokio::time::timeout(PATIENCE, stream.read_exact(&mut word)).await {
        Ok(Ok(_)) => {}
        _ => return tracing::debug!("a connection to the client port ended without a word"),
    }
    let Ok(from) = stream.peer_addr() else { return };
    let Some(word) = KNOWN.iter().find(|known| known.as_bytes() == word) else {
        let said = Bytes::copy_from_slice(&word);
        let _ = happened.send(Happened::Client { stream, from, said, _room: room });
        return;
    };
    let Some(answer) = answer(&mut stream, word, from, &conf, &happened).await else { return };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    // A line end behind the word must not turn the close into a reset, which would take the answer.
    let mut rest = [0; 512];
    for _ in 0..8 {
        match tokio::time::timeout(Duration::from_millis(500), stream.read(&mut rest)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => return,
        }
    }
}

/// `None` where there is nobody to ask any more, or where `stmk` has no mask.
async fn answer(
    stream: &mut TcpStream,
    word: &'static str,
    from: SocketAddr,
    conf: &Arc<Conf>,
    happened: &UnboundedSender<Happened>,
) -> Option<String> {
    if !is_enabled(conf.cfg.four_letter_words.as_deref(), word) {
        return Some(format!("{word} is not executed because it is not in the whitelist.\n"));
    }
    tracing::debug!(%from, "four-letter word {word}");
    let mask = if word == "stmk" { Some(stream.read_i64().await.ok()?) } else { None };
    let dirs = if matches!(word, "conf" | "dirs") { conf.dirs() } else { Dirs::default() };
    ask(happened, move |view: &mut View<'_>| words::answer(view, word, from, &dirs, mask)).await
}

#[cfg(test)]
mod tests;
