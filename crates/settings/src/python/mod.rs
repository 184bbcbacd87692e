//! Python settings files, read without running them: assignments of literals and of what follows from literals and the
//! environment. What can't be known that way matters only where a name that is needed gets its value so.
//!
//! [`eval`] has the expressions; this file the statements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ruff_python_ast::{Expr, ModModule, Operator, Stmt};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::Ranged;

use crate::outside::Outside;
use crate::problem::Problem;
use crate::toml_tree::Lines;
use crate::tree::{Item, Node, Origin};

mod eval;

/// What a settings file assigns.
#[derive(Default)]
pub(crate) struct Module {
    /// The last value of each name.
    pub(crate) names: BTreeMap<String, Node>,
    /// Names that another value was made from.
    pub(crate) used: BTreeSet<String>,
    /// The first `from … import *`, whose names are not known.
    pub(crate) star_import: Option<u32>,
}

/// The longest file: more is no settings file.
const LONGEST: usize = 256 * 1024;
/// A chain such as `1 + 1 + …` is as deep a tree as it is long, and freeing it takes stack for each link. This much is
/// enough for the longest file; only what is used is taken from the machine.
const STACK: usize = 512 * 1024 * 1024;
/// So many syntax errors are told; the rest mostly follows from them.
const MOST_ERRORS: usize = 5;

/// Reads a file.
pub(crate) fn read(text: &str, file: &Arc<str>, outside: &Outside<'_>) -> Result<Module, Vec<Problem>> {
    let problem =
        |line, message: String| Problem { file: Some(Arc::clone(file)), line, setting: String::new(), message };
    if text.len() > LONGEST {
        return Err(vec![problem(None, "is larger than 256 KiB, which no settings file is".into())]);
    }
    let variable = outside.variable;
    let work = || read_here(text, variable);
    // Short texts can't be deep enough to need the stack, and most files are short.
    let done = if text.len() < 4096 {
        work()
    } else {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).ok()?;
            thread.join().ok()
        })
        .unwrap_or_else(|| Err(vec![(None, "can't be read: no memory for it".into())]))
    };
    done.map_err(|errors| errors.into_iter().map(|(line, message)| problem(line, message)).collect())
}

type Faults = Vec<(Option<u32>, String)>;

fn read_here(text: &str, variable: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<Module, Faults> {
    let lines = Lines::new(text);
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
    if !parsed.errors().is_empty() {
        let errors = parsed.errors().iter().take(MOST_ERRORS);
        return Err(errors
            .map(|error| {
                let line = lines.at(error.location.start().to_usize());
                (Some(line), format!("this is not Python 3: {}", error.error))
            })
            .collect());
    }
    let mut reading = Reading { lines, variable, module: Module::default() };
    if let Some(ModModule { body, .. }) = parsed.syntax().as_module() {
        for statement in body {
            reading.statement(statement);
        }
    }
    Ok(reading.module)
}

/// The state of reading one file.
struct Reading<'a> {
    lines: Lines,
    variable: &'a (dyn Fn(&str) -> Option<String> + Sync),
    module: Module,
}

impl Reading<'_> {
    fn at(&self, expression: &impl Ranged) -> Origin {
        Origin::line(self.lines.at(expression.range().start().to_usize()))
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Assign(assign) => {
                let value = self.eval(&assign.value);
                for target in &assign.targets {
                    self.assign(target, value.clone());
                }
            }
            Stmt::AnnAssign(assign) => {
                if let Some(value) = &assign.value {
                    let value = self.eval(value);
                    self.assign(&assign.target, value);
                }
            }
            Stmt::AugAssign(assign) => {
                let old = self.eval(&assign.target);
                let new = self.eval(&assign.value);
                let at = self.at(statement);
                let value = match assign.op {
                    Operator::Add | Operator::Sub | Operator::Mult => eval::arithmetic(assign.op, old, new, &at),
                    _ => Node::new(Item::Unreadable("an assignment with this operator is not read".into()), at),
                };
                self.assign(&assign.target, value);
            }
            Stmt::Expr(expression) => self.changed_by_call(&expression.value),
            Stmt::ImportFrom(import) => {
                if import.names.iter().any(|name| name.name.as_str() == "*") && self.module.star_import.is_none() {
                    self.module.star_import = self.at(statement).line;
                }
            }
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    if let Expr::Name(name) = target {
                        self.module.names.remove(name.id.as_str());
                    }
                }
            }
            other => self.nested(other),
        }
    }

    fn assign(&mut self, target: &Expr, mut value: Node) {
        let at = self.at(target);
        match target {
            Expr::Name(name) => {
                value.at = at.named(name.id.as_str());
                self.module.names.insert(name.id.to_string(), value);
            }
            Expr::Tuple(_) | Expr::List(_) => {
                let targets = match target {
                    Expr::Tuple(tuple) => &tuple.elts,
                    Expr::List(list) => &list.elts,
                    _ => return,
                };
                match value.item {
                    Item::List(values) if values.len() == targets.len() => {
                        for (target, value) in targets.iter().zip(values) {
                            self.assign(target, value);
                        }
                    }
                    _ => {
                        let why =
                            Item::Unreadable("a value that can't be taken apart is assigned to several names".into());
                        for target in targets.iter().filter(|target| target.is_name_expr()) {
                            self.assign(target, Node::new(why.clone(), at.clone()));
                        }
                    }
                }
            }
            Expr::Subscript(subscript) => {
                let key = self.eval(&subscript.slice);
                let Expr::Name(name) = subscript.value.as_ref() else { return };
                let Some(node) = self.module.names.get_mut(name.id.as_str()) else { return };
                match (&mut node.item, key.item) {
                    (Item::Table(table), Item::Text(key)) if table.0.len() < 1000 => {
                        value.at = at;
                        table.set(&key, value);
                    }
                    (other, _) => *other = Item::Unreadable("is changed in a way that is not read".into()),
                }
            }
            _ => {}
        }
    }

    /// `NAME.append(value)` is read; any other call on a name may change it.
    fn changed_by_call(&mut self, expression: &Expr) {
        let Expr::Call(call) = expression else { return };
        let Expr::Attribute(method) = call.func.as_ref() else { return };
        let Expr::Name(name) = method.value.as_ref() else { return };
        if !self.module.names.contains_key(name.id.as_str()) {
            return;
        }
        let added = match (method.attr.as_str(), call.arguments.args.as_ref()) {
            ("append", [value]) => Some(self.eval(value)),
            _ => None,
        };
        let line = self.at(expression).line;
        let Some(node) = self.module.names.get_mut(name.id.as_str()) else { return };
        match (&mut node.item, added) {
            (Item::List(list), Some(value)) if list.len() < 1000 => list.push(value),
            (other, _) => {
                *other = Item::Unreadable("is changed by a call, which is not run".into());
                node.at.line = line;
            }
        }
    }

    /// A block that may or may not run: every name it assigns is unknown after it.
    fn nested(&mut self, statement: &Stmt) {
        let mut names = Vec::new();
        assigned(statement, &mut names, 0);
        let line = self.at(statement).line.unwrap_or(0);
        for (name, start) in names {
            let at = Origin::line(self.lines.at(start)).named(&name);
            let why = Item::Unreadable(format!("is assigned inside the block of line {line}, which is not run"));
            self.module.names.insert(name, Node::new(why, at));
        }
    }
}

/// Every name that is assigned inside the blocks of a statement. Functions and classes keep theirs to themselves.
fn assigned(statement: &Stmt, names: &mut Vec<(String, usize)>, depth: usize) {
    if depth > 100 {
        return;
    }
    let mut bodies: Vec<&[Stmt]> = Vec::new();
    match statement {
        Stmt::If(block) => {
            bodies.push(&block.body);
            bodies.extend(block.elif_else_clauses.iter().map(|clause| clause.body.as_slice()));
        }
        Stmt::For(block) => bodies.extend([block.body.as_slice(), block.orelse.as_slice()]),
        Stmt::While(block) => bodies.extend([block.body.as_slice(), block.orelse.as_slice()]),
        Stmt::With(block) => bodies.push(&block.body),
        Stmt::Try(block) => {
            bodies.extend([block.body.as_slice(), block.orelse.as_slice(), block.finalbody.as_slice()]);
            bodies.extend(block.handlers.iter().filter_map(|h| h.as_except_handler()).map(|h| h.body.as_slice()));
        }
        Stmt::Match(block) => bodies.extend(block.cases.iter().map(|case| case.body.as_slice())),
        Stmt::Assign(assign) => assign.targets.iter().for_each(|target| target_names(target, names)),
        Stmt::AnnAssign(assign) => target_names(&assign.target, names),
        Stmt::AugAssign(assign) => target_names(&assign.target, names),
        _ => {}
    }
    for statement in bodies.into_iter().flatten() {
        assigned(statement, names, depth + 1);
    }
}

fn target_names(target: &Expr, names: &mut Vec<(String, usize)>) {
    match target {
        Expr::Name(name) => names.push((name.id.to_string(), name.range.start().to_usize())),
        Expr::Tuple(tuple) => {
            for name in tuple.elts.iter().filter_map(Expr::as_name_expr) {
                names.push((name.id.to_string(), name.range.start().to_usize()));
            }
        }
        Expr::Subscript(subscript) => {
            if let Expr::Name(name) = subscript.value.as_ref() {
                names.push((name.id.to_string(), name.range.start().to_usize()));
            }
        }
        _ => {}
    }
}
