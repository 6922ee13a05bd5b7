//! Weaves all mutants of a file into its text, each behind a question that is asked while the
//! program runs, so that one build holds them all.
//!
//! An operator is changed within the whole chain of operators around it, as text, because that is
//! what an edit of the file would do: `a && b && c` becomes `a || b && c`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, Expr, UnOp};

use super::list::{Genre, Mutant, Place};
use crate::process::{Failure, Result};

/// A file with its mutants in it.
#[derive(Debug)]
pub(super) struct Woven {
    pub(super) text: String,
    /// Where each mutant is: the question, and what stands there instead.
    pub(super) parts: Vec<Part>,
    /// Those that found no place.
    pub(super) left: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) mutant: usize,
    /// With the question.
    pub(super) whole: Range<usize>,
    /// What stands there instead; nothing for an arm of a match that is gone.
    pub(super) instead: Range<usize>,
}

/// Weaves these mutants, by number, into the text of their file. Functions are `const` no longer,
/// but those in `constant`: a question is none that a constant can ask.
pub(super) fn weave(
    text: &str,
    mutants: &[(usize, &Mutant)],
    constant: &BTreeSet<String>,
) -> Result<Woven> {
    let file = syn::parse_file(text).map_err(|error| Failure::new(error.to_string()))?;
    let mut shape = Shape::of(text, constant);
    shape.visit_file(&file);
    let mut edits = Edits::default();
    let mut left = Vec::new();
    for &(number, mutant) in mutants {
        if shape.place(number, mutant, &mut edits).is_none() {
            left.push(number);
        }
    }
    for range in shape.consts {
        edits.gone.push(range);
    }
    let mut writer = Writer {
        text,
        woven: String::with_capacity(text.len().saturating_mul(4)),
        parts: Vec::new(),
    };
    writer.write(0..text.len(), &edits);
    Ok(Woven {
        text: writer.woven,
        parts: writer.parts,
        left,
    })
}

/// An expression, by where it begins and ends: in order, an outer one is before those within.
type Choice = (usize, Reverse<usize>);

/// What is to be put where.
#[derive(Debug, Default)]
struct Edits {
    /// What may stand there instead.
    choices: BTreeMap<Choice, Vec<(usize, String)>>,
    /// At the beginning of a function: its value.
    values: BTreeMap<usize, Vec<(usize, String)>>,
    /// Behind a pattern, which may have a guard: whether the arm is there.
    arms: BTreeMap<usize, (usize, Option<Range<usize>>)>,
    /// What is left out.
    gone: Vec<Range<usize>>,
}

/// Where things are in a file.
struct Shape<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    constant: &'a BTreeSet<String>,
    /// The chain of operators that is being looked at.
    chain: Option<Range<usize>>,
    /// The type whose functions are being looked at.
    owner: Option<String>,
    /// The chain of each operator, by where it stands.
    operators: BTreeMap<usize, Range<usize>>,
    /// The expression that makes a struct, by where each field begins.
    fields: BTreeMap<usize, Range<usize>>,
    /// Of each arm, by where it begins: the end of its pattern, and its guard.
    arms: BTreeMap<usize, (usize, Option<Range<usize>>)>,
    /// The word `const` of functions.
    consts: Vec<Range<usize>>,
}

impl<'a> Shape<'a> {
    fn of(text: &'a str, constant: &'a BTreeSet<String>) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Self {
            text,
            lines: std::iter::once(0).chain(ends).collect(),
            constant,
            chain: None,
            owner: None,
            operators: BTreeMap::new(),
            fields: BTreeMap::new(),
            arms: BTreeMap::new(),
            consts: Vec::new(),
        }
    }

    fn at(&self, place: Place) -> Option<usize> {
        let line = self.lines.get(place.line.checked_sub(1)?)?;
        line.checked_add(place.column.checked_sub(1)?)
    }

    fn column(&self, place: LineColumn) -> usize {
        let line = self.lines.get(place.line.saturating_sub(1));
        line.map_or(0, |line| line.saturating_add(place.column))
    }

    fn range(&self, node: &impl Spanned) -> Range<usize> {
        let span = node.span();
        self.column(span.start())..self.column(span.end())
    }

    /// Finds where a mutant belongs.
    fn place(&self, number: usize, mutant: &Mutant, edits: &mut Edits) -> Option<()> {
        let span = self.at(mutant.span.start)?..self.at(mutant.span.end)?;
        let around = match mutant.genre {
            // All values of a hidden type are of one type, which only the function's own is.
            Genre::FnValue if mutant.name.contains("-> impl ") => return None,
            Genre::FnValue => {
                let values = edits.values.entry(span.start).or_default();
                values.push((number, mutant.replacement.clone()));
                return Some(());
            }
            Genre::MatchArm => {
                let (pattern, guard) = self.arms.get(&span.start)?;
                edits.arms.insert(*pattern, (number, guard.clone()));
                return Some(());
            }
            Genre::MatchArmGuard => span.clone(),
            Genre::BinaryOperator | Genre::UnaryOperator => {
                self.operators.get(&span.start)?.clone()
            }
            Genre::StructField => self.fields.get(&span.start)?.clone(),
        };
        let before = self.text.get(around.start..span.start)?;
        let after = self.text.get(span.end..around.end)?;
        let instead = format!("{before}{}{after}", mutant.replacement);
        let key = (around.start, Reverse(around.end));
        edits
            .choices
            .entry(key)
            .or_default()
            .push((number, instead));
        Some(())
    }

    fn function(&mut self, signature: &syn::Signature) {
        let Some(word) = &signature.constness else {
            return;
        };
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        if !self.constant.contains(&name) {
            self.consts.push(self.range(word));
        }
    }
}

impl<'ast> Visit<'ast> for Shape<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        let operator = match expr {
            Expr::Binary(binary) => Some(self.range(&binary.op)),
            Expr::Unary(unary) if !matches!(unary.op, UnOp::Deref(_)) => {
                Some(self.range(&unary.op))
            }
            _ => None,
        };
        let outer = self.chain.take();
        if let Some(operator) = operator
            && !has_let(expr)
        {
            let chain = outer.clone().unwrap_or_else(|| self.range(expr));
            self.operators.insert(operator.start, chain.clone());
            self.chain = Some(chain);
        }
        if let Expr::Struct(made) = expr {
            let whole = self.range(expr);
            for field in &made.fields {
                self.fields.insert(self.range(field).start, whole.clone());
            }
        }
        visit::visit_expr(self, expr);
        self.chain = outer;
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let guard = arm
            .guard
            .as_ref()
            .map(|(_, guard)| self.range(guard.as_ref()));
        let pattern = self.range(&arm.pat);
        self.arms
            .insert(self.range(arm).start, (pattern.end, guard.clone()));
        self.arms.insert(pattern.start, (pattern.end, guard));
        let outer = self.chain.take();
        visit::visit_arm(self, arm);
        self.chain = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let owner = self.owner.take();
        self.function(&function.sig);
        visit::visit_item_fn(self, function);
        self.owner = owner;
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let outer = self.owner.take();
        if let syn::Type::Path(path) = block.self_ty.as_ref() {
            let last = path.path.segments.last();
            self.owner = last.map(|segment| segment.ident.to_string());
        }
        visit::visit_item_impl(self, block);
        self.owner = outer;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig);
        visit::visit_impl_item_fn(self, function);
    }
}

/// Whether a pattern is bound in this chain of operators: then it cannot be taken out of its `if`.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Writes the woven text, and where everything came to be in it.
struct Writer<'a> {
    text: &'a str,
    woven: String,
    parts: Vec<Part>,
}

impl Writer<'_> {
    fn write(&mut self, whole: Range<usize>, edits: &Edits) {
        self.write_within(whole, edits, None);
    }

    /// The text of a range with all edits in it, but for the choice whose inside it is.
    fn write_within(
        &mut self,
        range: Range<usize>,
        edits: &Edits,
        mut inside: Option<Reverse<usize>>,
    ) {
        let mut at = range.start;
        while at < range.end {
            if inside.is_none() {
                self.value(at, edits);
            }
            let found = next_choice(at, range.end, inside.take(), edits);
            if let Some((end, choices)) = found {
                self.choice(at..end, choices, edits);
                at = end;
                continue;
            }
            if let Some(gone) = edits.gone.iter().find(|gone| gone.start == at) {
                at = gone.end;
                continue;
            }
            let rest = self.text.get(at..range.end).unwrap_or("");
            let Some(next) = rest.chars().next() else {
                return;
            };
            self.woven.push(next);
            at = at.saturating_add(next.len_utf8());
            at = self.arm(at, edits);
        }
    }

    fn choice(&mut self, range: Range<usize>, choices: &[(usize, String)], edits: &Edits) {
        self.woven.push('(');
        for (number, instead) in choices {
            let start = self.woven.len();
            self.woven.push_str("if ");
            self.question(*number);
            self.woven.push_str(" { ");
            let from = self.woven.len();
            self.woven.push_str(instead);
            let to = self.woven.len();
            self.woven.push_str(" } else ");
            self.part(*number, start, from..to);
        }
        self.woven.push_str("{ ");
        self.write_within(range.clone(), edits, Some(Reverse(range.end)));
        self.woven.push_str(" })");
    }

    fn value(&mut self, at: usize, edits: &Edits) {
        for (number, value) in edits.values.get(&at).into_iter().flatten() {
            let start = self.woven.len();
            self.woven.push_str("if ");
            self.question(*number);
            self.woven.push_str(" { return ");
            let from = self.woven.len();
            self.woven.push_str(value);
            let to = self.woven.len();
            self.woven.push_str("; } ");
            self.part(*number, start, from..to);
        }
    }

    /// The question behind a pattern, and its guard after it; says where to go on.
    fn arm(&mut self, at: usize, edits: &Edits) -> usize {
        let Some((number, guard)) = edits.arms.get(&at) else {
            return at;
        };
        let start = self.woven.len();
        self.woven.push_str(" if !");
        self.question(*number);
        let end = self.woven.len();
        self.part(*number, start, end..end);
        let Some(guard) = guard else {
            return at;
        };
        self.woven.push_str(" && (");
        self.write_within(guard.clone(), edits, None);
        self.woven.push(')');
        guard.end
    }

    fn question(&mut self, number: usize) {
        self.woven
            .push_str(&format!("crate::woven::asked({number})"));
    }

    fn part(&mut self, mutant: usize, start: usize, instead: Range<usize>) {
        let whole = start..self.woven.len();
        self.parts.push(Part {
            mutant,
            whole,
            instead,
        });
    }
}

/// The outermost choice that begins here, within the one that is being written.
fn next_choice(
    at: usize,
    end: usize,
    inside: Option<Reverse<usize>>,
    edits: &Edits,
) -> Option<(usize, &[(usize, String)])> {
    let here = (at, Reverse(end))..=(at, Reverse(0));
    let mut choices = edits.choices.range(here);
    let ((_, end), choices) =
        choices.find(|((_, end), _)| inside.is_none_or(|inside| *end > inside))?;
    Some((end.0, choices.as_slice()))
}

#[cfg(test)]
mod tests;
