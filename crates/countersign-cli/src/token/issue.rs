//! `token issue`: a new token, whose text is shown here and never again.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::out::Out;
use crate::parse::When;
use crate::view::{IssuedView, scopes};
use clap::{ArgGroup, Args};
use countersign::{Expiry, IssuedToken, NewToken, Principal, Scope, ScopeSet, TokenName};

/// Issue a token and print it, once
///
/// Standard output has the token alone, so that it can go straight to where it is needed; what
/// else there is to say goes to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign token issue --principal ann --name deploy --scope repo:read --expires 90d
  countersign token issue --principal ann --name laptop --never --json")]
#[command(group = ArgGroup::new("life").args(["expires", "never"]).required(true))]
pub(crate) struct Issue {
    /// Whose token it is
    #[arg(long)]
    principal: Principal,

    /// What its owner calls it
    #[arg(long)]
    name: TokenName,

    /// What it may do, such as `repo:read` or `repo:*`; may be given again
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,

    /// When it dies: after a length of time, or at an instant in UTC
    #[arg(long, value_name = "90d|RFC3339", value_parser = When::parse)]
    expires: Option<When>,

    /// It does not die by itself, if the policy allows that
    #[arg(long)]
    never: bool,
}

impl Issue {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let scopes = ScopeSet::new(self.scopes).map_err(Failure::usage)?;
        let opened = call.site.write()?;
        let expiry = match self.expires {
            Some(when) => Expiry::At(when.after(call.site.now())),
            None => Expiry::Never,
        };
        let Self {
            principal, name, ..
        } = self;
        let request = NewToken {
            principal,
            name,
            scopes,
            expiry,
        };
        let issued = opened.engine.access().issue(request).wait()?;
        show(&mut call.out, &issued)?;
        opened.close()?;
        Ok(Exit::Done)
    }
}

/// Prints a token that was just made.
pub(super) fn show(out: &mut Out, issued: &IssuedToken) -> Result<(), Failure> {
    let view = IssuedView::new(issued);
    out.say(&view, issued.token.expose())?;
    if out.is_json() {
        return out.flush();
    }
    let grant = &issued.grant;
    out.note(format_args!(
        "issued {} to {}, named {}, expiring {}, scopes: {}",
        issued.selector,
        grant.principal,
        grant.name,
        view.expires_at,
        if grant.scopes.is_empty() {
            "none".to_owned()
        } else {
            scopes(&grant.scopes)
        },
    ))
}
