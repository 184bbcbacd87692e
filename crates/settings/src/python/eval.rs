//! The value of a Python expression, as far as it follows from literals, names already assigned and the environment. Each
//! value is kept small, so that no short text makes a large one.

use ruff_python_ast::{BoolOp, CmpOp, Expr, ExprCall, Number, Operator, UnaryOp};

use super::Reading;
use crate::tree::{Item, Node, Origin, Table};

/// Deeper nesting is no setting.
const DEEPEST: usize = 40;
/// The largest value: one for each node, and one for each 64 bytes of text.
const HEAVIEST: usize = 5_000;

fn weight(node: &Node) -> usize {
    1 + match &node.item {
        Item::Text(text) => text.len() / 64,
        Item::List(list) => list.iter().map(weight).sum(),
        Item::Table(table) => table.iter().map(|(key, node)| key.len() / 64 + weight(node)).sum(),
        _ => 0,
    }
}

fn unreadable(why: impl Into<String>, at: &Origin) -> Node {
    Node::new(Item::Unreadable(why.into()), at.clone())
}

/// `+`, `-` and `*`, as Python does them on numbers, texts and lists.
pub(super) fn arithmetic(op: Operator, left: Node, right: Node, at: &Origin) -> Node {
    let item = match (op, left.item, right.item) {
        (_, Item::Unreadable(why), _) | (_, _, Item::Unreadable(why)) => Item::Unreadable(why),
        (op, Item::Whole(a), Item::Whole(b)) => {
            let result = match op {
                Operator::Add => a.checked_add(b),
                Operator::Sub => a.checked_sub(b),
                _ => a.checked_mul(b),
            };
            result.map_or(Item::Huge, Item::Whole)
        }
        (op, a @ (Item::Whole(_) | Item::Number(_)), b @ (Item::Whole(_) | Item::Number(_))) => {
            let number = |item| match item {
                Item::Whole(number) => number as f64,
                Item::Number(number) => number,
                _ => f64::NAN,
            };
            let (a, b) = (number(a), number(b));
            Item::Number(match op {
                Operator::Add => a + b,
                Operator::Sub => a - b,
                _ => a * b,
            })
        }
        (Operator::Add, Item::Text(a), Item::Text(b)) => Item::Text(a + &b),
        (Operator::Add, Item::List(mut a), Item::List(b)) => {
            a.extend(b);
            Item::List(a)
        }
        (Operator::Mult, Item::Text(text), Item::Whole(n)) | (Operator::Mult, Item::Whole(n), Item::Text(text)) => {
            let times = usize::try_from(n).unwrap_or(0);
            if times.saturating_mul(text.len()) > HEAVIEST * 64 {
                return unreadable("makes a text too long for a setting", at);
            }
            Item::Text(text.repeat(times))
        }
        _ => Item::Unreadable("calculates with values that do not go together".into()),
    };
    let node = Node::new(item, at.clone());
    if weight(&node) > HEAVIEST { unreadable("is too large for a setting", at) } else { node }
}

fn truth(node: &Node) -> Option<bool> {
    Some(match &node.item {
        Item::Text(text) => !text.is_empty(),
        Item::Whole(number) => *number != 0,
        Item::Number(number) => *number != 0.0,
        Item::Huge | Item::Date => true,
        Item::Flag(flag) => *flag,
        Item::List(list) => !list.is_empty(),
        Item::Table(table) => !table.0.is_empty(),
        Item::Nothing => false,
        Item::Unreadable(_) => return None,
    })
}

impl Reading<'_> {
    pub(super) fn eval(&mut self, expression: &Expr) -> Node {
        self.eval_at(expression, 0)
    }

    fn eval_at(&mut self, expression: &Expr, depth: usize) -> Node {
        let at = self.at(expression);
        if depth > DEEPEST {
            return unreadable("is nested too deeply for a setting", &at);
        }
        let depth = depth + 1;
        let item = match expression {
            Expr::StringLiteral(text) => Item::Text(text.value.to_str().to_owned()),
            Expr::NumberLiteral(number) => match &number.value {
                Number::Int(number) => number.as_i64().map_or(Item::Huge, Item::Whole),
                Number::Float(number) => Item::Number(*number),
                Number::Complex { .. } => Item::Unreadable("is a complex number".into()),
            },
            Expr::BooleanLiteral(flag) => Item::Flag(flag.value),
            Expr::NoneLiteral(_) => Item::Nothing,
            Expr::List(list) => return self.list(&list.elts, &at, depth),
            Expr::Tuple(tuple) => return self.list(&tuple.elts, &at, depth),
            Expr::Dict(dict) => {
                let (mut table, mut total) = (Table::default(), 0);
                for entry in &dict.items {
                    let Some(key) = &entry.key else { return unreadable("holds **, which is not read", &at) };
                    let place = self.at(key);
                    let key = match self.eval_at(key, depth).item {
                        Item::Text(key) => key,
                        // Kept as written, so that the message about a key such as 9 can name it.
                        Item::Whole(number) => number.to_string(),
                        Item::Unreadable(why) => return unreadable(why, &at),
                        _ => return unreadable("has a key that is no text", &at),
                    };
                    let mut value = self.eval_at(&entry.value, depth);
                    value.at = place;
                    total += weight(&value);
                    if total > HEAVIEST {
                        return unreadable("is too large for a setting", &at);
                    }
                    table.set(&key, value);
                }
                Item::Table(table)
            }
            Expr::UnaryOp(unary) => {
                let operand = self.eval_at(&unary.operand, depth);
                match (unary.op, operand.item) {
                    (_, Item::Unreadable(why)) => Item::Unreadable(why),
                    (UnaryOp::USub, Item::Whole(number)) => number.checked_neg().map_or(Item::Huge, Item::Whole),
                    (UnaryOp::USub, Item::Number(number)) => Item::Number(-number),
                    (UnaryOp::UAdd, item @ (Item::Whole(_) | Item::Number(_))) => item,
                    (UnaryOp::Not, item) => {
                        truth(&Node::new(item, at.clone())).map_or(Item::Nothing, |truth| Item::Flag(!truth))
                    }
                    _ => Item::Unreadable("calculates with values that do not go together".into()),
                }
            }
            Expr::BinOp(binary) => {
                if !matches!(binary.op, Operator::Add | Operator::Sub | Operator::Mult) {
                    return unreadable("calculates with an operator other than + - *, which is not read", &at);
                }
                let left = self.eval_at(&binary.left, depth);
                let right = self.eval_at(&binary.right, depth);
                return arithmetic(binary.op, left, right, &at);
            }
            Expr::BoolOp(op) => {
                let mut last = unreadable("is empty", &at);
                for value in &op.values {
                    last = self.eval_at(value, depth);
                    let Some(truth) = truth(&last) else { return last };
                    if truth == (op.op == BoolOp::Or) {
                        break;
                    }
                }
                return last;
            }
            Expr::Compare(compare) => match (&*compare.ops, &*compare.comparators) {
                ([op @ (CmpOp::Eq | CmpOp::NotEq)], [right]) => {
                    let left = self.eval_at(&compare.left, depth);
                    let right = self.eval_at(right, depth);
                    match (left.item, right.item) {
                        (Item::Unreadable(why), _) | (_, Item::Unreadable(why)) => Item::Unreadable(why),
                        (left, right) => Item::Flag((left == right) == (*op == CmpOp::Eq)),
                    }
                }
                _ => Item::Unreadable("compares in a way that is not read".into()),
            },
            Expr::Name(name) => {
                let id = name.id.as_str();
                self.module.used.insert(id.to_owned());
                return match self.module.names.get(id) {
                    Some(node) => {
                        let mut node = node.clone();
                        node.at = at;
                        node
                    }
                    None => {
                        unreadable(format!("uses the name {}, which this file has not assigned before", short(id)), &at)
                    }
                };
            }
            Expr::Subscript(subscript) if is_environ(&subscript.value) => {
                return self.environment(&subscript.slice, None, true, &at, depth);
            }
            Expr::Call(call) => return self.call(call, &at, depth),
            Expr::FString(_) | Expr::TString(_) => Item::Unreadable("is an f-string, which is not read".into()),
            Expr::If(_) => Item::Unreadable("depends on a condition, which is not read".into()),
            _ => Item::Unreadable("is an expression that is not read".into()),
        };
        Node::new(item, at)
    }

    fn list(&mut self, elements: &[Expr], at: &Origin, depth: usize) -> Node {
        let (mut list, mut total) = (Vec::new(), 0);
        for element in elements {
            let node = self.eval_at(element, depth);
            total += weight(&node);
            if total > HEAVIEST {
                return unreadable("is too large for a setting", at);
            }
            if let Item::Unreadable(why) = node.item {
                return unreadable(why, at);
            }
            list.push(node);
        }
        Node::new(Item::List(list), at.clone())
    }

    fn call(&mut self, call: &ExprCall, at: &Origin, depth: usize) -> Node {
        let arguments = &call.arguments.args;
        let keyword = |wanted: &str| {
            call.arguments.keywords.iter().find(|k| k.arg.as_ref().is_some_and(|arg| arg.as_str() == wanted))
        };
        let environment = match call.func.as_ref() {
            Expr::Attribute(get) => {
                let of_os = matches!(get.value.as_ref(), Expr::Name(name) if name.id.as_str() == "os");
                get.attr.as_str() == "get" && is_environ(&get.value) || get.attr.as_str() == "getenv" && of_os
            }
            Expr::Name(name) => name.id.as_str() == "getenv",
            _ => false,
        };
        if environment {
            let Some(name) = arguments.first() else { return unreadable("reads no variable", at) };
            let default = arguments.get(1).or_else(|| keyword("default").map(|keyword| &keyword.value));
            return self.environment(name, default, false, at, depth);
        }
        let Expr::Name(function) = call.func.as_ref() else {
            return unreadable("calls a function, which is not run", at);
        };
        let (name, [argument]) = (function.id.as_str(), &**arguments) else {
            return unreadable(format!("calls {}, which is not run", short(function.id.as_str())), at);
        };
        if !["int", "float", "str", "bool", "list", "tuple", "dict"].contains(&name) {
            return unreadable(format!("calls {}, which is not run", short(name)), at);
        }
        let value = self.eval_at(argument, depth);
        let number = |text: &str| text.trim().replace('_', "");
        let item = match (name, value.item) {
            (_, Item::Unreadable(why)) => Item::Unreadable(why),
            ("int", Item::Whole(number)) => Item::Whole(number),
            ("int", Item::Flag(flag)) => Item::Whole(i64::from(flag)),
            ("int", Item::Number(number)) if number.abs() < 9e15 => Item::Whole(number as i64),
            ("int", Item::Text(text)) => number(&text)
                .parse()
                .map_or_else(|_| Item::Unreadable("int() is given a text that is no whole number".into()), Item::Whole),
            ("float", Item::Whole(number)) => Item::Number(number as f64),
            ("float", Item::Number(number)) => Item::Number(number),
            ("float", Item::Text(text)) => number(&text)
                .parse()
                .map_or_else(|_| Item::Unreadable("float() is given a text that is no number".into()), Item::Number),
            ("str", Item::Text(text)) => {
                // Still the environment variable's very value.
                return Node { item: Item::Text(text), at: at.clone(), variable: value.variable };
            }
            ("str", Item::Whole(number)) => Item::Text(number.to_string()),
            ("bool", item) => truth(&Node::new(item, at.clone())).map_or(Item::Nothing, Item::Flag),
            ("list" | "tuple", item @ Item::List(_)) | ("dict", item @ Item::Table(_)) => item,
            (name, _) => Item::Unreadable(format!("calls {name}() with a value that it can't take")),
        };
        Node::new(item, at.clone())
    }

    fn environment(&mut self, name: &Expr, default: Option<&Expr>, needed: bool, at: &Origin, depth: usize) -> Node {
        let Item::Text(name) = self.eval_at(name, depth).item else {
            return unreadable("reads a variable whose name is not known", at);
        };
        if name.len() > 1000 {
            return unreadable("reads a variable with too long a name", at);
        }
        let item = match ((self.variable)(&name), default) {
            (Some(value), _) => Item::Text(value),
            (None, Some(default)) => {
                let mut node = self.eval_at(default, depth);
                node.at = at.clone();
                return node;
            }
            (None, None) if needed => {
                let name = crate::problem::shown(&name);
                Item::Unreadable(format!("reads the environment variable {name}, which is not set"))
            }
            (None, None) => Item::Nothing,
        };
        Node { item, at: at.clone(), variable: Some(name.into()) }
    }
}

/// A name as a message may show it.
fn short(name: &str) -> &str {
    if name.len() <= 40 { name } else { "(a long name)" }
}

/// `os.environ`, or `environ` by itself.
fn is_environ(expression: &Expr) -> bool {
    match expression {
        Expr::Attribute(attribute) => {
            attribute.attr.as_str() == "environ"
                && matches!(attribute.value.as_ref(), Expr::Name(name) if name.id.as_str() == "os")
        }
        Expr::Name(name) => name.id.as_str() == "environ",
        _ => false,
    }
}
