//! Memory and time of this process, read when they are asked for; under the names that every client of Prometheus uses.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Ticks of `/proc/self/stat`: the same on every platform that Linux shows to programs.
const TICKS: f64 = 100.0;

/// Reads `/proc/self`; says nothing where there is none.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(bytes) = read("/proc/self/status").and_then(|text| resident(&text)) {
            let gauge = ConstGauge::new(bytes);
            let about = "Resident memory";
            let metric =
                encoder.encode_descriptor("process_resident_memory", about, Some(&Unit::Bytes), kind(&gauge))?;
            gauge.encode(metric)?;
        }
        if let Some(seconds) = read("/proc/self/stat").and_then(|text| busy(&text)) {
            let counter = ConstCounter::new(seconds);
            let about = "CPU time, user and system";
            let metric = encoder.encode_descriptor("process_cpu", about, Some(&Unit::Seconds), kind(&counter))?;
            counter.encode(metric)?;
        }
        if let Some(seconds) = read("/proc/self/stat").zip(read("/proc/stat")).and_then(|(own, all)| begun(&own, &all))
        {
            let gauge = ConstGauge::new(seconds);
            let about = "When the process began, Unix time";
            let metric = encoder.encode_descriptor("process_start_time", about, Some(&Unit::Seconds), kind(&gauge))?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn kind(metric: &impl EncodeMetric) -> prometheus_client::metrics::MetricType {
    metric.metric_type()
}

/// Bytes of `VmRSS:   1234 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Seconds of the 14th and 15th field; the second, the program's name, may have blanks in it.
fn busy(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?;
    Some(f64::from(ticks) / TICKS)
}

/// The 22nd field, since the machine began, and when that was by `btime 1700000000`.
fn begun(stat: &str, machine: &str) -> Option<f64> {
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse::<u32>().ok()?;
    let since = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<u32>().ok()?;
    Some(f64::from(since) + f64::from(ticks) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n"), Some(2_097_152));
        assert_eq!(busy("7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1"), Some(2.0));
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 250 9";
        assert_eq!(begun(stat, "cpu 1 2\nbtime 1700000000\nprocesses 9\n"), Some(1_700_000_002.5));
        assert_eq!(begun(stat, "cpu 1 2\n"), None);
        assert_eq!((resident("Name:\tx\n"), busy("7 x")), (None, None));
    }
}
