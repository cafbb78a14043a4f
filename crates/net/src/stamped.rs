//! Many datagrams of one socket in one call, each with the moment at which the kernel had it: for who measures others, and
//! must not count the time that its own thread took to wake up. Runs of datagrams are taken whole (`UDP_GRO`): on a loopback
//! interface it is the sender who pays for what the receiver's kernel does, and taking a run apart is the receiver's.
#![cfg(target_os = "linux")]

use std::{
    fmt, io,
    mem::zeroed,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::{AsFd, AsRawFd as _},
    ptr,
    time::{Duration, SystemTime},
};

use crate::sys::set_option;

/// Bytes of what the kernel says beside a datagram: a time and a length with their headers, and room to spare.
const CONTROL_BYTES: usize = 128;
/// The longest run that a kernel hands out: an IPv4 packet.
const RUN_BYTES_MAX: usize = 65_536;

/// Reads datagrams. It keeps its memory from one call to the next.
pub struct Stamped {
    slots: Box<[Slot]>,
    headers: Box<[libc::mmsghdr]>,
    buffers: Box<[u8]>,
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
    /// Room for so many runs a call; a datagram by itself is one too.
    pub fn new(runs: usize) -> Self {
        let mut buffers = vec![0; runs * RUN_BYTES_MAX].into_boxed_slice();
        let vectors = buffers
            .chunks_exact_mut(RUN_BYTES_MAX)
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
        Self { slots, headers, buffers }
    }

    /// Asks the kernel to say when a socket's datagrams came, and, where `runs`, to hand out runs whole.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn prepare(socket: &impl AsFd, runs: bool) -> io::Result<()> {
        let socket = socket.as_fd().as_raw_fd();
        set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        if runs { set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1) } else { Ok(()) }
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
        let buffers = self.buffers.chunks_exact_mut(RUN_BYTES_MAX);
        for ((header, slot), buffer) in self.headers.iter().zip(&self.slots).zip(buffers).take(count) {
            let Some(bytes) = buffer.get_mut(..header.msg_len as usize) else { continue };
            let Some(from) = address(&slot.name) else { continue };
            let Said { at, segment } = said(&header.msg_hdr);
            if bytes.is_empty() {
                take(Came { from, bytes, at });
                continue;
            }
            let segment = segment.unwrap_or(bytes.len()).max(1);
            bytes.chunks_mut(segment).for_each(|bytes| take(Came { from, bytes, at }));
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

/// What the kernel says beside a run.
#[derive(Default)]
struct Said {
    /// When it came.
    at: Option<SystemTime>,
    /// The length of its datagrams but the last; `None` where it is one datagram.
    segment: Option<usize>,
}

fn said(header: &libc::msghdr) -> Said {
    let mut said = Said::default();
    // SAFETY: the kernel has written whole control messages and their length; these macros stay within it. A message of
    // SO_TIMESTAMPNS carries a `timespec` and one of UDP_GRO an int (`udp_cmsg_recv` of the kernel).
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = message.as_ref() {
            let content = libc::CMSG_DATA(message).cast_const();
            match (control.cmsg_level, control.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    said.at = time(ptr::read_unaligned(content.cast::<libc::timespec>()));
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    said.segment = usize::try_from(ptr::read_unaligned(content.cast::<libc::c_int>())).ok();
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    said
}

fn time(time: libc::timespec) -> Option<SystemTime> {
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MediaSocket, Protocol};
    use std::{net::UdpSocket, time::Instant};

    #[test]
    fn datagrams_come_whole_in_order_and_with_a_time_that_lies_between() {
        for bound in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(bound).unwrap();
            Stamped::prepare(&socket, true).unwrap();
            let sender = UdpSocket::bind(bound).unwrap();
            let to = socket.local_addr().unwrap();
            // The first after the option was set may have no time: the kernel switches it on a little later.
            let mut stamped = Stamped::new(4);
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
    fn a_run_comes_as_the_datagrams_that_were_sent_taken_whole_or_not() {
        for runs in [true, false] {
            let mut sender = MediaSocket::bind("127.0.0.1:0".parse().unwrap(), Instant::now()).unwrap();
            let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
            Stamped::prepare(&receiver, runs).unwrap();
            let sent: Vec<u8> = (0..5 * 1_000 + 300).map(|at| (at / 1_000) as u8).collect();
            sender.send(Protocol::Udp, receiver.local_addr().unwrap(), &sent, 1_000);
            let (mut came, mut calls) = (Vec::new(), 1);
            let mut stamped = Stamped::new(2);
            while stamped.receive(&receiver, &mut |it| came.push(it.bytes.to_vec())).unwrap() {
                calls += 1;
            }
            assert_eq!(came, sent.chunks(1_000).map(<[u8]>::to_vec).collect::<Vec<_>>());
            assert_eq!(calls, if runs { 1 } else { 4 }, "two runs or datagrams a call");
        }
    }

    #[test]
    fn an_empty_datagram_comes() {
        let (socket, sender) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        Stamped::prepare(&socket, true).unwrap();
        sender.send_to(&[], socket.local_addr().unwrap()).unwrap();
        let mut lengths = Vec::new();
        Stamped::new(2).receive(&socket, &mut |it| lengths.push(it.bytes.len())).unwrap();
        assert_eq!(lengths, [0]);
    }
}
