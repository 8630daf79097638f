//! docs/fleet.md and its plot.

use std::fmt::Write;
use std::ops::Range;

use crate::load::Load;
use crate::pod::Day;

const ROWS: [(&str, Range<u64>); 8] = [
    ("all start within one minute", 0..5),
    ("steady, after the first hour", 60..180),
    ("sealed for an hour", 185..240),
    ("unsealed: the first five minutes", 240..245),
    ("up to an hour after", 245..300),
    ("steady again", 300..360),
    ("every pod replaced within half an hour", 360..390),
    ("steady again", 450..480),
];

const HEAD: &str = "# A fleet's load on Vault

Every pod has an agent of its own, so what one agent does when something happens to all of them is done by all of them at
once. The planner therefore never waits for a round time: it renews at 55 to 70 % of a life, reads a secret without a lease after
85 to 100 % of its interval, and draws both from a wider range where many begin together: after a start, and after a server that
was away. What ends together because it began together is replaced between 80 and 30 % of its last hour, not at one moment.
";

const ABOUT: &str = "
The rates are requests in buckets of ten seconds, divided by ten. The first hour is the longest period of this fleet: tokens and
leases of an hour, KV secrets read every five minutes. Of twenty pods ten read one KV secret and nothing else; four have a
database credential of an hour, three one that renews to two hours, one a token that ends after two hours, one a certificate of a
day, one a static role that rotates once a day, each beside a KV secret.

- While the server is sealed each agent asks about every twenty-five seconds, and waits ten to fifteen seconds between two tries
  of anything; files stay as they are.
- In a sealed hour every token and every lease of an hour ends, so each agent needs a login and its reads when the server is back.
  That is what a start needs, too, and the back-off spreads it over a minute.
- After a start, a recovery or a roll-out nothing rings: an hour later the load is what it was.
- All pods of one static role look within a second of its rotation, since until then their file holds the old password. That is
  wanted, and it is one request a second and pod, for as long as Vault takes to rotate.

`cargo test -p sidekey-core --test fleet` runs this simulation, holds its bounds, and holds this page: each agent is the planner that
ships, against a small model of Vault with maximums, on a simulated clock. The server of the model answers within 150 ms; a server
that limits its rate is asked more slowly still, as its `Retry-After` says.
";

/// The page with its figures.
pub fn page(agents: u64, load: &Load) -> String {
    let mut text =
        format!("{HEAD}\n{agents} agents, eight hours:\n\n![requests a second over eight hours](fleet.svg)\n\n");
    text.push_str("| what happens | minutes | mean, requests/s | peak | peak / mean |\n|---|---|---|---|---|\n");
    for (what, minutes) in ROWS {
        let part = load.part(minutes.clone());
        let (mean, peak, ratio) = (part.mean, part.peak, part.peak / part.mean);
        let Range { start, end } = minutes;
        let _ = writeln!(text, "| {what} | {start} to {end} | {mean:.0} | {peak:.0} | {ratio:.2} |");
    }
    text.push_str(ABOUT);
    text
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 44.0;
const TOP: f64 = 24.0;

/// The fullest ten seconds of each minute, on a logarithmic scale from 10 to 1 000.
pub fn chart(load: &Load, day: Day) -> String {
    let minutes = f64::from(u32::try_from(day.minutes).unwrap());
    let x = |minute: f64| LEFT + minute / minutes * (WIDTH - LEFT - 8.0);
    let y = |rate: f64| TOP + (3.0 - rate.max(10.0).log10()) / 2.0 * (HEIGHT - TOP - 28.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (band, name) in [(day.sealed, "sealed"), (day.restarts, "roll-out")] {
        let Some((from, to)) = band.map(|(from, to)| (x(f64::from(from as u32)), x(f64::from(to as u32)))) else {
            continue;
        };
        let (width, height) = (to - from, HEIGHT - TOP - 28.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\" fill=\"#eee\"/>\n\
             <text x=\"{from:.1}\" y=\"{:.1}\" fill=\"#555\">{name}</text>",
            TOP - 6.0
        );
    }
    for rate in [10.0, 30.0, 100.0, 300.0, 1000.0] {
        let (at, right) = (y(rate), WIDTH - 8.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ccc\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{rate}</text>",
            LEFT - 5.0,
            at + 4.0
        );
    }
    for hour in 0..=day.minutes / 60 {
        let at = x(f64::from(hour as u32) * 60.0);
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{hour} h</text>", HEIGHT - 10.0);
    }
    let points = load.by_minute().into_iter().enumerate();
    let points: Vec<String> =
        points.map(|(minute, rate)| format!("{:.0},{:.0}", x(f64::from(minute as u32)), y(rate))).collect();
    let _ = writeln!(
        svg,
        "<text x=\"4\" y=\"12\">requests/s</text>\n<polyline fill=\"none\" stroke=\"#06c\" points=\"{}\"/>\n</svg>",
        points.join(" ")
    );
    svg
}
