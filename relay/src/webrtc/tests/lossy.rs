//! A path that loses packets: a relay of datagrams between a client and the port.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

/// Starts a path to `to`; clients send to the address that comes back. One datagram in `one_in`
/// is lost each way, by a generator of fixed seed.
pub(super) fn path(ip: IpAddr, to: SocketAddr, one_in: u32) -> SocketAddr {
    let front = Arc::new(UdpSocket::bind((ip, 0)).expect("a socket"));
    let address = front.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut lose = lottery(1, one_in);
        let mut buffer = [0; 2048];
        while let Ok((len, client)) = front.recv_from(&mut buffer) {
            let back = backs.entry(client).or_insert_with(|| {
                let back = Arc::new(UdpSocket::bind((ip, 0)).expect("a socket"));
                back.connect(to).expect("a path");
                spawn_return(back.clone(), front.clone(), client, one_in);
                back
            });
            if !lose() {
                // A closed port loses too.
                let _ = back.send(&buffer[..len]);
            }
        }
    });
    address
}

fn spawn_return(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, one_in: u32) {
    std::thread::spawn(move || {
        let mut lose = lottery(2, one_in);
        let mut buffer = [0; 2048];
        while let Ok(len) = back.recv(&mut buffer) {
            if !lose() {
                let _ = front.send_to(&buffer[..len], client);
            }
        }
    });
}

fn lottery(seed: u32, one_in: u32) -> impl FnMut() -> bool {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8).is_multiple_of(one_in)
    }
}
