//! `sidekey crds`: the definitions of the custom resources, made from the operator's types.

use sidekey_operator::types::crd;

use crate::documents;
use crate::error::Error;
use crate::ordered::{Document, Shape};

pub(crate) fn run() -> Result<(), Error> {
    crate::write(&render()?)
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
