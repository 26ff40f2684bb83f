//! A template that is filled for one integration.

use serde::Serialize;

use super::{Choice, Cost, EventWay, Setup, Template};
use crate::{Error, ErrorKind, Result};

/// Which template is wanted, and how.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// Its name: `cloudformation`, `terraform`, `arm`, `curl`, … The usual one of the registry if nothing is said.
    pub form: Option<&'a str>,
    /// What is chosen about it.
    pub choices: &'a [Choice],
    /// The file that the text will be in, for the commands that use it; the usual name if nothing is said.
    pub file: Option<&'a str>,
}

/// A template that is filled for an integration. It may hold the secret of the integration's events.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Filled {
    /// What it is called: `cloudformation`, `terraform`, `arm`, `curl`, `steps`, `notifications`.
    pub template: &'static str,
    /// What it is, for a person to read.
    pub about: &'static str,
    /// What a file of it is called.
    pub file: String,
    /// What it costs.
    pub costs: Vec<Cost>,
    /// The commands that put it to use once it is in the file.
    pub next: Vec<String>,
    /// All templates that there are for the integration, the usual one first.
    pub forms: Vec<Form>,
    /// The text.
    pub text: String,
}

/// A template that there is for an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Form {
    /// What it is called.
    pub template: &'static str,
    /// What it is, for a person to read.
    pub about: &'static str,
    /// What can be chosen about it.
    pub choices: Vec<Choice>,
}

impl Setup<'_> {
    /// The template that is asked for, filled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is none for the integration, since nothing has to be set up;
    /// [`ErrorKind::Configuration`] if there is none of this name or it has no such choice, and with all that it needs to
    /// know and nobody has said.
    pub fn template(&self, ask: &Ask<'_>) -> Result<Filled> {
        let template = self.choose(ask.form)?;
        if let Some(choice) = ask.choices.iter().find(|choice| !template.has(**choice)) {
            let told = format!("choose {choice}: {} has no such choice", template.about);
            return Err(Error::new(ErrorKind::Configuration, told));
        }
        let file = ask.file.unwrap_or(template.file).to_owned();
        let form = |template: &Template| Form {
            template: template.name,
            about: template.about,
            choices: Choice::ALL.into_iter().filter(|choice| template.has(*choice)).collect(),
        };
        Ok(Filled {
            template: template.name,
            about: template.about,
            costs: template.costs.to_vec(),
            next: template.next(self, &file),
            forms: self.templates().map(form).collect(),
            text: template.fill(self, ask.choices)?,
            file,
        })
    }

    fn choose(&self, form: Option<&str>) -> Result<&'static Template> {
        let Some(usual) = self.templates().next() else {
            let why = match self.events() {
                EventWay::None => "its events are set to none, and nothing has to be set up for polling",
                _ => "there is none for it",
            };
            return Err(Error::new(ErrorKind::NotFound, format!("find a template for {}: {why}", self.name)));
        };
        let Some(form) = form else { return Ok(usual) };
        self.templates().find(|template| template.name == form).ok_or_else(|| {
            let names: Vec<&str> = self.templates().map(|template| template.name).collect();
            let told = format!(
                "find the template {form:?}: it is none of those for {}, which are {}",
                self.name,
                names.join(", ")
            );
            Error::new(ErrorKind::Configuration, told)
        })
    }
}
