//! Interrupts of a rollout.

use tokio::sync::watch;

use crate::app::exit::{Exit, Kind};
use apim_rollout::engine::Interrupt;

/// The first Ctrl-C (or SIGTERM) lets steps in progress finish, the second exits immediately.
pub(crate) fn interrupt() -> watch::Receiver<Interrupt> {
    let (requested, interrupt) = watch::channel(Interrupt::None);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for next in [Interrupt::Finish, Interrupt::Quit] {
            tokio::select! {
                heard = tokio::signal::ctrl_c() => if heard.is_err() { return },
                _ = terminate.recv() => {}
            }
            requested.send_replace(next);
        }
        // Keep the sender open: a closed channel would be read as an interrupt.
        std::future::pending::<()>().await;
    });
    interrupt
}

/// Runs the preparation unless the user interrupts it.
pub(crate) async fn unless_interrupted<T>(
    prepare: impl Future<Output = Result<T, Exit>>,
    mut interrupt: watch::Receiver<Interrupt>,
) -> Result<T, Exit> {
    tokio::select! {
        biased;
        Ok(_) = interrupt.wait_for(|requested| *requested != Interrupt::None) => {
            Err(Exit::new(Kind::Interrupted, "interrupted; no host was changed"))
        }
        prepared = prepare => prepared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn interrupt_stops_the_preparation() {
        let (requested, interrupt) = watch::channel(Interrupt::None);
        let ended = unless_interrupted(async { Ok(1) }, interrupt.clone()).await;
        assert_eq!(ended.expect("not interrupted"), 1);
        let forever = std::future::pending::<Result<(), Exit>>();
        let (ended, ()) = tokio::join!(unless_interrupted(forever, interrupt), async {
            requested.send_replace(Interrupt::Finish);
        });
        let said = format!("{:?}", ended.expect_err("interrupted"));
        assert!(said.contains("Interrupted") && said.contains("no host was changed"), "{said}");
    }
}
