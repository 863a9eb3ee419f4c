//! Files, functions and nesting stay small enough to read.

use syn::spanned::Spanned as _;
use syn::visit::Visit;

use crate::sources::SOURCES;

/// Lines of a file.
const FILE: usize = 400;
/// Lines of a function, from its signature to its closing brace.
const FUNCTION: usize = 80;
/// Blocks inside blocks of a function: branches, loops, matches and closures.
const NESTING: usize = 4;

/// Files over the limit, with the reason.
const LONG: &[(&str, &str)] =
    &[("orchestrator/rollout/src/engine/tests/fake.rs", "one simulated agent: its replies belong together")];

/// Walks the functions of a file.
struct Functions {
    wrong: Vec<String>,
    depth: usize,
    deepest: usize,
}

impl Functions {
    fn function(&mut self, name: &syn::Ident, signature: proc_macro2::Span, block: &syn::Block) {
        let (outer, deepest) = (std::mem::take(&mut self.depth), std::mem::take(&mut self.deepest));
        syn::visit::visit_block(self, block);
        let lines = block.span().end().line + 1 - signature.start().line;
        let line = signature.start().line;
        if lines > FUNCTION {
            self.wrong.push(format!("{line}: `{name}` has {lines} lines"));
        }
        if self.deepest > NESTING {
            self.wrong.push(format!("{line}: `{name}` nests {} deep", self.deepest));
        }
        (self.depth, self.deepest) = (outer, deepest);
    }

    fn deeper(&mut self, walk: impl FnOnce(&mut Self)) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        walk(self);
        self.depth -= 1;
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.sig.span(), &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.sig.span(), &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig.ident, item.sig.span(), block);
        }
    }

    fn visit_expr_if(&mut self, item: &'ast syn::ExprIf) {
        self.visit_expr(&item.cond);
        self.deeper(|walk| walk.visit_block(&item.then_branch));
        match item.else_branch.as_ref().map(|(_, branch)| branch.as_ref()) {
            // `else if` is another branch of the same level.
            Some(syn::Expr::If(next)) => self.visit_expr_if(next),
            Some(other) => self.deeper(|walk| walk.visit_expr(other)),
            None => {}
        }
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        self.visit_expr(&item.expr);
        self.deeper(|walk| item.arms.iter().for_each(|arm| walk.visit_arm(arm)));
    }

    fn visit_expr_for_loop(&mut self, item: &'ast syn::ExprForLoop) {
        self.visit_expr(&item.expr);
        self.deeper(|walk| walk.visit_block(&item.body));
    }

    fn visit_expr_while(&mut self, item: &'ast syn::ExprWhile) {
        self.visit_expr(&item.cond);
        self.deeper(|walk| walk.visit_block(&item.body));
    }

    fn visit_expr_loop(&mut self, item: &'ast syn::ExprLoop) {
        self.deeper(|walk| walk.visit_block(&item.body));
    }

    fn visit_expr_closure(&mut self, item: &'ast syn::ExprClosure) {
        if matches!(*item.body, syn::Expr::Block(_)) {
            self.deeper(|walk| walk.visit_expr(&item.body));
        } else {
            self.visit_expr(&item.body);
        }
    }
}

#[test]
fn functions_are_short_and_flat() {
    let mut wrong = Vec::new();
    for source in SOURCES.iter() {
        let mut functions = Functions { wrong: Vec::new(), depth: 0, deepest: 0 };
        functions.visit_file(&source.syntax.parse());
        wrong.extend(functions.wrong.into_iter().map(|what| format!("{}:{what}", source.path.display())));
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_hold() {
    let mut wrong = Vec::new();
    for source in SOURCES.iter() {
        let lines = source.text.lines().count();
        let is_excepted = LONG.iter().any(|(path, _)| source.path == std::path::Path::new(path));
        if lines > FILE && !is_excepted {
            wrong.push(format!("{}: {lines} lines", source.path.display()));
        }
        if !source.text.starts_with("//!") {
            wrong.push(format!("{}: the first line must be a module comment (`//!`)", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
