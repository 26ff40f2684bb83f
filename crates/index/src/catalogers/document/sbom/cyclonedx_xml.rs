//! CycloneDX in XML (<https://cyclonedx.org/docs/1.6/xml/>), any version of it.
//!
//! Elements are known by their place: a `component` in `components` in the `bom` or in another component. What lies
//! elsewhere (`metadata`, `pedigree`, `evidence`) is passed over. Entities that a DTD declares are not expanded.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::MOST_ENTRIES;
use super::claim::Claim;
use super::cyclonedx::Entry;
use crate::Problem;

/// Elements within each other. Components in components are the deepest, and few.
const DEEPEST: usize = 256;

/// Attributes of an element that are looked at.
const MOST_ATTRIBUTES: usize = 32;

/// Reads a document; nothing if it is another XML.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim<'_>>, Problem> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Problem::malformed("CycloneDX XML: it is not UTF-8"));
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut document = Document::default();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            // Other XML may be as broken as it likes.
            Err(_) if !document.is_bom => return Ok(Vec::new()),
            Err(error) => return Err(Problem::malformed(format!("CycloneDX XML: {error}"))),
        };
        match event {
            Event::Start(start) => {
                if !document.is_bom && document.places.is_empty() && !is_bom(&start) {
                    return Ok(Vec::new());
                }
                document.open(&start)?;
            }
            Event::End(_) => document.close(),
            Event::Text(text) => document.text(&text.xml10_content()),
            Event::CData(text) => document.text(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => document.text(character.encode_utf8(&mut [0; 4])),
                _ => document.text(resolve_predefined_entity(&reference.into_inner()).unwrap_or_default()),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(document.claims)
}

fn is_bom(start: &BytesStart<'_>) -> bool {
    let is_cyclonedx = start.attributes().with_checks(false).take(MOST_ATTRIBUTES).flatten().any(|attribute| {
        attribute.key.as_ref().starts_with("xmlns") && attribute.value.contains("cyclonedx.org/schema/bom")
    });
    is_cyclonedx && start.local_name().as_ref() == "bom"
}

/// Where an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Bom,
    Components,
    Component,
    Licenses,
    License,
    Named(Field),
    Properties,
    References,
    Reference,
    Field(Field),
    /// Of no interest, with all that is in it.
    Elsewhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Group,
    Name,
    Version,
    Purl,
    Cpe,
    Description,
    Author,
    Publisher,
    Supplier,
    License,
    Property,
    Website,
}

#[derive(Default)]
struct Document<'a> {
    is_bom: bool,
    places: Vec<Place>,
    /// Components that are open, the innermost last.
    open: Vec<Entry<'a>>,
    claims: Vec<Claim<'a>>,
    text: String,
    property: String,
}

impl Document<'_> {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Problem> {
        if self.places.len() == DEEPEST {
            return Err(Problem::malformed(format!("CycloneDX XML: more than {DEEPEST} elements within each other")));
        }
        let name = start.local_name();
        let place = match (self.places.last(), name.as_ref()) {
            (None, _) => Place::Bom,
            (Some(Place::Bom | Place::Component), "components") => Place::Components,
            (Some(Place::Components), "component") => Place::Component,
            (Some(Place::Component), "group") => Place::Field(Field::Group),
            (Some(Place::Component), "name") => Place::Field(Field::Name),
            (Some(Place::Component), "version") => Place::Field(Field::Version),
            (Some(Place::Component), "purl") => Place::Field(Field::Purl),
            (Some(Place::Component), "cpe") => Place::Field(Field::Cpe),
            (Some(Place::Component), "description") => Place::Field(Field::Description),
            (Some(Place::Component), "author") => Place::Field(Field::Author),
            (Some(Place::Component), "publisher") => Place::Field(Field::Publisher),
            (Some(Place::Component), "supplier") => Place::Named(Field::Supplier),
            (Some(Place::Component), "licenses") => Place::Licenses,
            (Some(Place::Component), "properties") => Place::Properties,
            (Some(Place::Component), "externalReferences") => Place::References,
            (Some(Place::Licenses), "license") => Place::License,
            (Some(Place::Licenses), "expression") => Place::Field(Field::License),
            (Some(Place::License), "id" | "name") => Place::Field(Field::License),
            (Some(Place::Named(field)), "name") => Place::Field(*field),
            (Some(Place::Properties), "property") => Place::Field(Field::Property),
            (Some(Place::References), "reference") if attribute(start, "type") == "website" => Place::Reference,
            (Some(Place::Reference), "url") => Place::Field(Field::Website),
            _ => Place::Elsewhere,
        };
        match place {
            Place::Bom => self.is_bom = true,
            Place::Component => self.open.push(Entry { kind: attribute(start, "type").into(), ..Entry::default() }),
            Place::Field(field) => {
                self.text.clear();
                if field == Field::Property {
                    self.property = attribute(start, "name");
                }
            }
            _ => {}
        }
        if self.claims.len() + self.open.len() > MOST_ENTRIES {
            return Err(Problem::malformed(format!("CycloneDX XML: more than {MOST_ENTRIES} components")));
        }
        self.places.push(place);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(Place::Field(_)) = self.places.last() {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) {
        match self.places.pop() {
            Some(Place::Component) => self.claims.extend(self.open.pop().and_then(Entry::package)),
            Some(Place::Field(field)) => self.field(field),
            _ => {}
        }
    }

    fn field(&mut self, field: Field) {
        let value = self.text.trim();
        let Some(entry) = self.open.last_mut().filter(|_| !value.is_empty()) else { return };
        let value: Cow<'static, str> = Cow::Owned(value.to_owned());
        let claim = &mut entry.claim;
        match field {
            Field::Group => claim.namespace = Some(value),
            Field::Name => claim.name = Some(value),
            Field::Version => claim.version = Some(value),
            Field::Purl => claim.purl = Some(value),
            Field::Cpe => claim.cpes.push(value),
            Field::Description => claim.description = Some(value),
            Field::Author => claim.originator = Some(value),
            Field::Publisher => claim.supplier = claim.supplier.take().or(Some(value)),
            Field::Supplier => claim.supplier = Some(value),
            Field::License => claim.licenses.push(value),
            Field::Property => entry.property(&self.property, value),
            Field::Website => claim.url = Some(value),
        }
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let mut attributes = start.attributes();
    let mut attributes = attributes.with_checks(false).take(MOST_ATTRIBUTES).flatten();
    let Some(attribute) = attributes.find(|attribute| attribute.key.as_ref() == name) else { return String::new() };
    quick_xml::escape::unescape(&attribute.value).map(Cow::into_owned).unwrap_or_default()
}
