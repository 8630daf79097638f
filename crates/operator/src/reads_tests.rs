use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinSet;
use tokio::time::{advance, sleep};

use super::*;

type Numbers = Reads<&'static str, u32>;

const FLIGHT: Duration = Duration::from_millis(10);

/// A read that takes a while; its answer is how many there have been.
async fn count(reads: &AtomicU32) -> u32 {
    sleep(FLIGHT).await;
    reads.fetch_add(1, Ordering::Relaxed) + 1
}

#[tokio::test(start_paused = true)]
async fn all_that_are_due_together_ask_once_and_no_answer_stays_behind() {
    let (shared, reads, due) = (Numbers::default(), Arc::new(AtomicU32::new(0)), Instant::now());
    let mut looks = JoinSet::new();
    for look in 0..500 {
        let (shared, reads) = (shared.clone(), Arc::clone(&reads));
        looks.spawn(async move {
            // A bounded number looks at once: most come when the answer is there already.
            sleep(FLIGHT * (look / 100)).await;
            shared.ask(&"secret/web", due, || count(&reads)).await
        });
    }
    assert!(looks.join_all().await.iter().all(|answer| *answer == 1));
    assert_eq!(shared.ask(&"secret/other", due, || count(&reads)).await, 2, "another path is another question");
    shared.settle();
    assert!(shared.flights().is_empty());
    assert_eq!(shared.ask(&"secret/web", due, || count(&reads)).await, 3);
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_an_answer_that_was_asked_for_before_it_was_due() {
    let (shared, reads, due) = (Numbers::default(), Arc::new(AtomicU32::new(0)), Instant::now());
    assert_eq!(shared.ask(&"secret/web", due, || count(&reads)).await, 1);
    assert_eq!(shared.ask(&"secret/web", Instant::now(), || count(&reads)).await, 2);
    // One is on its way: those who became due since then wait for it, and ask once together.
    let first = Instant::now();
    let ask = |since| shared.ask(&"secret/web", since, || count(&reads));
    let late = async {
        sleep(FLIGHT / 2).await;
        let since = Instant::now();
        tokio::join!(ask(since), ask(since), ask(since))
    };
    assert_eq!(tokio::join!(ask(first), late), (3, (4, 4, 4)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_ages_however_long_the_queue_is() {
    let (shared, reads, due) = (Numbers::default(), Arc::new(AtomicU32::new(0)), Instant::now());
    assert_eq!(shared.ask(&"secret/web", due, || count(&reads)).await, 1);
    advance(LONGEST / 2).await;
    assert_eq!(shared.ask(&"secret/web", due, || count(&reads)).await, 1);
    advance(LONGEST / 2).await;
    assert_eq!(shared.ask(&"secret/web", due, || count(&reads)).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_gone_leaves_nobody_waiting() {
    let (shared, reads, due) = (Numbers::default(), Arc::new(AtomicU32::new(0)), Instant::now());
    let (other, lost) = (shared.clone(), Arc::clone(&reads));
    let first = tokio::spawn(async move { other.ask(&"secret/web", due, || count(&lost)).await });
    sleep(FLIGHT / 2).await;
    let second = shared.ask(&"secret/web", due, || count(&reads));
    first.abort();
    assert_eq!(second.await, 1);
}
