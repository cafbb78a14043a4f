//! The processors that this process may use, and a thread that stays on one of them.
//!
//! A container or `taskset` may leave a process some of the machine's processors only, so they are counted among these.

use std::io;

/// Processors that the process may run on, one at least. That is where its first thread may run: threads that `pin_to_cpu`
/// has pinned do not change it.
pub fn cpus() -> usize {
    let allowed = platform::allowed().unwrap_or_default();
    if allowed.is_empty() { std::thread::available_parallelism().map_or(1, usize::from) } else { allowed.len() }
}

/// Keeps the calling thread on the processor of this index among those that the process may use; an index past the last
/// begins again at the first. Threads that it starts from then on inherit it.
///
/// # Errors
/// Where the system cannot do that, or a sandbox does not let us: the thread then runs wherever it did.
pub fn pin_to_cpu(index: usize) -> io::Result<()> {
    let allowed = platform::allowed()?;
    let at = index.checked_rem(allowed.len()).unwrap_or(0);
    let cpu = allowed.get(at).ok_or(io::ErrorKind::NotFound)?;
    platform::pin(*cpu)
}

#[cfg(target_os = "linux")]
mod platform {
    use std::{io, mem};

    /// The numbers of the processors that the process's first thread may use.
    pub(super) fn allowed() -> io::Result<Vec<usize>> {
        let process = libc::pid_t::try_from(std::process::id()).map_err(io::Error::other)?;
        let mut set = empty();
        // SAFETY: `set` is alive and writable, and its size is given.
        if unsafe { libc::sched_getaffinity(process, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let bits = 8 * size_of::<libc::cpu_set_t>();
        // SAFETY: every number is below the bits in the set, which is what CPU_ISSET indexes by.
        Ok((0..bits).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
    }

    /// Keeps the calling thread on this one; its number is from `allowed`.
    pub(super) fn pin(cpu: usize) -> io::Result<()> {
        if cpu >= 8 * size_of::<libc::cpu_set_t>() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut set = empty();
        // SAFETY: the number is below the bits in the set, as was just seen.
        unsafe { libc::CPU_SET(cpu, &mut set) };
        // SAFETY: `set` is alive, and its size is given; process 0 is the calling thread.
        let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn empty() -> libc::cpu_set_t {
        // SAFETY: a set is an array of integers, for which zero is a value: no processor.
        unsafe { mem::zeroed() }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;

    pub(super) fn allowed() -> io::Result<Vec<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn pin(_: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of the calling thread, in its own words: `0-3,7`.
    fn list(path: &str) -> String {
        let status = std::fs::read_to_string(path).unwrap();
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned()
    }

    fn numbers(list: &str) -> Vec<usize> {
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            from.parse::<usize>().unwrap()..=to.parse().unwrap()
        };
        list.split(',').flat_map(range).collect()
    }

    #[test]
    fn a_thread_is_pinned_to_each_processor_of_the_process_and_the_process_is_not() {
        let allowed = numbers(&list("/proc/self/status"));
        assert_eq!(cpus(), allowed.len());
        for index in 0..=allowed.len() {
            let pinned = std::thread::spawn(move || {
                pin_to_cpu(index).unwrap();
                // Not what this thread may use now: what the process may.
                (list("/proc/thread-self/status"), cpus())
            });
            let expected = allowed[index % allowed.len()].to_string();
            assert_eq!(pinned.join().unwrap(), (expected, allowed.len()));
        }
        assert_eq!(numbers(&list("/proc/self/status")), allowed);
    }
}
