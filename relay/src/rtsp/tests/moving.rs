//! Connections that another worker is to serve.

use super::*;
use crate::crew::{SPREAD, WorkerIndex, tests::crew};

const DOOR: WorkerIndex = WorkerIndex(0);
const OTHER: WorkerIndex = WorkerIndex(1);

impl Harness {
    /// The worker with the listeners, and another one.
    fn of_two() -> Self {
        let (crew, notes) = crew(2);
        let (crew, door) = (Arc::new(crew), Arc::new(Door::default()));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let workers = [DOOR, OTHER].into_iter().zip(notes).map(|(me, notes)| {
            let company = Company::new(crew.clone(), me, notes);
            Self::worker(any, any, door.clone(), company)
        });
        let [mut first, second] = <[Self; 2]>::try_from(workers.collect::<Vec<_>>()).ok().unwrap();
        first.other = Some(Box::new(second));
        first
    }

    fn set_loads(&self, loads: [usize; 2]) {
        for (worker, load) in [DOOR, OTHER].into_iter().zip(loads) {
            self.company.crew().set_load(worker, load);
        }
    }

    fn other(&mut self) -> &mut Self {
        self.other.as_mut().unwrap()
    }

    fn connections(&mut self) -> [usize; 2] {
        [self.port.connections(), self.other().port.connections()]
    }
}

#[test]
fn a_camera_moves_to_the_idlest_worker_with_its_first_login_and_feeds_it() {
    let mut harness = Harness::of_two();
    harness.set_loads([10, 0]);
    let mut camera = harness.camera();
    assert_eq!(harness.connections(), [0, 1]);
    assert!(harness.hub.tracks(&key()).is_none());
    camera.send_picture(1, 500);
    camera.send_picture(2, 500);
    until(&mut harness, |harness| harness.other().hub.stats().frames_in > 0);
    assert_eq!(harness.company.crew().home(&key()).unwrap().worker, OTHER);
    for _ in 0..200 {
        assert!(harness.port.shared.door.admission().enter([127, 0, 0, 1].into()), "none is left");
        harness.port.shared.door.admission().leave([127, 0, 0, 1].into());
    }
}

#[test]
fn a_camera_that_comes_back_comes_to_its_streams_worker() {
    let mut harness = Harness::of_two();
    harness.set_loads([10, 0]);
    let camera = harness.camera();
    drop(camera);
    until(&mut harness, |harness| harness.connections() == [0, 0]);
    harness.set_loads([0, 1000]);
    let _camera = harness.camera();
    assert_eq!(harness.connections(), [0, 1]);
    assert_eq!(harness.other().hub.stats().streams, 1, "it goes on with the one that waits");
}

#[test]
fn a_viewer_is_served_at_its_streams_home_and_told_the_ports_there() {
    let mut harness = Harness::of_two();
    harness.set_loads([10, 0]);
    let mut camera = harness.camera();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    harness.other().turn();
    harness.add_handle("v", Duration::from_secs(30)).unwrap();
    let mut viewer = harness.client();
    viewer.login("v");
    assert_eq!(viewer.ask(&mut harness, "DESCRIBE", "", "", ""), 200);
    assert_eq!(harness.connections(), [0, 2]);
    let transport = format!("Transport: RTP/AVP;unicast;client_port={port}-{}\r\n", port ^ 1);
    let answer = viewer.request(&mut harness, "SETUP", "/trackID=0", &transport, "");
    let (rtp, rtcp) = harness.other().port.udp_ports;
    assert!(answer.contains(&format!("server_port={rtp}-{rtcp}")), "{answer}");
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    camera.send_picture(1, 500);
    camera.send_picture(2, 500);
    socket.set_nonblocking(true).unwrap();
    let mut packet = [0; 1500];
    let mut from = None;
    until(&mut harness, |_| {
        from = from.or_else(|| socket.recv_from(&mut packet).ok());
        from.is_some()
    });
    assert_eq!(from.unwrap().1.port(), rtp);
    let lease = *harness.other().directory.leases.keys().next().expect("its lease is there");
    harness.other().leases.close(lease);
}

#[test]
fn a_viewer_beyond_what_the_home_is_to_serve_plays_from_a_mirror() {
    let mut harness = Harness::of_two();
    harness.set_loads([10, 0]);
    let mut camera = harness.camera();
    camera.send_picture(1, 500);
    harness.set_loads([0, SPREAD + 1]);
    let mut viewer = harness.viewer("v", TCP);
    assert_eq!(harness.connections(), [1, 1], "the viewer stays at the door");
    assert_eq!(viewer.ask(&mut harness, "PLAY", "", "", ""), 200);
    assert_eq!((harness.hub.stats().mirrors, harness.hub.stats().subscribers), (1, 1));
    let mut number = 1;
    until(&mut harness, |_| {
        number += 1;
        camera.send_picture(number, 500);
        viewer.read();
        viewer.frame().is_some_and(|(channel, _)| channel == 0)
    });
    drop(camera);
    let other = harness.other();
    let stream = other.hub.stream_id(&key()).unwrap();
    other.hub.give_up(stream);
    until(&mut harness, |_| {
        viewer.read();
        viewer.ended.is_some()
    });
}
