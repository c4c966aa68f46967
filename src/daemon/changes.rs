//! Changes that read and write files. Each is made on a thread of its own, since a large database
//! takes seconds and health must not wait for it; and one after the other, so that none is lost to
//! another.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::DaemonError;
use super::measured::Measured;
use super::service::named_secrets;
use crate::admin::NotMeasured;
use crate::config::{self, Loaded, ServiceSettings, Settings};
use crate::geo::GeoTable;
use crate::plan::Plan;
use crate::routing::CookieSecrets;

/// Changes to be made, in the order in which they were asked for.
pub(super) struct Changes {
    /// What a reload reads; `None`: there is no file, and nothing to reload.
    file: Option<PathBuf>,
    service: ServiceSettings,
    /// As of the last change that was made.
    measured: Measured,
    waiting: VecDeque<Change>,
    /// At most one.
    under_way: JoinSet<(Option<Measured>, Changed)>,
}

/// A change, and who waits for it.
pub(super) enum Change {
    /// The configuration is read anew.
    Reload(oneshot::Sender<Result<(), String>>),
    /// Other measurements take the place of those that were given before.
    Measured(Bytes, oneshot::Sender<Result<usize, NotMeasured>>),
}

/// What came of a change; it takes effect, and is answered, elsewhere.
pub(super) enum Changed {
    /// A configuration, or what is wrong with it.
    Reload(Result<Box<Reloaded>, String>, oneshot::Sender<Result<(), String>>),
    /// The plan with the measurements, of which there are so many; or why there is none.
    Measured(Result<(Arc<Plan>, usize), NotMeasured>, oneshot::Sender<Result<usize, NotMeasured>>),
}

/// A configuration, read anew.
pub(super) struct Reloaded {
    pub(super) settings: Settings,
    pub(super) plan: Arc<Plan>,
    pub(super) geo: Arc<GeoTable>,
    /// The secrets of cookies, where a file of them is named and can be read.
    pub(super) cookies: Option<CookieSecrets>,
}

impl Changes {
    /// None so far.
    pub(super) fn new(file: Option<PathBuf>, service: ServiceSettings, measured: Measured) -> Self {
        Changes { file, service, measured, waiting: VecDeque::new(), under_way: JoinSet::new() }
    }

    /// The measurements that were given by API, as they were given.
    pub(super) fn given(&self) -> Bytes {
        self.measured.given().clone()
    }

    /// Has `change` made after those that were asked for before.
    pub(super) fn ask(&mut self, change: Change) {
        self.waiting.push_back(change);
        self.go_on();
    }

    /// Waits for what comes of the next; `None`: nothing was asked for. Nothing is lost if it is
    /// dropped.
    pub(super) async fn next(&mut self) -> Option<Changed> {
        loop {
            let done = self.under_way.join_next().await?;
            if let Ok((Some(measured), _)) = &done {
                self.measured = measured.clone();
            }
            self.go_on();
            match done {
                Ok((_, changed)) => return Some(changed),
                // Whoever waits for it learns that there will be no answer.
                Err(error) => tracing::error!(%error, "a change was not made"),
            }
        }
    }

    fn go_on(&mut self) {
        if !self.under_way.is_empty() {
            return;
        }
        let Some(change) = self.waiting.pop_front() else { return };
        let (file, service, measured) = (self.file.clone(), self.service.clone(), self.measured.clone());
        self.under_way.spawn_blocking(move || match change {
            Change::Reload(reply) => {
                let (measured, result) = split(reload(file, &service, &measured));
                (measured, Changed::Reload(result, reply))
            }
            Change::Measured(given, reply) => {
                let result = measured.replaced(given);
                let (measured, result) =
                    split(result.map(|(measured, plan, count)| (measured, (plan, count))));
                (measured, Changed::Measured(result, reply))
            }
        });
    }
}

fn split<T, E>(result: Result<(Measured, T), E>) -> (Option<Measured>, Result<T, E>) {
    match result {
        Ok((measured, result)) => (Some(measured), Ok(result)),
        Err(error) => (None, Err(error)),
    }
}

/// Reads all of it: the configuration with its files, the measurements that are kept, and the
/// secrets of cookies.
fn reload(
    file: Option<PathBuf>,
    service: &ServiceSettings,
    measured: &Measured,
) -> Result<(Measured, Box<Reloaded>), String> {
    let file = file.ok_or("there is no configuration file to read")?;
    let loaded = config::load(&file).map_err(|diagnostics| diagnostics.to_string())?;
    let Loaded { settings, geoip: _, geo, plan } = loaded;
    let (measured, plan) = measured.over(Arc::new(plan))?;
    let cookies = secrets_anew(service)?;
    Ok((measured, Box::new(Reloaded { settings, plan, geo, cookies })))
}

/// The secrets of cookies as their file has them now; `None`: there is none, or it is not for this
/// process to read again, which has given up its privileges.
fn secrets_anew(settings: &ServiceSettings) -> Result<Option<CookieSecrets>, String> {
    match named_secrets(settings) {
        Err(DaemonError::CookieSecret(path, error)) if error.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), "cannot read the secrets of cookies again: they stay");
            Ok(None)
        }
        read => read.map_err(|error| error.to_string()),
    }
}
