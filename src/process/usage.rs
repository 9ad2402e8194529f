//! What the operating system knows of this process, as Linux tells it under `/proc/self`.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::unistd::{SysconfVar, sysconf};

/// Memory, CPU and descriptors; `None` where the system does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Memory in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Address space, in bytes.
    pub virtual_bytes: Option<u64>,
    /// CPU time of all threads.
    pub cpu: Option<Duration>,
    /// Open descriptors.
    pub open_descriptors: Option<u64>,
    /// Most descriptors that may be open.
    pub most_descriptors: Option<u64>,
}

impl Usage {
    /// As it is now. A few short system calls.
    pub fn now() -> Self {
        let (virtual_bytes, resident_bytes) = memory().unzip();
        Self {
            resident_bytes,
            virtual_bytes,
            cpu: cpu(),
            open_descriptors: descriptors(),
            most_descriptors: getrlimit(Resource::RLIMIT_NOFILE)
                .ok()
                .map(|(soft, _)| soft),
        }
    }
}

/// When a process began that has run for so long, since 1970.
pub fn began(now: SystemTime, age: Duration) -> Option<Duration> {
    now.duration_since(UNIX_EPOCH).ok()?.checked_sub(age)
}

fn memory() -> Option<(u64, u64)> {
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (all, resident) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some((all.checked_mul(page)?, resident.checked_mul(page)?))
}

fn cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let time = |part: nix::sys::time::TimeVal| {
        let micros = u64::try_from(part.tv_usec()).ok()?;
        Some(
            Duration::from_secs(u64::try_from(part.tv_sec()).ok()?) + Duration::from_micros(micros),
        )
    };
    Some(time(usage.user_time())? + time(usage.system_time())?)
}

fn descriptors() -> Option<u64> {
    // Linux 6.2 and later say it as the directory's size; with many clients counting takes long.
    let said = fs::metadata("/proc/self/fd").ok()?.len();
    if said > 0 {
        return Some(said);
    }
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory itself.
    u64::try_from(open.saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_time_and_descriptors() {
        let usage = Usage::now();
        let (resident, all) = (usage.resident_bytes.unwrap(), usage.virtual_bytes.unwrap());
        assert!((1 << 20..=all).contains(&resident), "{usage:?}");
        assert!(usage.cpu.unwrap() > Duration::ZERO, "{usage:?}");
        let (open, most) = (
            usage.open_descriptors.unwrap(),
            usage.most_descriptors.unwrap(),
        );
        assert!((3..=most).contains(&open), "{usage:?}");
    }
}
