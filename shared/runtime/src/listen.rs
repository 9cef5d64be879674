//! The one accept loop: every port for clients goes through it, with the same limits.

use crate::metrics;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections that the kernel completes and keeps before we accept them.
const BACKLOG: i32 = 4_096;

/// Pause after an error that will come again at once, such as no file descriptor being left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}; {}", advice(.reason, .key))]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// The key that names it.
    pub key: &'static str,
    /// What the system says.
    pub reason: io::Error,
}

fn advice(reason: &io::Error, key: &str) -> String {
    match reason.kind() {
        io::ErrorKind::AddrInUse => format!("stop the program that uses it or change {key}"),
        io::ErrorKind::PermissionDenied => format!("use a port above 1023 in {key}"),
        _ => format!("change {key}"),
    }
}

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Binds every address of a list. Must be called inside the tokio runtime.
///
/// # Errors
/// The first address that cannot be bound, with the `key` to change.
pub fn bind_all(addresses: &[SocketAddr], key: &'static str) -> Result<Vec<Listener>, ListenError> {
    let bind_one = |address: &SocketAddr| {
        // `[::]` also takes IPv4, unless that is asked for by itself.
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        let dual_stack = !addresses.contains(&v4);
        bind(*address, dual_stack)
            .and_then(|socket| Ok(Listener { address: socket.local_addr()?, socket }))
            .map_err(|reason| ListenError { address: *address, key, reason })
    };
    addresses.iter().map(bind_one).collect()
}

fn bind(address: SocketAddr, dual_stack: bool) -> io::Result<TcpListener> {
    let any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    match bind_exactly(address, dual_stack) {
        // A kernel without IPv6: all addresses are then those of IPv4.
        Err(error) if any_v6 && dual_stack && no_ipv6(&error) => {
            bind_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into(), false)
        }
        bound => bound,
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    error.kind() == io::ErrorKind::AddrNotAvailable || code == Some(rustix::io::Errno::AFNOSUPPORT)
}

fn bind_exactly(address: SocketAddr, dual_stack: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    // A restart must not wait for the kernel to forget the connections of the run before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it. Stanzas are small and batched by us: waiting for more bytes
    // would only add latency.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl Listener {
    /// The bound address, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the system gives up a connection whose peer takes no bytes for so long: it is
    /// gone, or does not read.
    ///
    /// # Errors
    /// The system's.
    pub fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        // Accepted sockets inherit it.
        socket2::SockRef::from(&self.socket).set_tcp_user_timeout(Some(timeout))
    }

    /// The socket, for servers with an accept loop of their own (operations, administration).
    pub fn into_socket(self) -> TcpListener {
        self.socket
    }

    /// Accepts until `soft` is cancelled; then the port is closed. `accepted` gets each connection
    /// with its place under the limits and must not block. A connection refused for its address
    /// is sent `refusal`, as far as its socket takes it at once.
    pub async fn serve(
        self,
        admission: Arc<Admission>,
        soft: CancellationToken,
        refusal: &'static [u8],
        mut accepted: impl FnMut(TcpStream, SocketAddr, Place),
    ) {
        while let Some((socket, peer)) = soft.run_until_cancelled(self.next()).await {
            metrics::GATEWAY_CONNECTIONS_TOTAL.increment(1);
            match soft.run_until_cancelled(admission.admit(peer.ip())).await {
                None => return,
                Some(Some(place)) => accepted(socket, peer, place),
                Some(None) => {
                    metrics::GATEWAY_CONNECTIONS_REFUSED_TOTAL.increment(1);
                    let _ = socket.try_write(refusal);
                }
            }
        }
    }

    /// The next connection.
    async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((socket, peer)) => {
                    return (socket, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
                }
                Err(error) if of_the_peer(&error) => {}
                Err(error) => {
                    metrics::GATEWAY_ACCEPT_ERRORS_TOTAL.increment(1);
                    tracing::warn!(address = %self.address, %error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Whether an error is about one connection, so that the next one may be accepted at once.
fn of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The limits on connections, shared by all listeners of a process.
#[derive(Debug)]
pub struct Admission {
    total: Semaphore,
    unauthenticated: Semaphore,
    per_address_max: usize,
    /// Connections of each address that has any; `connections_max` bounds it.
    by_address: Mutex<HashMap<u64, u32>>,
}

impl Admission {
    /// Limits: connections in total, without login, and of one address.
    pub fn new(total: usize, unauthenticated: usize, per_address: usize) -> Arc<Admission> {
        Arc::new(Admission {
            total: Semaphore::new(total.min(Semaphore::MAX_PERMITS)),
            unauthenticated: Semaphore::new(unauthenticated.min(Semaphore::MAX_PERMITS)),
            per_address_max: per_address,
            by_address: Mutex::default(),
        })
    }

    /// A place for a connection of `address`; none when that address has its share. Waits while
    /// there are too many connections: peers then wait in the kernel's queue.
    async fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let key = address_key(address);
        let mut place = Place { admission: self.clone(), key, holds: Holds::Nothing };
        if !self.count_address(key) {
            return None;
        }
        place.holds = Holds::Address;
        // The semaphores are never closed, so these are no errors; `Place` gives the permits back.
        if let Ok(permit) = self.total.acquire().await {
            permit.forget();
            place.holds = Holds::Total;
            metrics::GATEWAY_CONNECTIONS.increment(1.0);
        }
        if let Ok(permit) = self.unauthenticated.acquire().await {
            permit.forget();
            place.holds = Holds::Unauthenticated;
            metrics::GATEWAY_CONNECTIONS_UNAUTHENTICATED.increment(1.0);
        }
        Some(place)
    }

    fn count_address(&self, key: u64) -> bool {
        let mut by_address = self.by_address.lock();
        let count = by_address.entry(key).or_insert(0);
        let fits = (*count as usize) < self.per_address_max;
        *count += u32::from(fits);
        fits
    }

    fn uncount_address(&self, key: u64) {
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&key);
            }
        }
    }
}

/// What a place has to give back; each step holds what those before it hold.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Holds {
    Nothing,
    Address,
    /// Also what a connection that has logged in holds.
    Total,
    Unauthenticated,
}

/// A connection's place under the limits, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    key: u64,
    holds: Holds,
}

impl Place {
    /// The client has logged in: it no longer counts as unauthenticated.
    pub fn authenticated(&mut self) {
        if self.holds == Holds::Unauthenticated {
            self.holds = Holds::Total;
            self.admission.unauthenticated.add_permits(1);
            metrics::GATEWAY_CONNECTIONS_UNAUTHENTICATED.decrement(1.0);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.authenticated();
        if self.holds >= Holds::Total {
            self.admission.total.add_permits(1);
            metrics::GATEWAY_CONNECTIONS.decrement(1.0);
        }
        if self.holds >= Holds::Address {
            self.admission.uncount_address(self.key);
        }
    }
}

/// What counts as one address for limits: an IPv4 address or an IPv6 /64, since a subscriber has
/// a whole one. They cannot meet: the /64s below `::/32` are not given to anybody.
pub fn address_key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn one(key: &'static str) -> Listener {
        bind_all(&[LOOPBACK], key).unwrap().remove(0)
    }

    #[tokio::test]
    async fn a_port_in_use_is_one_line_that_names_the_key() {
        let first = one("c2s.starttls");
        let error = bind_all(&[first.address()], "c2s.starttls").unwrap_err().to_string();
        assert!(error.contains(&first.address().to_string()), "{error}");
        assert!(error.contains("change c2s.starttls") && !error.contains('\n'), "{error}");
    }

    #[tokio::test]
    async fn any_address_takes_ipv4_too() {
        let any = bind_all(&["[::]:0".parse().unwrap()], "c2s.starttls").unwrap().remove(0);
        let port = any.address().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    }

    #[tokio::test]
    async fn both_families_can_be_listed() {
        let port = bind_all(&["0.0.0.0:0".parse().unwrap()], "k").unwrap()[0].address().port();
        let both = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        let both = both.map(|text| text.parse().unwrap());
        assert_eq!(bind_all(&both, "k").unwrap().len(), 2);
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    type Kept = Arc<Mutex<Vec<(TcpStream, Place)>>>;

    /// Serves until the test ends, keeping every place that is given.
    fn serve(admission: Arc<Admission>) -> (SocketAddr, Kept) {
        let listener = one("c2s.starttls");
        let address = listener.address();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let held = kept.clone();
        crate::Lifecycle::new().spawn_connection(listener.serve(
            admission,
            CancellationToken::new(),
            b"no",
            move |socket, _, place| held.lock().push((socket, place)),
        ));
        (address, kept)
    }

    async fn wait_for(kept: &Kept, count: usize) {
        let enough = async {
            while kept.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap();
    }

    #[tokio::test]
    async fn accepted_sockets_inherit_the_options() {
        let listener = one("k");
        listener.set_write_timeout(Duration::from_secs(7)).unwrap();
        let _client = TcpStream::connect(listener.address()).await.unwrap();
        let (accepted, _) = listener.next().await;
        assert!(accepted.nodelay().unwrap());
        let timeout = socket2::SockRef::from(&accepted).tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn an_address_beyond_its_share_is_refused() {
        let (address, kept) = serve(Admission::new(10, 10, 1));
        let _first = TcpStream::connect(address).await.unwrap();
        wait_for(&kept, 1).await;
        let mut told = String::new();
        let mut second = TcpStream::connect(address).await.unwrap();
        tokio::time::timeout(PATIENCE, second.read_to_string(&mut told)).await.unwrap().unwrap();
        assert_eq!(told, "no");

        kept.lock().clear();
        let _third = TcpStream::connect(address).await.unwrap();
        wait_for(&kept, 1).await;
    }

    #[tokio::test]
    async fn beyond_the_limit_connections_wait_until_others_log_in() {
        let (address, kept) = serve(Admission::new(10, 1, 10));
        let _first = TcpStream::connect(address).await.unwrap();
        wait_for(&kept, 1).await;
        let _second = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(kept.lock().len(), 1);

        kept.lock()[0].1.authenticated();
        wait_for(&kept, 2).await;
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
