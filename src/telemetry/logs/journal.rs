//! Lines of the log as the journal takes them.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, format};
use tracing_subscriber::registry::LookupSpan;

/// Events as lines that begin with their priority, and have neither a time nor a level.
pub(super) struct Prioritised(Format<Full, ()>);

impl Default for Prioritised {
    fn default() -> Self {
        Prioritised(format().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Prioritised
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        // The journal takes each line for a message of its own.
        for line in text.lines() {
            writeln!(writer, "<{priority}>{}", line.trim_start_matches('<'))?;
        }
        Ok(())
    }
}

/// The priority of syslog(3) that is what a level means.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no thread panics with it").extend(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_has_the_priority_of_its_event() {
        let kept = Kept::default();
        let writer = {
            let kept = kept.clone();
            move || kept.clone()
        };
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(Prioritised::default())
            .with_writer(writer);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(pool = "a", "refused\n  1: this\n  2: that");
            tracing::warn!("two");
            tracing::info!("<0>three");
            tracing::debug!("four");
        });
        let text = String::from_utf8(kept.0.lock().expect("no thread panics with it").clone());
        assert_eq!(
            text.expect("text"),
            "<3>refused\n<3>  1: this\n<3>  2: that pool=\"a\"\n<4>two\n<6>0>three\n<7>four\n"
        );
    }
}
