//! An integration as the API shows it.

use serde::Serialize;
use supercargo_engine::setup::Setup;
use supercargo_engine::store::Integration;
use utoipa::ToSchema;

/// An integration, and where it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationView {
    #[serde(flatten)]
    integration: Integration,
    /// Amazon ECR: the account.
    account: Option<String>,
    /// Amazon ECR: the region.
    region: Option<String>,
}

impl From<Integration> for IntegrationView {
    fn from(integration: Integration) -> Self {
        let place = Setup::of(&integration).ok().and_then(|setup| setup.place());
        let (account, region) = place.map(|place| (place.account, place.region)).unzip();
        Self { integration, account, region }
    }
}
