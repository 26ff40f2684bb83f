//! Lists in pages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A wish for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Items at most; more than [`Page::LIMIT`] is taken as that.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Page {
    /// Items of a page at most, so that a list never becomes the whole database in memory.
    pub const LIMIT: u32 = 1000;

    /// The first `limit` items.
    pub fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// `limit` items after `cursor`.
    pub fn after(cursor: Cursor, limit: u32) -> Self {
        Self { limit, after: Some(cursor) }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.clamp(1, Self::LIMIT) as usize
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first(100)
    }
}

/// A place in a list. Opaque; it stays good while items come and go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(Vec<String>);

impl Cursor {
    pub(crate) fn new<const N: usize>(keys: [&dyn fmt::Display; N]) -> Self {
        Self(keys.into_iter().map(ToString::to_string).collect())
    }

    /// The cursor's keys; fails if it is another list's.
    fn keys<const N: usize>(&self) -> Result<&[String; N]> {
        self.0.as_slice().try_into().map_err(|_| foreign(self))
    }

    pub(crate) fn numbers<const N: usize>(page: &Page) -> Result<Option<[i64; N]>> {
        let Some(cursor) = &page.after else { return Ok(None) };
        let mut numbers = [0; N];
        for (number, key) in numbers.iter_mut().zip(cursor.keys::<N>()?) {
            *number = key.parse().map_err(|_| foreign(cursor))?;
        }
        Ok(Some(numbers))
    }

    pub(crate) fn words<const N: usize>(page: &Page) -> Result<Option<[String; N]>> {
        page.after.as_ref().map(|cursor| cursor.keys::<N>().cloned()).transpose()
    }
}

fn foreign(cursor: &Cursor) -> Error {
    Error::new(ErrorKind::Invalid, "continue list").with_context(format_args!("after {cursor}: not a cursor of it"))
}

/// Keys between tildes; a tilde or a percent sign within one is percent-encoded.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, key) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("~")?;
            }
            f.write_str(&key.replace('%', "%25").replace('~', "%7E"))?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(text.split('~').map(|key| key.replace("%7E", "~").replace("%25", "%")).collect()))
    }
}

impl TryFrom<String> for Cursor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<Cursor>,
}

impl<T> Listing<T> {
    /// A page from items of which one more than `page` wants was fetched, to learn whether there are more.
    pub(crate) fn cut(mut items: Vec<T>, page: &Page, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = items.len() > page.limit();
        items.truncate(page.limit());
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        for keys in [vec!["a"], vec!["7", "12"], vec!["r.example:5000", "team/app", "1~2%7E"], vec![""]] {
            let cursor = Cursor(keys.into_iter().map(str::to_owned).collect());
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let page = Page::after("a~b".parse().unwrap(), 10);
        assert_eq!(Cursor::numbers::<2>(&page).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(Cursor::words::<3>(&page).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
