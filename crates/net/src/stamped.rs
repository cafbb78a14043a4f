//! Many datagrams of one socket in one call, each with the moment at which the kernel had it: for who measures others, and
//! must not count the time that its own thread took to wake up.
#![cfg(target_os = "linux")]

use std::{
    fmt, io,
    mem::{MaybeUninit, zeroed},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::{AsFd, AsRawFd as _},
    ptr,
    time::{Duration, SystemTime},
};

/// Bytes of what the kernel says beside a datagram: one header and one time, and room to spare.
const CONTROL_BYTES: usize = 64;

/// Reads datagrams. It keeps its memory from one call to the next.
pub struct Stamped {
    slots: Box<[Slot]>,
    headers: Box<[libc::mmsghdr]>,
    buffers: Box<[u8]>,
    bytes_max: usize,
}

/// What the kernel writes to beside the bytes. Its address does not change while `Stamped` lives.
struct Slot {
    name: libc::sockaddr_storage,
    control: Control,
    vector: libc::iovec,
}

/// Control messages begin where a `cmsghdr` may.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// A datagram that came.
#[derive(Debug)]
pub struct Came<'a> {
    /// From where.
    pub from: SocketAddr,
    /// Its bytes.
    pub bytes: &'a mut [u8],
    /// When the kernel had it, on the wall clock; `None` where the kernel did not say.
    pub at: Option<SystemTime>,
}

impl Stamped {
    /// Room for so many datagrams a call, of at most so many bytes; longer ones are cut.
    pub fn new(datagrams: usize, bytes_max: usize) -> Self {
        let mut buffers = vec![0; datagrams * bytes_max].into_boxed_slice();
        let vectors = buffers
            .chunks_exact_mut(bytes_max.max(1))
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        // SAFETY: an address of any family may be all zeros.
        let name = || unsafe { zeroed::<libc::sockaddr_storage>() };
        let mut slots: Box<[Slot]> =
            vectors.map(|vector| Slot { name: name(), control: Control([0; CONTROL_BYTES]), vector }).collect();
        let headers = slots.iter_mut().map(|slot| {
            // SAFETY: a message of no parts is one of zeros and null pointers.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = (&raw mut slot.name).cast();
            header.msg_hdr.msg_control = (&raw mut slot.control).cast();
            header.msg_hdr.msg_iov = &raw mut slot.vector;
            header.msg_hdr.msg_iovlen = 1;
            header
        });
        let headers = headers.collect();
        Self { slots, headers, buffers, bytes_max }
    }

    /// Asks the kernel to say when a socket's datagrams came.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn prepare(socket: &impl AsFd) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: the descriptor is open while it is borrowed, and the kernel reads an integer of the length it is told.
        let done = unsafe {
            libc::setsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes what is there without waiting; true where more may be there.
    ///
    /// # Errors
    /// Of the socket; what the network said of a datagram sent earlier among them.
    pub fn receive(&mut self, socket: &impl AsFd, take: &mut dyn FnMut(Came<'_>)) -> io::Result<bool> {
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every header points into `slots` and `buffers`, which are on the heap, live as long as `self` and are
        // borrowed by nobody else now; the lengths are those of what is pointed to.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) };
        }
        let count = count as usize;
        let buffers = self.buffers.chunks_exact_mut(self.bytes_max.max(1));
        for ((header, slot), buffer) in self.headers.iter().zip(&self.slots).zip(buffers).take(count) {
            let Some(bytes) = buffer.get_mut(..header.msg_len as usize) else { continue };
            let Some(from) = address(&slot.name) else { continue };
            take(Came { from, bytes, at: time(&header.msg_hdr) });
        }
        Ok(count == self.headers.len())
    }
}

impl fmt::Debug for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamped").field("datagrams", &self.headers.len()).finish_non_exhaustive()
    }
}

/// The address that the kernel wrote.
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name = ptr::from_ref(name);
    // SAFETY: the storage is as long and aligned as any address, and its family says which one it is.
    unsafe {
        match i32::from((*name).ss_family) {
            libc::AF_INET => {
                let v4 = *name.cast::<libc::sockaddr_in>();
                Some((Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()), u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let v6 = *name.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// The time among what the kernel said beside a datagram.
fn time(header: &libc::msghdr) -> Option<SystemTime> {
    // SAFETY: the kernel has written whole control messages and their length; these macros stay within it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = message.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_TIMESTAMPNS {
                let mut time = MaybeUninit::<libc::timespec>::uninit();
                ptr::copy_nonoverlapping(
                    libc::CMSG_DATA(message).cast_const(),
                    time.as_mut_ptr().cast(),
                    size_of::<libc::timespec>(),
                );
                let time = time.assume_init();
                let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
                return SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos));
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn datagrams_come_whole_in_order_and_with_a_time_that_lies_between() {
        for bound in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(bound).unwrap();
            Stamped::prepare(&socket).unwrap();
            let sender = UdpSocket::bind(bound).unwrap();
            let to = socket.local_addr().unwrap();
            // The first after the option was set may have no time: the kernel switches it on a little later.
            let mut stamped = Stamped::new(4, 100);
            let mut timed = 0;
            for round in 0..50_u8 {
                let before = SystemTime::now();
                let sent: Vec<Vec<u8>> = (0..6).map(|at| vec![round ^ at; 10 + usize::from(at)]).collect();
                sent.iter().for_each(|bytes| assert_eq!(sender.send_to(bytes, to).unwrap(), bytes.len()));
                let mut came = Vec::new();
                let mut calls = 0;
                let mut take = |it: Came<'_>| {
                    assert_eq!(it.from, sender.local_addr().unwrap());
                    if let Some(at) = it.at {
                        assert!(at >= before && at <= SystemTime::now());
                        timed += 1;
                    }
                    came.push(it.bytes.to_vec());
                };
                while stamped.receive(&socket, &mut take).unwrap() {
                    calls += 1;
                }
                assert_eq!((came, calls), (sent, 1), "four, and then two");
            }
            assert!(timed > 0);
            assert!(!stamped.receive(&socket, &mut |_| panic!("nothing is there")).unwrap());
        }
    }

    #[test]
    fn a_datagram_that_is_too_long_is_cut() {
        let (socket, sender) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        sender.send_to(&[7; 300], socket.local_addr().unwrap()).unwrap();
        let mut lengths = Vec::new();
        Stamped::new(2, 100).receive(&socket, &mut |it| lengths.push(it.bytes.len())).unwrap();
        assert_eq!(lengths, [100]);
    }
}
