//! The suite that every platform passes, for the local one.

use std::net::SocketAddr;
use std::sync::Arc;

use autoscalebot_fakes::conformance::{Subject, platform_conformance};
use autoscalebot_platform::PlatformContext;
use autoscalebot_platform::local::{Local, Options};
use autoscalebot_platform::logs::LogSink;

#[tokio::test]
async fn the_local_platform_does_what_every_platform_does() {
    platform_conformance(|| async {
        let folder = tempfile::tempdir().unwrap();
        let procfile = folder.path().join("Procfile");
        std::fs::write(&procfile, "web: exec sleep 60\nworker: exec sleep 60\n").unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = Options { procfile, listen, ..Options::default() };
        Subject {
            platform: Arc::new(Local::new(options, &PlatformContext { logs: LogSink::default(), keeper: None })),
            app: "shop".into(),
            processes: ["web".into(), "worker".into()],
            unknown_app: None,
            keep: Box::new(folder),
        }
    })
    .await;
}
