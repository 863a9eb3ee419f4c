//! A simulated external load balancer: the effects of hooks, and invariants.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

use super::fake::{Hosts, World};
use crate::engine::{CallHooks, Refusal};
use apim_product::hook::Hook;

/// An external load balancer that is changed by hooks.
impl CallHooks for Hosts {
    fn call<'a>(&'a self, hook: &'a Hook) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        Box::pin(async move {
            let refuse =
                |why: &str, may_pass| Refusal { failure: hook.failure(why, "line 1\nline 2"), may_pass };
            self.world().log.push(format!("hook {}", hook.words));
            if self.world().stuck.contains(&hook.words) {
                sleep(Duration::from_secs(hook.timeout_secs)).await;
                return Err(refuse("not finished in time", false));
            }
            let mut world = self.world();
            if let Some(left) = world.broken.get_mut(&hook.words).filter(|left| **left > 0) {
                *left -= 1;
                return Err(refuse("exit status 1", true));
            }
            world.hook_called(&hook.words);
            let node = hook.words.rsplit(' ').next().unwrap_or_default();
            match world.busy.get_mut(node).filter(|left| hook.words.starts_with("drained") && **left > 0) {
                Some(left) => {
                    *left -= 1;
                    Err(refuse("3 sessions", true))
                }
                None => Ok(()),
            }
        })
    }
}

impl World {
    fn hook_called(&mut self, words: &str) {
        let Some((action, node)) = words.split_once(' ') else { return };
        match action {
            "drain" => {
                let pool = self.pools.get(node).cloned();
                let mut others =
                    self.pools.iter().filter(|(other, its)| *other != node && Some(*its) == pool.as_ref());
                if !others.any(|(other, _)| !self.down.contains(other) && !self.left_out.contains(other)) {
                    self.violations.push(format!("{node} was drained and no other node serves"));
                }
                self.left_out.insert(node.to_owned());
            }
            "undrain" => {
                self.left_out.remove(node);
                if self.down.contains(node) {
                    self.violations.push(format!("{node} was undrained while it was down"));
                }
            }
            _ => {}
        }
    }
}
