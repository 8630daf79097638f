//! `sidekey crds`: the definitions of the custom resources, made from the operator's types; printed, or applied.

use sidekey_cluster::api::Api;
use sidekey_core::Code;
use sidekey_operator::install;
use sidekey_operator::types::crd;
use tokio::runtime::Builder;

use crate::args::CrdsArgs;
use crate::documents;
use crate::error::Error;
use crate::ordered::{Document, Shape};

pub(crate) fn run(args: &CrdsArgs) -> Result<(), Error> {
    if !args.apply {
        return crate::write(&render()?);
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| Error::Failed(error.to_string()))?.block_on(async {
        let api = Api::connect().await.map_err(|error| error.cause(Code::KubernetesApi))?;
        install::crds(&api, args.timeout).await
    });
    let names = done.map_err(|cause| Error::Failed(cause.to_string()))?;
    crate::write(&names.iter().map(|name| format!("{name} applied and served\n")).collect::<String>())
}

fn render() -> Result<String, Error> {
    let documents: Vec<_> = crd::all().into_iter().map(|value| Document { value, shape: Shape::default() }).collect();
    documents::print(&documents)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shipped_file_is_what_is_printed() {
        sidekey_testkit::golden::check("../../deploy/operator/crds.yaml", &super::render().unwrap());
    }
}
