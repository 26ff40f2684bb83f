//! What a row of the outbox tells, as of now.

use jiff::Timestamp;
use supercargo_registry::index::{Digest, Source};
use supercargo_store::{Delivery, DeliveryKind, NewDelivery, RepositoryName, StoredImage};

use crate::failure::Trouble;
use crate::shared::Shared;
use crate::sink::hide_values;
use crate::{Consignment, Gone, IndexedImage, News, Preview, Route};

/// What `delivery` tells; `None` if it has been overtaken: what was there is gone, what was gone is back.
pub(super) async fn of(shared: &Shared, route: &Route, delivery: &Delivery) -> Result<Option<Consignment>, Trouble> {
    let request = &delivery.request;
    let news = match request.kind {
        DeliveryKind::Indexed => indexed(shared, route, &request.repository, &request.subject).await?,
        DeliveryKind::Gone => gone(shared, request).await?.map(News::Gone),
        _ => None,
    };
    Ok(news.map(|news| Consignment {
        id: Consignment::id_of(delivery),
        attempt: delivery.attempt,
        repository: request.repository.clone(),
        digest: request.subject.clone(),
        asked_at: delivery.created_at,
        news,
    }))
}

impl Route {
    /// What would be sent of a stored image in one of its repositories; `None` if it is not there any more.
    ///
    /// # Errors
    ///
    /// Those of [`Sink::preview`](crate::Sink::preview).
    pub fn preview(&self, repository: &RepositoryName, image: StoredImage) -> crate::Result<Option<Preview>> {
        let digest = image.summary.digest.clone();
        let Some(news) = news_of(self, repository, image) else { return Ok(None) };
        let consignment = Consignment {
            id: "msg_preview".to_owned(),
            attempt: 1,
            repository: repository.clone(),
            digest,
            asked_at: Timestamp::now(),
            news,
        };
        self.sink.preview(&consignment).map(Some)
    }
}

async fn indexed(
    shared: &Shared,
    route: &Route,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<News>, Trouble> {
    let Some(image) = shared.store.image(digest).await? else { return Ok(None) };
    Ok(news_of(route, repository, image))
}

/// What is told of a stored image in one of its repositories; `None` if it is not there any more.
fn news_of(route: &Route, repository: &RepositoryName, image: StoredImage) -> Option<News> {
    let here = || image.summary.places.iter().filter(|place| place.repository == *repository);
    here().next()?;
    let mut tags: Vec<String> = here().filter_map(|place| place.tag.clone()).collect();
    tags.sort();
    tags.dedup();
    let indexed_at = image.summary.last_indexed;
    let mut metadata = image.metadata;
    if let Source::Image(details) = &mut metadata.source {
        // It may have been read from another repository, and before it had these tags.
        details.name = repository.to_string();
        details.tags.clone_from(&tags);
    }
    if !route.environment_values {
        hide_values(&mut metadata);
    }
    Some(News::Indexed(Box::new(IndexedImage { metadata, tags, indexed_at })))
}

async fn gone(shared: &Shared, request: &NewDelivery) -> Result<Option<Gone>, Trouble> {
    let tags_now = shared.stored_tags(&request.repository).await?;
    if let Some(tag) = &request.tag {
        // A tag that is there again leads elsewhere or to the same; either is told by what it leads to.
        let is_back = tags_now.contains_key(tag);
        return Ok((!is_back).then(|| Gone { tag: Some(tag.clone()), tags: Vec::new() }));
    }
    let is_back = match shared.store.image(&request.subject).await? {
        Some(image) => image.summary.places.iter().any(|place| place.repository == request.repository),
        None => false,
    };
    if is_back {
        return Ok(None);
    }
    let told = request.details.get("tags").and_then(serde_json::Value::as_array).into_iter().flatten();
    let tags = told.filter_map(|tag| tag.as_str()).filter(|tag| !tags_now.contains_key(*tag));
    Ok(Some(Gone { tag: None, tags: tags.map(str::to_owned).collect() }))
}
