//! The ECR API: lists, the state of an image, and the token for `/v2/`.

use std::collections::HashSet;
use std::fmt;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::SdkError;
use aws_sdk_ecr::primitives::DateTime;
use aws_sdk_ecr::types::{
    DescribeImagesFilter, ImageDetail, ImageIdentifier, ImageStatus, ImageStatusFilter, TagStatus,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tracing::warn;

use super::error::from_sdk;
use super::token::{self, Issued};
use crate::digest::parse_digest;
use crate::registry::Tag;
use crate::{Credential, Error, ErrorKind, Repository, Result, TagName, Target};

/// Entries of a page; the most that the API gives.
const PAGE: i32 = 1000;
/// Pages of one list. A repository holds 100 000 images by default, 100 pages; this is a hundred times as much.
const PAGES: usize = 10_000;

/// The ECR API of one registry.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// The account whose registry it is; `None` is that of the credentials.
    account: Option<String>,
}

/// Where an image's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// It can be pulled.
    Active,
    /// It is in the archive, and cannot.
    Archived,
    /// It is being brought back from there.
    Activating,
}

impl Api {
    pub(super) fn new(client: Client, account: Option<String>) -> Self {
        Self { client, account }
    }

    /// The repositories. Names that break the grammar are left out with a warning.
    pub(super) fn repositories(&self) -> BoxStream<'static, Result<Repository>> {
        let api = self.clone();
        pages(move |next| {
            let api = api.clone();
            async move {
                let page = api
                    .client
                    .describe_repositories()
                    .set_registry_id(api.account.clone())
                    .max_results(PAGE)
                    .set_next_token(next)
                    .send()
                    .await
                    .map_err(|error| from_sdk("ecr:DescribeRepositories", &error))?;
                let names = page.repositories.unwrap_or_default().into_iter();
                Ok((names.filter_map(|repository| repository.repository_name).collect(), page.next_token))
            }
        })
        .try_filter_map(|name: String| async move {
            Ok(match name.parse::<Repository>() {
                Ok(repository) => Some(repository),
                Err(error) => {
                    warn!(%error, "a repository of the list is left out");
                    None
                }
            })
        })
        .boxed()
    }

    /// The tags of a repository, those of archived images with them.
    pub(super) fn tags(&self, repository: &Repository) -> BoxStream<'static, Result<Tag>> {
        let (api, repository) = (self.clone(), repository.to_string());
        let images = pages(move |next| {
            let (api, repository) = (api.clone(), repository.clone());
            async move {
                // Images without tags are no part of the list: of an image for five platforms there are five.
                let filter = DescribeImagesFilter::builder()
                    .tag_status(TagStatus::Tagged)
                    .image_status(ImageStatusFilter::Any)
                    .build();
                let page = api
                    .client
                    .describe_images()
                    .set_registry_id(api.account.clone())
                    .repository_name(repository)
                    .filter(filter)
                    .max_results(PAGE)
                    .set_next_token(next)
                    .send()
                    .await
                    .map_err(|error| from_sdk("ecr:DescribeImages", &error))?;
                Ok((page.image_details.unwrap_or_default(), page.next_token))
            }
        });
        // A tag that moves while the pages are read is on two of them.
        let mut seen = HashSet::new();
        images
            .map_ok(|image| stream::iter(tags_of(image).into_iter().map(Ok)))
            .try_flatten()
            .try_filter(move |tag: &Tag| std::future::ready(seen.insert(tag.name.clone())))
            .boxed()
    }

    /// Where an image's content is; `None` if there is no such image, whatever its state.
    pub(super) async fn storage(&self, repository: &Repository, target: &Target) -> Result<Option<Storage>> {
        let id = match target {
            Target::Tag(tag) => ImageIdentifier::builder().image_tag(tag.as_str()),
            Target::Digest(digest) => ImageIdentifier::builder().image_digest(digest.to_string()),
        };
        let described = self
            .client
            .describe_images()
            .set_registry_id(self.account.clone())
            .repository_name(repository.as_str())
            .image_ids(id.build())
            .filter(DescribeImagesFilter::builder().image_status(ImageStatusFilter::Any).build())
            .send()
            .await;
        match described.map_err(|error| from_sdk("ecr:DescribeImages", &error)) {
            Ok(page) => Ok(page.image_details.unwrap_or_default().first().map(|image| match image.image_status {
                Some(ImageStatus::Archived) => Storage::Archived,
                Some(ImageStatus::Activating) => Storage::Activating,
                _ => Storage::Active,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether lists are given: of one repository, or of all.
    pub(super) async fn check(&self, repository: Option<&Repository>) -> Result<()> {
        match repository {
            Some(repository) => {
                let asked = self.client.describe_images().set_registry_id(self.account.clone());
                let asked = asked.repository_name(repository.as_str()).max_results(1).send().await;
                asked.map(drop).map_err(|error| from_sdk("ecr:DescribeImages", &error))
            }
            None => {
                let asked = self.client.describe_repositories().set_registry_id(self.account.clone());
                let asked = asked.max_results(1).send().await;
                asked.map(drop).map_err(|error| from_sdk("ecr:DescribeRepositories", &error))
            }
        }
    }

    /// A new token for `/v2/`.
    pub(super) async fn token(&self) -> Result<Issued> {
        let action = "ecr:GetAuthorizationToken";
        // A token is good for every registry that the identity may read, so it is not asked for by account.
        let answer = self.client.get_authorization_token().send().await.map_err(|error| match &error {
            // What is in an answer that cannot be read is nobody's business.
            SdkError::ResponseError(_) => Error::new(ErrorKind::Malformed, format!("{action}: read the answer")),
            error => from_sdk(action, error),
        })?;
        let data = answer.authorization_data.unwrap_or_default().into_iter().next();
        let data =
            data.ok_or_else(|| Error::new(ErrorKind::Malformed, format!("{action} answered without a token")))?;
        let credential = data.authorization_token.as_deref().and_then(decode);
        let credential = credential
            .ok_or_else(|| Error::new(ErrorKind::Malformed, format!("{action} answered with what is no token")))?;
        let expires_at = data.expires_at.as_ref().and_then(timestamp);
        Ok(Issued { credential, life: token::life(expires_at, Timestamp::now()) })
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The entries of all pages that `fetch` gives, by the token of the next one.
fn pages<T, F, P>(fetch: F) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    F: Fn(Option<String>) -> P + Send + 'static,
    P: Future<Output = Result<(Vec<T>, Option<String>)>> + Send,
{
    struct Cursor {
        next: Option<String>,
        seen: HashSet<String>,
        pages: usize,
    }
    let cursor = Cursor { next: None, seen: HashSet::new(), pages: 0 };
    stream::try_unfold((fetch, Some(cursor)), |(fetch, cursor)| async move {
        let Some(mut cursor) = cursor else { return Ok(None) };
        if cursor.pages == PAGES {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("read a list: more than {PAGES} pages")));
        }
        let (entries, next) = fetch(cursor.next.take()).await?;
        cursor.pages += 1;
        let cursor = match next.filter(|next| !next.is_empty()) {
            None => None,
            Some(next) if cursor.seen.insert(next.clone()) => {
                cursor.next = Some(next);
                Some(cursor)
            }
            Some(_) => return Err(Error::new(ErrorKind::Malformed, "read a list: its pages repeat")),
        };
        Ok::<_, Error>(Some((stream::iter(entries.into_iter().map(Ok)), (fetch, cursor))))
    })
    .try_flatten()
    .boxed()
}

/// The tags of one image. What is attached to another image is none.
fn tags_of(image: ImageDetail) -> Vec<Tag> {
    if image.subject_manifest_digest.is_some() {
        return Vec::new();
    }
    let digest = match image.image_digest.as_deref().map(parse_digest) {
        Some(Ok(digest)) => digest,
        Some(Err(error)) => {
            warn!(%error, "an image of the list is left out");
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let pushed_at = image.image_pushed_at.as_ref().and_then(timestamp);
    let tag = |name: String| match name.parse::<TagName>() {
        Ok(name) => Some(Tag { name, digest: Some(digest.clone()), pushed_at }),
        Err(error) => {
            warn!(%error, "a tag of the list is left out");
            None
        }
    };
    image.image_tags.unwrap_or_default().into_iter().filter_map(tag).collect()
}

/// `AWS:password` in base64.
fn decode(token: &str) -> Option<Credential> {
    let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    (!user.is_empty() && !password.is_empty()).then(|| Credential::basic(user, password))
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        // "AWS:password", "AWS:", "password"
        assert_eq!(decode("QVdTOnBhc3N3b3Jk"), Some(Credential::basic("AWS", "password")));
        for bad in ["QVdTOg==", "cGFzc3dvcmQ=", "%%", ""] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn tags() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let image = || {
            ImageDetail::builder()
                .image_digest(&digest)
                .image_pushed_at(DateTime::from_secs(1_767_225_600))
                .image_tags("v1")
                .image_tags("not a tag")
                .image_tags("latest")
        };
        let found = tags_of(image().build());
        let names: Vec<&str> = found.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["v1", "latest"]);
        assert_eq!(found[0].digest.as_ref().unwrap().to_string(), digest);
        assert_eq!(found[0].pushed_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));

        assert!(tags_of(image().subject_manifest_digest(&digest).build()).is_empty(), "a signature is no image");
        assert!(tags_of(image().image_digest("sha256:short").build()).is_empty());
        assert!(tags_of(ImageDetail::builder().image_digest(&digest).build()).is_empty());
    }

    #[tokio::test]
    async fn pages_end() {
        let read = |answers: &'static [(&'static [u8], Option<&'static str>)]| {
            pages(move |next: Option<String>| {
                let at = next.map_or(0, |next| next.parse::<usize>().unwrap());
                let (entries, next) = answers[at];
                std::future::ready(Ok((entries.to_vec(), next.map(str::to_owned))))
            })
            .try_collect::<Vec<u8>>()
        };
        assert_eq!(read(&[(&[1, 2], Some("1")), (&[], Some("2")), (&[3], None)]).await.unwrap(), [1, 2, 3]);
        assert_eq!(read(&[(&[1], Some(""))]).await.unwrap(), [1]);
        let error = read(&[(&[1], Some("1")), (&[2], Some("0")), (&[3], None)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "a circle");
    }
}
