//! Tasks and their end.
//!
//! Every task of the process is spawned here, so that shutdown can wait for all of them. There are
//! two kinds. *Tasks* do the work and end at the soft signal (finish what you do, take nothing new).
//! *Services* are what tasks rely on to finish, such as the message log's commits: they end when
//! the last task has. When the grace is over, the hard signal tells tasks to stop where they are.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks get to notice the hard signal before the process goes without them.
const HARD_STOP: Duration = Duration::from_secs(1);

/// How long services get to finish when the last task has ended.
const SERVICES_STOP: Duration = Duration::from_secs(5);

/// The tasks of one process and the signals that end them. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    drained: CancellationToken,
    tasks: TaskTracker,
    services: TaskTracker,
    failed: Arc<AtomicBool>,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Everything ended by itself.
    Drained,
    /// Some tasks had to be stopped: the grace was over.
    Forced,
}

impl Lifecycle {
    /// A process without tasks.
    pub fn new() -> Lifecycle {
        Lifecycle::default()
    }

    /// Spawns a task that the process cannot do without: if it panics, the whole process drains
    /// and [`Lifecycle::failed`] tells so. It should end at the soft signal.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.guarded(name, task));
    }

    /// Spawns one of many tasks of equal kind, at no cost beyond the task's own. A panic ends
    /// that task alone.
    pub fn spawn_connection(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Spawns a service: it should end at [`Lifecycle::drained`], when every task has ended and
    /// nothing more will be asked of it. A panic drains the process.
    pub fn spawn_service(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.services.spawn(self.guarded(name, task));
    }

    fn guarded(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let guard = Guard { name, soft: self.soft.clone(), failed: self.failed.clone() };
        async move {
            let _guard = guard;
            task.await;
        }
    }

    /// Cancelled when tasks should drain: take nothing new, finish, end.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when tasks must end now.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Cancelled when every task has ended or was given up: services finish and end.
    pub fn drained(&self) -> &CancellationToken {
        &self.drained
    }

    /// How many tasks are running, services apart.
    pub fn tasks_count(&self) -> usize {
        self.tasks.len()
    }

    /// Whether something that the process cannot do without failed.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Something that the process cannot do without failed: the process drains.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.soft.cancel();
    }

    /// Gives the soft signal and waits for all tasks, with the hard signal when `grace` is over;
    /// then waits for the services.
    pub async fn shutdown(&self, grace: Duration) -> Stopped {
        self.soft.cancel();
        self.tasks.close();
        self.services.close();
        let mut stopped = Stopped::Drained;
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            stopped = Stopped::Forced;
            self.hard.cancel();
            // Whoever does not look at the signal ends with the runtime.
            let _ = tokio::time::timeout(HARD_STOP, self.tasks.wait()).await;
        }
        self.drained.cancel();
        if tokio::time::timeout(SERVICES_STOP, self.services.wait()).await.is_err() {
            stopped = Stopped::Forced;
        }
        stopped
    }
}

/// Notices that a task was dropped before its end by a panic.
struct Guard {
    name: &'static str,
    soft: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a task failed; draining");
            self.failed.store(true, Ordering::Release);
            self.soft.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_tasks_that_follow_the_soft_signal() {
        let life = Lifecycle::new();
        let soft = life.soft().clone();
        life.spawn("good", async move {
            soft.cancelled().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
        });
        assert_eq!(life.shutdown(Duration::from_secs(5)).await, Stopped::Drained);
        assert_eq!(life.tasks_count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn grace_ends_and_the_hard_signal_is_given() {
        let life = Lifecycle::new();
        let hard = life.hard().clone();
        life.spawn_connection(async move { hard.cancelled().await });
        assert_eq!(life.shutdown(Duration::from_secs(5)).await, Stopped::Forced);
        assert_eq!(life.tasks_count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn services_outlive_the_tasks() {
        let life = Lifecycle::new();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let (soft, drained) = (life.soft().clone(), life.drained().clone());
        let last = sender.clone();
        life.spawn_service("log", async move {
            drained.cancelled().await;
            last.send("service").unwrap();
        });
        life.spawn_connection(async move {
            soft.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            sender.send("task").unwrap();
        });
        assert_eq!(life.shutdown(Duration::from_secs(5)).await, Stopped::Drained);
        assert_eq!((receiver.recv().await, receiver.recv().await), (Some("task"), Some("service")));
    }

    #[tokio::test]
    async fn a_panic_in_a_needed_task_drains_the_process() {
        let life = Lifecycle::new();
        life.spawn("bad", async { panic!("on purpose") });
        life.soft().cancelled().await;
        assert!(life.failed());
    }

    #[tokio::test]
    async fn a_panic_in_a_connection_ends_it_alone() {
        let life = Lifecycle::new();
        life.spawn_connection(async { panic!("on purpose") });
        while life.tasks_count() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(!life.failed() && !life.soft().is_cancelled());
    }
}
