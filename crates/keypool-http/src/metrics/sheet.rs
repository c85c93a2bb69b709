//! Writes metrics one after the other, by their rows in the table.

use std::fmt;

use keypool_engine::meters::HistogramReading;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel, EncodeLabelSet,
    LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::registry::Unit;

use super::families::Family;

/// The page that is being written.
#[derive(Debug)]
pub(super) struct Sheet<'e>(DescriptorEncoder<'e>);

/// One metric that is being written, sample by sample.
#[derive(Debug)]
pub(super) struct Samples<'e> {
    family: &'static Family,
    encoder: MetricEncoder<'e>,
}

/// The values of a family's labels, in its order.
struct Labels<'l>(&'static [&'static str], &'l [&'l str]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.0.iter().zip(self.1) {
            (*name, *value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl<'e> Sheet<'e> {
    pub(super) fn new(encoder: DescriptorEncoder<'e>) -> Self {
        Self(encoder)
    }

    /// Begins a metric.
    pub(super) fn begin(&mut self, family: &'static Family) -> Result<Samples<'_>, fmt::Error> {
        let Family { name, kind, unit, help, .. } = family;
        let encoder = self.0.encode_descriptor(name, help, unit.as_ref(), *kind)?;
        Ok(Samples { family, encoder })
    }

    /// Writes a gauge without labels, if its value is known.
    pub(super) fn gauge(
        &mut self,
        family: &'static Family,
        value: Option<impl EncodeGaugeValue + Copy>,
    ) -> fmt::Result {
        let mut samples = self.begin(family)?;
        value.map_or(Ok(()), |value| samples.gauge(&[], value))
    }

    /// Writes a counter without labels, if its value is known.
    pub(super) fn counter(
        &mut self,
        family: &'static Family,
        value: Option<impl EncodeCounterValue + Copy>,
    ) -> fmt::Result {
        let mut samples = self.begin(family)?;
        value.map_or(Ok(()), |value| samples.counter(&[], value))
    }
}

impl Samples<'_> {
    pub(super) fn counter(
        &mut self,
        labels: &[&str],
        value: impl EncodeCounterValue + Copy,
    ) -> fmt::Result {
        let labels = self.labels(labels);
        self.encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    pub(super) fn gauge(
        &mut self,
        labels: &[&str],
        value: impl EncodeGaugeValue + Copy,
    ) -> fmt::Result {
        let labels = self.labels(labels);
        self.encoder.encode_family(&labels)?.encode_gauge(&value)
    }

    pub(super) fn info(&mut self, labels: &[&str]) -> fmt::Result {
        let labels = self.labels(labels);
        self.encoder.encode_info(&labels)
    }

    /// Writes a distribution; durations are counted in nanoseconds.
    pub(super) fn histogram(&mut self, labels: &[&str], reading: &HistogramReading) -> fmt::Result {
        let scale = if self.family.unit == Some(Unit::Seconds) { 1e9 } else { 1.0 };
        let bounds = reading.bounds.iter().map(|&bound| float(bound) / scale);
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(reading.buckets.iter().copied()).collect();
        let (sum, count) = (float(reading.sum) / scale, reading.count());
        let labels = self.labels(labels);
        let mut encoder = self.encoder.encode_family(&labels)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn labels<'l>(&self, values: &'l [&'l str]) -> Labels<'l> {
        debug_assert_eq!(self.family.labels.len(), values.len(), "{}", self.family.name);
        Labels(self.family.labels, values)
    }
}

/// As near as a float comes: above 2^53 not to the unit.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
pub(super) const fn float(number: u64) -> f64 {
    number as f64
}
