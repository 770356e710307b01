//! Installations of Java's ZooKeeper servers: 3.8 from Debian's `libzookeeper-java`, 3.4 and 3.9 out of the
//! jars that PyPI's `pyspark` packages carry. What is missing is installed, outside the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::python;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    #[value(name = "3.4")]
    V3_4,
    #[value(name = "3.8")]
    V3_8,
    #[value(name = "3.9")]
    V3_9,
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Version::V3_4 => "3.4",
            Version::V3_8 => "3.8",
            Version::V3_9 => "3.9",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Java {
    pub version: Version,
    classpath: String,
    /// What makes this version log at INFO to standard output or error.
    logging: Vec<String>,
}

impl Java {
    pub fn install(version: Version) -> Result<Java, String> {
        let (classpath, logging) = match version {
            Version::V3_8 => (debian()?, Vec::new()),
            Version::V3_4 => {
                let jars = pyspark("2.4.8")?;
                let properties = jars.join("log4j.properties");
                std::fs::write(&properties, LOG4J_1).map_err(|e| format!("{}: {e}", properties.display()))?;
                (all_jars(&jars)?, vec![format!("-Dlog4j.configuration=file:{}", properties.display())])
            }
            Version::V3_9 => {
                (all_jars(&pyspark("4.1.1")?)?, vec!["-Dorg.apache.logging.log4j.level=INFO".into()])
            }
        };
        Ok(Java { version, classpath, logging })
    }

    pub fn classpath(&self) -> &str {
        &self.classpath
    }

    /// A quorum member; a single server where the configuration names no servers.
    pub fn server(&self, heap_mb: u32, flags: &[String], cfg: &Path) -> Command {
        let mut command = Command::new("java");
        command.arg(format!("-Xmx{heap_mb}m")).args(&self.logging);
        // Logs grow by little at once: the checks make many directories. (In KiB.)
        command.args(["-Dzookeeper.preAllocSize=1024", "-Dzookeeper.4lw.commands.whitelist=*"]);
        command.args(flags).args(["-cp", &self.classpath]);
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(cfg);
        command
    }

    /// Takes commands from standard input. Says little else of its own.
    pub fn zk_cli(&self, host: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &self.classpath]);
        command.args(["org.apache.zookeeper.ZooKeeperMain", "-server", host]);
        command
    }
}

const LOG4J_1: &str = "log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p [%t] %c{1} - %m%n
";

fn debian() -> Result<String, String> {
    const JARS: [&str; 8] = [
        "zookeeper",
        "zookeeper-jute",
        "slf4j-api",
        "slf4j-simple",
        "commons-cli",
        "commons-io",
        "netty-all",
        "audience-annotations",
    ];
    let jar = |name: &str| format!("/usr/share/java/{name}.jar");
    if !Path::new(&jar("zookeeper")).exists() {
        apt_get(&["update", "-q"])?;
        apt_get(&["install", "-y", "-q", "libzookeeper-java", "default-jre-headless"])?;
    }
    // Debian links its own dependencies from the manifest's folder; the rest are named here.
    let mut path: Vec<String> = JARS.iter().map(|name| jar(name)).collect();
    for prefix in ["netty-", "metrics-core", "snappy"] {
        let entries = std::fs::read_dir("/usr/share/java").map_err(|e| e.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        path.extend(
            names
                .filter(|name| name.starts_with(prefix) && name.ends_with(".jar"))
                .map(|name| format!("/usr/share/java/{name}")),
        );
    }
    Ok(path.join(":"))
}

pub fn apt_get(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    python::succeed(&mut command)
}

/// The jars that a ZooKeeper server needs, out of the source package of that release of pyspark.
fn pyspark(release: &str) -> Result<PathBuf, String> {
    const NEEDED: [&str; 12] = [
        "zookeeper-",
        "slf4j-api-",
        "slf4j-log4j12-",
        "log4j-1.2.",
        "log4j-api-",
        "log4j-core-",
        "log4j-slf4j2-impl-",
        "netty-",
        "metrics-core-",
        "snappy-java-",
        "commons-",
        "audience-annotations-",
    ];
    let cache = python::cache_dir()?;
    let jars = cache.join(format!("pyspark-{release}-jars"));
    if jars.is_dir() {
        return Ok(jars);
    }
    let package = cache.join(format!("pyspark-{release}.tar.gz"));
    if !package.exists() {
        python::download(&format!("pyspark=={release}"), &cache)?;
    }
    // Unpacked beside its place and then renamed: there whole or not at all.
    let unpacking = cache.join(format!("pyspark-{release}-unpacking"));
    let _ = std::fs::remove_dir_all(&unpacking);
    std::fs::create_dir_all(&unpacking).map_err(|e| format!("{}: {e}", unpacking.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("xzf").arg(&package).arg("-C").arg(&unpacking);
    tar.args(["--wildcards", "--strip-components=3"]);
    tar.args(NEEDED.map(|prefix| format!("*/deps/jars/{prefix}*.jar")));
    // Patterns without a match make tar fail: the jars themselves are looked at instead.
    let unpacked = python::succeed(&mut tar);
    let names = all_jars(&unpacking)?;
    if !names.contains("/zookeeper-") || !names.contains("/slf4j-api-") {
        return Err(format!("no ZooKeeper in {}: {unpacked:?}", package.display()));
    }
    std::fs::rename(&unpacking, &jars).map_err(|e| format!("{}: {e}", jars.display()))?;
    let _ = std::fs::remove_file(&package);
    Ok(jars)
}

fn all_jars(dir: &Path) -> Result<String, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut jars: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().to_string_lossy().into_owned()))
        .filter(|path| path.ends_with(".jar"))
        .collect();
    jars.sort();
    Ok(jars.join(":"))
}
