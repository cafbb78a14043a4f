//! Linux: UDP segmentation on the way out (`UDP_SEGMENT`, 4.18) and coalescing on the way in (`UDP_GRO`, 5.0).

use std::{
    io, mem,
    net::SocketAddr,
    os::fd::{AsRawFd as _, RawFd},
    ptr,
    time::Duration,
};

use mio::net::UdpSocket;
use socket2::SockAddr;

use super::Arrival;

/// Room for control messages: one of ours is 24 bytes at most; the rest is for what an operator's kernel may add.
const CONTROL_BYTES: usize = 128;

/// Control messages on the stack, aligned as their headers want it.
#[repr(C)]
union Control {
    bytes: [u8; CONTROL_BYTES],
    _align: libc::cmsghdr,
}

/// Whether the kernel knows runs. Asked because one that does not would ignore the wish and send the whole run as a
/// single datagram.
pub(crate) fn can_send_runs(socket: &UdpSocket) -> bool {
    let mut value: libc::c_int = 0;
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` and `length` live across the call, and `length` says how much may be written to `value`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    result == 0
}

/// Sends the datagrams in `bytes`, each `segment` long but the last, in one call: all of them or none.
pub(crate) fn send_run(socket: &UdpSocket, to: SocketAddr, bytes: &[u8], segment: u16) -> io::Result<()> {
    let to = SockAddr::from(to);
    let mut control = Control { bytes: [0; CONTROL_BYTES] };
    // The kernel only reads through these pointers in `sendmsg`; the type is shared with `recvmsg`.
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = empty_message();
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: `msg_control` points at `CONTROL_BYTES` zeroed bytes, aligned for `cmsghdr`, that outlive `message`. They
    // hold a header and two bytes (CMSG_SPACE(2) is 24), so CMSG_FIRSTHDR is not null and CMSG_DATA lies within them;
    // the value is written unaligned.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast::<u16>(), segment);
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
    }
    // SAFETY: every pointer in `message` is to a value above that lives to the end of this function, with its true length.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until there is room to send again; whether there is.
pub(crate) fn wait_for_room(socket: &UdpSocket, most: Duration) -> bool {
    let mut wanted = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let most = libc::timespec {
        tv_sec: libc::time_t::try_from(most.as_secs()).unwrap_or(0),
        tv_nsec: most.subsec_nanos() as libc::c_long,
    };
    // SAFETY: `wanted` is one `pollfd`, as the 1 says, and lives across the call, as does the time; no signal mask is given.
    let ready = unsafe { libc::ppoll(&raw mut wanted, 1, &raw const most, ptr::null()) };
    ready == 1 && wanted.revents & libc::POLLOUT != 0
}

/// Asks for several datagrams a read; whether the kernel will.
pub(crate) fn receive_runs(socket: &UdpSocket) -> bool {
    set_option(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).is_ok()
}

/// Reads what one peer sent: one datagram, or several of the same length.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut control = Control { bytes: [0; CONTROL_BYTES] };
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = empty_message();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_BYTES as _;
    let read = |name: *mut socket2::SockAddrStorage, name_length: *mut libc::socklen_t| {
        message.msg_name = name.cast();
        // SAFETY: `try_init` gives a pointer to an initialised length that is its to write.
        message.msg_namelen = unsafe { *name_length };
        // SAFETY: `message` points at the address's storage, the buffer and the control bytes, each alive and writable
        // across the call, with its true length.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
        if length < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        unsafe { *name_length = message.msg_namelen };
        // SAFETY: the kernel has set `msg_controllen` to what it wrote into `control`, which is alive and aligned.
        Ok((length.unsigned_abs(), unsafe { segment_of(&message) }))
    };
    // SAFETY: `recvmsg` writes a valid address and its length, or fails, and then so does `read`.
    let ((length, segment), from) = unsafe { SockAddr::try_init(read) }?;
    let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok(Arrival { length, from, segment })
}

/// The length of the datagrams of a run; 0 where one datagram came.
///
/// # Safety
/// `msg_control` points at `msg_controllen` bytes of control messages as the kernel writes them, aligned for `cmsghdr`.
unsafe fn segment_of(message: &libc::msghdr) -> usize {
    // SAFETY: the caller's promise; CMSG_FIRSTHDR and CMSG_NXTHDR give null or a header within `msg_controllen`, and a
    // header of UDP_GRO carries an int (`udp_cmsg_recv` of the kernel).
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_UDP && (*header).cmsg_type == libc::UDP_GRO {
                let segment = ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::c_int>());
                return usize::try_from(segment).unwrap_or(0);
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    0
}

/// Sets an option whose value is an int.
pub(crate) fn set_option(socket: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` lives across the call, and `length` is its size.
    let result = unsafe { libc::setsockopt(socket, level, name, ptr::from_ref(&value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty_message() -> libc::msghdr {
    // SAFETY: `msghdr` is integers and raw pointers, for all of which zero is a value.
    unsafe { mem::zeroed() }
}
