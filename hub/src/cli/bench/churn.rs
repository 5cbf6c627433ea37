//! Connect mode: connections that are opened and closed again, over and over.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use super::counters::Count;
use super::open::{self, Opened};
use super::plan::Plan;
use super::wire;
use super::worker::{Phase, Worker, reach};
use super::ws::{self, Opcode};

/// How long a closed connection may take until the server has closed it too.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// The pause after a connection that could not be opened, so that a dead server is not hammered.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Keeps this thread's share of the connections opening and closing until nothing more is to be sent.
pub(super) async fn run(worker: &Rc<Worker>, index: usize, phase: &mut watch::Receiver<Phase>) {
    reach(phase, Phase::Warmup).await;
    let plan = &worker.plan;
    let turns = (index..plan.grouping.connections).step_by(plan.threads).map(|_| {
        let (worker, phase) = (worker.clone(), phase.clone());
        tokio::task::spawn_local(async move {
            while *phase.borrow() < Phase::Drain {
                turn(&worker, &phase).await;
            }
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        // The task cannot have been aborted, and its panic has been printed.
        let _ = turn.await;
    }
    reach(phase, Phase::Close).await;
}

async fn turn(worker: &Worker, phase: &watch::Receiver<Phase>) {
    let started = Instant::now();
    match open::open(&worker.plan, worker.address, 0).await {
        Ok(opened) => {
            worker.counters.add(Count::Opened, 1);
            if *phase.borrow() == Phase::Measure {
                worker.opening.borrow_mut().saturating_record(started.elapsed().as_micros() as u64);
            }
            // A server that closes badly has still been connected to; that is what is measured here.
            let _ = tokio::time::timeout(CLOSE_DEADLINE, close(&worker.plan, opened)).await;
        }
        Err(error) => {
            worker.counters.add(Count::OpenFailed, 1);
            worker.faults.open.note(|| error.in_full());
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Leaves the namespace, closes the transport and waits until the server has closed too.
pub(super) async fn close(plan: &Plan, opened: Opened) {
    let goodbye = wire::disconnect_packet(&plan.namespace);
    match opened {
        Opened::WebSocket { mut stream, .. } => {
            let mut frames = Vec::new();
            ws::encode(&mut frames, Opcode::Text, &goodbye);
            ws::encode(&mut frames, Opcode::Close, &1000u16.to_be_bytes());
            let mut rest = [0; 256];
            if stream.write_all(&frames).await.is_ok() {
                while matches!(stream.read(&mut rest).await, Ok(1..)) {}
            }
        }
        Opened::Polling { mut client, sid, .. } => {
            let path = plan.target.request_path("polling", Some(&sid));
            let payload = [&goodbye[..], &[wire::SEPARATOR], b"1"].concat();
            let _ = client.post(&path, &payload).await;
        }
    }
}
