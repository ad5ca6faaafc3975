use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use super::*;

/// A server by what it answers, and what it was asked.
struct Server {
    state: RefCell<DeviceState>,
    asked: RefCell<Vec<DeviceKnown>>,
    open: Cell<usize>,
}

impl Server {
    fn new() -> Self {
        let state = serde_json::json!({
            "bound": true, "binding_epoch": 1, "key_epoch": 1, "key_wanted": false,
        });
        let state = serde_json::from_value(state).expect("a state");
        Self { state: RefCell::new(state), asked: RefCell::default(), open: Cell::new(0) }
    }

    /// Answers at once when something differs; else after 25 s.
    async fn answer(&self, known: DeviceKnown) -> Result<DeviceState, Infallible> {
        self.asked.borrow_mut().push(known);
        if known.agrees_with(&self.state.borrow()) {
            self.open.set(self.open.get() + 1);
            sleep(Duration::from_secs(25)).await;
        }
        Ok(self.state.borrow().clone())
    }

    fn questions(&self) -> usize {
        self.asked.borrow().len()
    }
}

fn known() -> DeviceKnown {
    DeviceKnown { binding_epoch: 1, key_epoch: 1, ..DeviceKnown::default() }
}

/// What a wait gives within a minute.
async fn within_a_minute(server: &Server, news: &mut News) -> Option<DeviceState> {
    let known = known();
    let wait = news.wait_by(&known, |known| server.answer(known));
    let answer = tokio::time::timeout(Duration::from_secs(60), wait).await.ok()?;
    Some(answer.expect("infallible"))
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_that_tells_a_long_poll_waits() {
    let (server, told) = (Server::new(), Told::default());
    let start = Instant::now();
    let state = within_a_minute(&server, &mut told.news()).await.expect("an answer");
    assert_eq!((start.elapsed().as_secs(), server.questions()), (25, 1));
    assert!(known().agrees_with(&state), "time over is an answer like any other");
}

#[tokio::test(start_paused = true)]
async fn while_a_connection_tells_no_question_stays_open() {
    let (server, told) = (Server::new(), Told::default());
    told.hear();
    assert_eq!(within_a_minute(&server, &mut told.news()).await, None);
    assert_eq!((server.questions(), server.open.get()), (1, 0), "asked once, and not to wait");
    let asked = server.asked.borrow()[0];
    assert!(!asked.agrees_with(&server.state.borrow()), "such a question is answered at once");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_asked_for_at_once_and_not_more_often_than_the_pause_allows() {
    let (server, told) = (Server::new(), Told::default());
    told.hear();
    let mut news = told.news();
    let (state, changed) = tokio::join!(within_a_minute(&server, &mut news), async {
        // Told of much that is none of it: one question each pause.
        for _ in 0..100 {
            sleep(Duration::from_millis(10)).await;
            told.hear();
        }
        assert!((2..=7).contains(&server.questions()), "{} questions", server.questions());
        sleep(Duration::from_secs(5)).await;
        server.state.borrow_mut().list_version = 7;
        told.hear();
        Instant::now()
    });
    assert_eq!(state.map(|state| state.list_version), Some(7));
    assert!(changed.elapsed() < ASK_PAUSE / 10, "without a pause");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_waits_is_given_up_when_a_connection_tells_and_opened_when_it_ends() {
    let (server, told) = (Server::new(), Told::default());
    let mut news = told.news();
    let (state, ()) = tokio::join!(within_a_minute(&server, &mut news), async {
        sleep(Duration::from_secs(10)).await;
        assert_eq!(server.open.get(), 1);
        told.hear();
        sleep(Duration::from_secs(10)).await;
        assert_eq!((server.questions(), server.open.get()), (2, 1));
        told.silence();
        sleep(Duration::from_secs(1)).await;
        // Answered at once if something has happened in between.
        assert_eq!(server.open.get(), 2);
        server.state.borrow_mut().key_epoch = 2;
    });
    assert_eq!(state.map(|state| state.key_epoch), Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_forgot_to_tell_is_found_after_five_minutes() {
    let (server, told) = (Server::new(), Told::default());
    told.hear();
    let mut news = told.news();
    let start = Instant::now();
    let wait = async {
        let known = known();
        news.wait_by(&known, |known| server.answer(known)).await
    };
    let (state, ()) = tokio::join!(wait, async {
        sleep(Duration::from_secs(1)).await;
        server.state.borrow_mut().binding_epoch = 2;
    });
    assert_eq!(state.expect("infallible").binding_epoch, 2);
    assert_eq!(start.elapsed().as_secs(), ASK_ANYWAY.as_secs());
}
