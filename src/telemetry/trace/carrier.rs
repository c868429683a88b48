//! From the trace context in an event to a span's parent, and from a span to what takes its place.

use std::collections::HashMap;

use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::decode::Trigger;

/// The context that the sender names; nothing where it names none or what is none.
pub(super) fn sender(trigger: &Trigger) -> Context {
    let fields = [("traceparent", &trigger.traceparent), ("tracestate", &trigger.tracestate)];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let fields: HashMap<String, String> = fields.collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &fields)
}

/// The case's context takes the place of the sender's; the trace state stays.
pub(super) fn carry(case: &Context, trigger: &mut Trigger) {
    trigger.traceparent = Some(written(case.span().span_context()));
}

/// As W3C writes it.
fn written(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags())
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn trigger(traceparent: &str) -> Trigger {
        let mut trigger = Trigger::without_data("test");
        trigger.traceparent = Some(traceparent.to_owned());
        trigger
    }

    #[test]
    fn what_a_sender_writes_comes_back_as_it_was() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(written(sender(&trigger(text)).span().span_context()), text);
    }

    #[test]
    fn what_is_no_context_is_none() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for text in ["", "00", "jsmith", zero, "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
            assert!(!sender(&trigger(text)).span().span_context().is_valid(), "{text}");
        }
        assert!(!sender(&Trigger::without_data("test")).span().span_context().is_valid());
    }

    #[test]
    fn the_cases_context_takes_the_place_of_the_senders_and_the_state_stays() {
        let mut trigger = trigger("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        trigger.tracestate = Some("acme=1".to_owned());
        let ours = SpanContext::new(
            TraceId::from(10),
            SpanId::from(11),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        carry(&Context::new().with_remote_span_context(ours), &mut trigger);
        let text = "00-0000000000000000000000000000000a-000000000000000b-01";
        assert_eq!(trigger.traceparent.as_deref(), Some(text));
        assert_eq!(trigger.tracestate.as_deref(), Some("acme=1"));
    }
}
