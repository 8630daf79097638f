//! `sidekey webhook`: flags to [`sidekey_webhook::Options`], a runtime around it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use sidekey_runtime::{drain, log};
use sidekey_webhook::app::Limits;
use sidekey_webhook::certs::files::Pair;
use sidekey_webhook::certs::keeper::Names;
use sidekey_webhook::server::Timing;
use sidekey_webhook::{Certificates, Options, RunError, missed};
use tokio::runtime::Builder;

use crate::args::{LogFormat, WebhookArgs};
use crate::error::Error;

pub(crate) fn run(args: &WebhookArgs) -> Result<(), Error> {
    let failed = |error: &dyn std::error::Error| Error::Failed(error.to_string());
    log::init(&args.log_level, args.log_format == LogFormat::Json).map_err(|error| failed(&error))?;
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = args.workers {
        builder.worker_threads(workers.into());
    }
    let runtime = builder.enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let drain = drain::on_signals().map_err(|error| failed(&error))?;
        sidekey_webhook::run(options(args), drain).await.map_err(|error| match error {
            RunError::Settings(cause) => Error::Input(cause),
            error => failed(&error),
        })
    })
}

fn options(args: &WebhookArgs) -> Options {
    let random = || format!("sidekey-webhook-{:016x}", RandomState::new().hash_one(0_u8));
    let identity = args.identity.clone().unwrap_or_else(random);
    let certificates = match &args.tls_dir {
        Some(directory) => Certificates::Files(Pair::mounted(directory)),
        None => Certificates::SelfMade(names(args, identity.clone())),
    };
    Options {
        listen: args.listen,
        admin: args.admin,
        settings: args.settings.clone(),
        certificates,
        missed: missed(args, identity),
        limits: Limits::default(),
        timing: Timing { lame_duck: Duration::from_secs(args.lame_duck_seconds), ..Timing::default() },
    }
}

fn missed(args: &WebhookArgs, identity: String) -> missed::Names {
    missed::Names {
        namespace: args.namespace.clone(),
        lease: args.leader_lease.clone(),
        configuration: args.configuration.clone(),
        identity,
    }
}

fn names(args: &WebhookArgs, identity: String) -> Names {
    let WebhookArgs { service, namespace, .. } = args;
    Names {
        namespace: namespace.clone(),
        secret: args.ca_secret.clone(),
        lease: args.lease.clone(),
        configuration: args.configuration.clone(),
        dns: vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")],
        identity,
    }
}
